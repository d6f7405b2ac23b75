"""The report of an evaluation: as JSON, and as a table for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from attention_agents.agents.evaluation.statistics import RESAMPLES, Summary, summarize_episodes
from attention_agents.agents.rollouts.episodes import PlayedEpisode
from attention_agents.agents.runs.run_folder import package_versions
from attention_agents.recording.json_files import write_json

FORMAT = "attention-agents evaluation"
SCHEMA = 1


@dataclass(frozen=True)
class EpisodeResults:
    """The episodes of one policy."""

    episodes: Sequence[PlayedEpisode]
    seconds: float
    """Wall time of all episodes together, environments and policy."""

    @property
    def returns(self) -> Summary:
        return summarize_episodes(np.array([episode.episode_return for episode in self.episodes]))

    @property
    def lengths(self) -> Summary:
        """Steps per episode."""
        return summarize_episodes(np.array([float(episode.length) for episode in self.episodes]))

    @property
    def success_rate(self) -> float | None:
        """Share of episodes that succeeded, 0 to 1; None where the environment knows no success."""
        successes = [episode.success for episode in self.episodes if episode.success is not None]
        return sum(successes) / len(successes) if successes else None

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
            "episodes": [
                {
                    "seed": episode.seed,
                    "return": episode.episode_return,
                    "length": episode.length,
                    "success": episode.success,
                }
                for episode in self.episodes
            ],
        }


@dataclass(frozen=True)
class Report:
    """One evaluation of one checkpoint."""

    env: str
    algo: str
    encoder: str
    """gate, pooled or stock."""
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
    agent: EpisodeResults
    random: EpisodeResults | None
    """The random policy on the same seeds."""

    def to_json(self) -> dict[str, Any]:
        settings = {n: value for n, value in vars(self).items() if n not in ("agent", "random")}
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            **settings,
            "interval": f"95%, percentile bootstrap of the mean, {RESAMPLES} resamples",
            "agent": self.agent.to_json(),
            "random": None if self.random is None else self.random.to_json(),
            "versions": package_versions(),
        }


def save_report(report: Report) -> Path:
    """Write a report into its run, as `evaluations/<checkpoint>_<k>.json`, and return the path.

    Raises:
        ValueError: the run folder cannot be written.
    """
    folder = Path(report.run) / "evaluations"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while (path := folder / f"{report.checkpoint}_{number}.json").exists():
            number += 1
        write_json(path, report.to_json(), sync=True)
    except OSError as error:
        raise ValueError(f"cannot write into {folder}: {error.strerror}") from error
    return path


def report_table(report: Report) -> Table:
    """Return a report as a table for a terminal."""
    columns = [report.agent] if report.random is None else [report.agent, report.random]
    action_kind = "drawn" if report.stochastic else "most likely"
    title = (
        f"{report.env}: {report.algo} after {report.trained_steps:,} steps ({report.checkpoint})"
    )
    encoder = (
        f"encoder {report.encoder}{', without attention' if report.encoder == 'stock' else ''}"
    )
    seeds = f"seeds {report.seed} to {report.seed + report.episodes - 1}"
    table = Table(
        title=title,
        caption=f"{encoder}\n{report.episodes} episodes, {seeds}, {action_kind} actions",
    )
    table.add_column("")
    table.add_column("agent", justify="right", style="bold")
    if report.random is not None:
        table.add_column("random policy", justify="right")
    for name, cell in ROWS.items():
        cells = [cell(results) for results in columns]
        if any(cells):
            table.add_row(name, *cells)
    return table


def _format_number(value: float) -> str:
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1
    return f"{value:,.{digits}f}"


def _format_interval(results: EpisodeResults) -> str:
    low, high = results.returns.interval
    return f"{_format_number(low)} to {_format_number(high)}"


def _format_success(results: EpisodeResults) -> str:
    return "" if results.success_rate is None else f"{results.success_rate:.0%}"


ROWS: dict[str, Callable[[EpisodeResults], str]] = {
    "mean return": lambda results: _format_number(results.returns.mean),
    "95% interval (bootstrap)": _format_interval,
    "standard deviation": lambda results: _format_number(results.returns.std),
    "interquartile mean": lambda results: _format_number(results.returns.iqm),
    "median": lambda results: _format_number(results.returns.median),
    "lowest, highest": lambda r: (
        f"{_format_number(r.returns.low)}, {_format_number(r.returns.high)}"
    ),
    "success": _format_success,
    "episode length": lambda results: _format_number(results.lengths.mean),
    "steps/s": lambda results: f"{results.steps_per_second:,.0f}",
}
"""The rows of the table, and how each is computed from a policy's episodes."""


def print_report(report: Report) -> None:
    """Print the table on stdout."""
    Console(file=sys.stdout).print(report_table(report))
