"""How good a trained policy is: whole episodes on fixed seeds, beside the random policy's."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from attention_agents.agents.evaluation.statistics import RESAMPLES, Summary, summary
from attention_agents.agents.progress_bar import progress_bars
from attention_agents.agents.rollouts.episodes import (
    Actor,
    Episode,
    RandomActor,
    play,
)
from attention_agents.agents.rollouts.eval_env import step_limit
from attention_agents.agents.rollouts.seeds import SEED, episode_seeds
from attention_agents.agents.runs.loaded_run import open_run
from attention_agents.agents.runs.run_folder import RunFolder, versions
from attention_agents.recording.json_files import write_json

FORMAT = "attention-agents evaluation"
SCHEMA = 1


@dataclass(frozen=True)
class Scores:
    """What one policy reached."""

    episodes: Sequence[Episode]
    seconds: float
    """Wall time of all episodes together, environments and policy."""

    @property
    def returns(self) -> Summary:
        return summary(np.array([episode.score for episode in self.episodes]))

    @property
    def lengths(self) -> Summary:
        """Steps per episode."""
        return summary(np.array([float(episode.length) for episode in self.episodes]))

    @property
    def success_rate(self) -> float | None:
        """Share of episodes that succeeded, 0 to 1; None where the environment knows no success."""
        told = [episode.success for episode in self.episodes if episode.success is not None]
        return sum(told) / len(told) if told else None

    @property
    def steps_per_second(self) -> float:
        return sum(episode.length for episode in self.episodes) / max(self.seconds, 1e-9)

    def to_json(self) -> dict[str, Any]:
        return {
            "return": self.returns.to_json(),
            "length": self.lengths.to_json(),
            "success_rate": self.success_rate,
            "steps_per_second": round(self.steps_per_second, 1),
            "seconds": round(self.seconds, 3),
            "episodes": [episode._asdict() for episode in self.episodes],
        }


@dataclass(frozen=True)
class Report:
    """One evaluation of one checkpoint."""

    env: str
    algo: str
    run: str
    checkpoint: str
    """best, final or step_<n>."""
    trained_steps: int
    episodes: int
    seed: int
    """Of the first episode; episode i has seed + i."""
    stochastic: bool
    """Whether actions were drawn from the policy's distribution, not its most likely ones."""
    max_episode_steps: int | None
    """Longest episode; None where the environment alone ends it."""
    created: str
    """When, in UTC (ISO 8601)."""
    agent: Scores
    random: Scores | None
    """The random policy on the same seeds."""

    def to_json(self) -> dict[str, Any]:
        said = {
            name: value for name, value in vars(self).items() if name not in ("agent", "random")
        }
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            **said,
            "interval": f"95%, percentile bootstrap of the mean, {RESAMPLES} resamples",
            "agent": self.agent.to_json(),
            "random": None if self.random is None else self.random.to_json(),
            "versions": versions(),
        }


def evaluate(
    run: str | Path,
    *,
    env: str | None = None,
    checkpoint: str | None = None,
    episodes: int = 100,
    seed: int = SEED,
    stochastic: bool = False,
    n_envs: int = 8,
    device: str = "auto",
    random_policy: bool = True,
    progress: bool = False,
) -> Report:
    """Play whole episodes with a checkpoint of a run.

    Rewards are the environment's own, neither clipped nor normalised. Episode i has the seed
    `seed + i`, and its result does not depend on `n_envs`.

    Args:
        run: a run folder.
        env: the run's environment, needed where the run names a module to import (`module:Id`).
        checkpoint: best, final or step_<n>; None takes the first of best, final and the latest step
            that there is.
        episodes: how many, at least 1.
        seed: of the first episode, at least 0.
        stochastic: draw actions from the policy's distribution.
        n_envs: environments stepped side by side; only speed depends on it.
        device: where the policy lives, in torch's words or "auto".
        random_policy: let the random policy play the same seeds.
        progress: show a bar on stderr when it is a terminal.

    Raises:
        ValueError: a number is out of range, there is no such device, run or checkpoint, `env` is
            needed or wrong, or the environment cannot be made.
    """
    seeds = episode_seeds(seed, episodes)
    if n_envs < 1:
        raise ValueError(f"n_envs must be at least 1, got {n_envs}")
    with open_run(run, checkpoint, env=env, device=device) as opened:
        envs = [opened.make_eval_env() for _ in range(min(n_envs, episodes))]

        def play_timed(title: str, actor: Actor) -> Scores:
            with progress_bars(progress, {title: episodes}) as advance:
                start = time.perf_counter()
                rule = opened.success_rule
                played = play(envs, actor, seeds, rule, lambda episode: advance(title))
                return Scores(played, time.perf_counter() - start)

        agent = play_timed("agent", opened.actor(stochastic))
        chance = play_timed("random", RandomActor(envs[0].action_space)) if random_policy else None
    return Report(
        env=opened.config.env,
        algo=opened.config.algo,
        run=str(opened.folder.path),
        checkpoint=opened.checkpoint,
        trained_steps=opened.model.num_timesteps,
        episodes=episodes,
        seed=seed,
        stochastic=stochastic,
        max_episode_steps=step_limit(envs[0]),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        agent=agent,
        random=chance,
    )


def choose_checkpoint(folder: RunFolder, name: str | None) -> str:
    return folder.choose_checkpoint(name)


def checkpoint_folder(folder: RunFolder, name: str) -> Path:
    return folder.checkpoint(name)


def save(report: Report) -> Path:
    """Write a report into its run, as `evaluations/<checkpoint>_<k>.json`, and return the path.

    Raises:
        ValueError: the run folder cannot be written.
    """
    folder = Path(report.run) / "evaluations"
    try:
        folder.mkdir(exist_ok=True)
        number = 1
        while (path := folder / f"{report.checkpoint}_{number}.json").exists():
            number += 1
        write_json(path, report.to_json(), sync=True)
    except OSError as error:
        raise ValueError(f"cannot write into {folder}: {error.strerror}") from error
    return path


def table(report: Report) -> Table:
    """Lay a report out for people."""
    agent, chance = report.agent, report.random
    acting = "drawn" if report.stochastic else "most likely"
    title = (
        f"{report.env}: {report.algo} after {report.trained_steps:,} steps ({report.checkpoint})"
    )
    seeds = f"seeds {report.seed} to {report.seed + report.episodes - 1}"
    shown = Table(title=title, caption=f"{report.episodes} episodes, {seeds}, {acting} actions")
    shown.add_column("")
    shown.add_column("agent", justify="right", style="bold")
    columns = [agent]
    if chance is not None:
        shown.add_column("random policy", justify="right")
        columns.append(chance)
    for name, cell in ROWS.items():
        cells = [cell(scores) for scores in columns]
        if any(cells):
            shown.add_row(name, *cells)
    return shown


def _number(value: float) -> str:
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1
    return f"{value:,.{digits}f}"


def _interval(scores: Scores) -> str:
    low, high = scores.returns.interval
    return f"{_number(low)} to {_number(high)}"


def _success(scores: Scores) -> str:
    return "" if scores.success_rate is None else f"{scores.success_rate:.0%}"


ROWS: dict[str, Callable[[Scores], str]] = {
    "mean return": lambda scores: _number(scores.returns.mean),
    "95% interval (bootstrap)": _interval,
    "standard deviation": lambda scores: _number(scores.returns.std),
    "interquartile mean": lambda scores: _number(scores.returns.iqm),
    "median": lambda scores: _number(scores.returns.median),
    "lowest, highest": lambda s: f"{_number(s.returns.low)}, {_number(s.returns.high)}",
    "success": _success,
    "episode length": lambda scores: _number(scores.lengths.mean),
    "steps/s": lambda scores: f"{scores.steps_per_second:,.0f}",
}
"""The rows of the table, and how each is read from the scores of a policy."""


def show(report: Report) -> None:
    """Print the table on stdout."""
    Console(file=sys.stdout).print(table(report))
