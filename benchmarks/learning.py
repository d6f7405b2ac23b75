"""Train a row of the table for real, evaluate it, and keep the figures.

    python benchmarks/learning.py --row cartpole-ppo --seed 0
    python benchmarks/learning.py --table

Each run appends one line to benchmarks/results/learning.jsonl; the table is made from these lines
alone. Everything runs in one thread, so that two rows can run side by side on two cores.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tyro

from agents.checkpoint import load_checkpoint
from agents.cli import run_verb
from agents.config import RunConfig, TrainConfig, known
from agents.episodes import GreedyActor, play
from agents.evaluation import SEED, Scores, evaluate, success_rule
from agents.presets import settle
from agents.progress import ProgressCallback
from agents.run_folder import RunFolder, versions
from agents.statistics import Interval, interval
from agents.training import torch_settings, train
from benchmarks.rows import ROWS, Row
from benchmarks.small_cnn import parameters, train_control
from envs.families import family_of
from envs.make import make_env

RESULTS = Path(__file__).with_name("results") / "learning.jsonl"


@dataclass(frozen=True)
class LearningConfig:
    """Train a row of the table and keep its figures, or print the table."""

    row: str | None = None
    """Name of a row, see benchmarks/rows.py."""
    seed: int = 0
    """Of the training; the evaluation has seeds of its own, the same for all."""
    n_timesteps: Annotated[
        int | None,
        tyro.conf.arg(aliases=["-n"], metavar="INT", help_behavior_hint="(default: the row's)"),
    ] = None
    """Steps to train for."""
    episodes: int = 100
    """Of the evaluation."""
    log_folder: str = "runs/benchmarks"
    """Where the run folders are made."""
    results: str = str(RESULTS)
    """The file that figures are appended to and read from."""
    table: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the table as Markdown; nothing is trained."""


def main(config: LearningConfig) -> None:
    if config.table:
        print(table(read(Path(config.results))))
        return
    if config.row is None:
        raise ValueError(f"name a --row, or --table; rows: {', '.join(ROWS)}")
    row = ROWS[known("row", config.row, ROWS)]
    result = run(config, config.row, row)
    append(Path(config.results), result)
    for name, seen in result["evaluations"].items():
        low, high = seen["interval"]
        mean = f"{seen['mean']:.3f} ({low:.3f} to {high:.3f})"
        print(f"{config.row}, seed {config.seed}, {name}: {mean}")


def run(config: LearningConfig, name: str, row: Row) -> dict[str, Any]:
    """Train and evaluate one row with one seed; return its line."""
    asked = TrainConfig(
        env=row.env,
        algo=row.algo,
        n_timesteps=row.steps if config.n_timesteps is None else config.n_timesteps,
        seed=config.seed,
        device="cpu",
        log_folder=config.log_folder,
        eval_freq=None if "best" in row.checkpoints else 0,
    )
    settled = settle(asked, family_of(row.env))
    start = time.perf_counter()
    if row.extractor == "attention":
        folder = train(asked)
        seconds = time.perf_counter() - start
        count = parameters(load_checkpoint(RunFolder(folder).final, "cpu").model)
        scores = {
            each: evaluate(
                *(folder,),
                checkpoint=each,
                episodes=config.episodes,
                random_policy=False,
                device="cpu",
            ).agent
            for each in row.checkpoints
        }
    else:
        model = train_control(settled, [ProgressCallback(name)])
        seconds = time.perf_counter() - start
        count = parameters(model)
        scores = {"final": evaluate_model(model, settled, config.episodes)}
    return {
        "row": name,
        "env": row.env,
        "algo": row.algo,
        "extractor": row.extractor,
        "seed": config.seed,
        "n_timesteps": settled.n_timesteps,
        "parameters": count,
        "train_seconds": round(seconds, 1),
        "evaluations": {each: _figures(seen) for each, seen in scores.items()},
        "command": shlex.join(["python", "benchmarks/learning.py", *sys.argv[1:]]),
        "config": settled.to_json(),
        "versions": versions(),
        "machine": machine(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def evaluate_model(model: Any, config: RunConfig, episodes: int) -> Scores:
    """Play the episodes that `agents.evaluation.evaluate` plays, with a model that is in memory."""
    with ExitStack() as stack:
        stack.enter_context(torch_settings(config.threads))
        envs = [
            make_env(config.env, history=config.history, env_kwargs=dict(config.env_kwargs))
            for _ in range(min(8, episodes))
        ]
        for env in envs:
            stack.callback(env.close)
        actor = GreedyActor(lambda observation: model.predict(observation, deterministic=True)[0])
        start = time.perf_counter()
        played = play(envs, actor, range(SEED, SEED + episodes), success_rule(config.env))
        return Scores(played, time.perf_counter() - start)


def _figures(scores: Scores) -> dict[str, Any]:
    returns = scores.returns
    return {
        "mean": returns.mean,
        "std": returns.std,
        "interval": list(returns.interval),
        "iqm": returns.iqm,
        "median": returns.median,
        "length": scores.lengths.mean,
        "success_rate": scores.success_rate,
        "returns": [episode.score for episode in scores.episodes],
    }


def append(path: Path, result: dict[str, Any]) -> None:
    """Add one line to a file of results; lines of runs that end together do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(result, allow_nan=False) + "\n").encode()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def read(path: Path) -> list[dict[str, Any]]:
    """Read the results; of several runs of the same row, seed and length, the latest counts."""
    if not path.exists():
        raise ValueError(f"there are no results in {path} yet")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return list({(line["row"], line["seed"], line["n_timesteps"]): line for line in lines}.values())


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the Markdown table, the commands that made it, and the machines."""
    heads = "row|environment|algorithm|steps|seeds|weights|minutes|steps/s|checkpoint|mean by seed"
    heads += "|mean (95% interval)|reference|bar|met"
    names = heads.split("|")
    rows = [_cells(ROWS[name], group) for name, group in _groups(results)]
    lines = [_line(names), _line(["---"] * len(names))]
    lines += [_line(cells) for group in rows for cells in group]
    commands = [f"    {line['command']}" for line in results]
    machines = sorted({f"{r['machine']['cpu']}, {r['machine']['cores']} cores" for r in results})
    return "\n".join(
        [*lines, "", "Commands:", "", *commands, "", f"Machine: {'; '.join(machines)}"]
    )


def _groups(results: Sequence[dict[str, Any]]) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    for name in ROWS:
        lengths = sorted({r["n_timesteps"] for r in results if r["row"] == name})
        for steps in lengths:
            group = [r for r in results if r["row"] == name and r["n_timesteps"] == steps]
            yield name, sorted(group, key=lambda r: r["seed"])


def _cells(row: Row, group: list[dict[str, Any]]) -> Iterable[list[str]]:
    steps = group[0]["n_timesteps"]
    seconds = [r["train_seconds"] for r in group]
    for checkpoint in row.checkpoints:
        seen = [r["evaluations"][checkpoint] for r in group]
        mean = float(np.mean([each["mean"] for each in seen]))
        low, high = seeds_interval([np.array(each["returns"]) for each in seen])
        counts = checkpoint == row.checkpoints[0] and row.bar is not None
        yield [
            group[0]["row"],
            row.env,
            f"{row.algo}, {row.extractor}",
            f"{steps:,}",
            " ".join(str(r["seed"]) for r in group),
            f"{group[0]['parameters']:,}",
            f"{np.mean(seconds) / 60:.1f}",
            f"{steps * len(group) / sum(seconds):,.0f}",
            checkpoint,
            " ".join(_number(each["mean"]) for each in seen),
            f"{_number(mean)} ({_number(low)} to {_number(high)})",
            row.reference,
            f">= {row.bar:g}" if counts else "",
            ("yes" if row.bar is not None and mean >= row.bar else "no") if counts else "",
        ]


def seeds_interval(
    returns: Sequence[np.ndarray], resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Return the 95% bootstrap interval of the mean over training seeds and episodes.

    Training seeds are drawn with replacement, and of each its episodes: what varies from run to run
    counts, not only what varies from episode to episode.

    Args:
        returns: an array of episode returns per training seed.
        resamples: how many samples are drawn.
        seed: of the generator that draws them.

    Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8.
    """
    if len(returns) == 1:
        return interval(returns[0], resamples=resamples, seed=seed)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for i in range(resamples):
        runs = rng.integers(len(returns), size=len(returns))
        means[i] = np.mean([rng.choice(returns[run], len(returns[run])).mean() for run in runs])
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


def machine() -> dict[str, Any]:
    """Return the processor's name and how many cores there are."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    return {"cpu": cpu, "cores": os.cpu_count()}


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    run_verb(main, LearningConfig)
