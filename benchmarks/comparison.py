"""The tables of a comparison of encoders, as Markdown, from the files of its runs alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.compared_tasks import TASKS
from benchmarks.learning_curves import final_return, return_at, seconds_to, write_curves
from benchmarks.seed_statistics import (
    difference_interval,
    iqm,
    iqm_interval,
    probability_of_improvement,
    verdict,
)
from benchmarks.table import markdown, number, short, with_interval
from benchmarks.training_run import RANDOM, Result

BASELINES = ("cnn", "stock", "ungated")
"""Encoders that others are held against, of which a task's first one here counts."""
SCORES = ("task", "steps", "random", "encoder", "seeds", "IQM (95% interval)", "against")
SCORES += ("difference of means (95% interval)", "P(improvement)", "verdict")
COSTS = ("task", "encoder", "weights", "CPU minutes", "steps per CPU second", "ratio")
COSTS += ("return at equal time", "CPU minutes to the baseline's return")
SETTINGS = ("task", "algorithm", "environments", "normalized", "hyperparameters", "from")
SEEDS = ("task", "encoder", "mean return of each seed")


@dataclass(frozen=True)
class Encoded:
    """The runs of one encoder on one task."""

    name: str
    runs: tuple[Result, ...]

    @property
    def scores(self) -> Float[np.ndarray, "S"]:
        return np.array([run["mean"] for run in self.runs])

    @property
    def speed(self) -> float:
        """Environment steps per second of the processor."""
        return float(np.median([run["train_steps"] / run["cpu_seconds"] for run in self.runs]))

    @property
    def seconds(self) -> float:
        return float(np.mean([run["cpu_seconds"] for run in self.runs]))


@dataclass(frozen=True)
class Comparison:
    """All runs on one task with one number of steps."""

    task: str
    steps: int
    random: Result | None
    encoders: tuple[Encoded, ...]

    @property
    def baseline(self) -> Encoded | None:
        by_name = {each.name: each for each in self.encoders}
        return next((by_name[name] for name in BASELINES if name in by_name), None)

    @property
    def settings(self) -> Result:
        """Of the first run; `lacks` says whether others have the same."""
        return self.encoders[0].runs[0]

    @property
    def lacks(self) -> str:
        """Say what is missing for a verdict; empty when nothing is."""
        keys = ("algo", "n_envs", "normalize", "hyperparameters", "episodes")
        runs = [run for each in self.encoders for run in each.runs]
        if any(run[key] != self.settings[key] for run in runs for key in keys):
            return "settings differ"
        return "no random policy" if self.random is None else ""


def comparisons(results: Sequence[Result]) -> list[Comparison]:
    """Sort results by task, in the order of the table of tasks; other tasks follow."""
    keys = sorted({(run["task"], run["steps"]) for run in results}, key=_order)
    return [made for key in keys if (made := _comparison(key, results)).encoders]


def report(results: Sequence[Result], folder: Path | None) -> str:
    """Return the page.

    Args:
        results: of all runs.
        folder: where the learning curves are drawn; None for no drawing.
    """
    found = comparisons(results)
    if not found:
        raise ValueError("there are no finished runs to report")
    parts = [
        "# Comparison",
        "Encoders in unmodified Stable-Baselines3, with the same settings and training seeds; made "
        "by\n`python benchmarks/compare.py --report > benchmarks/compare.md`. "
        "[README.md](README.md) says how.",
        "## Scores",
        markdown(SCORES, (row for each in found for row in _score_rows(each))),
        "## Cost",
        markdown(COSTS, (row for each in found for row in _cost_rows(each))),
        "## Seeds",
        markdown(SEEDS, (row for each in found for row in _seed_rows(each))),
        "## Settings",
        markdown(SETTINGS, map(_setting_row, found)),
        *_made_with(results),
    ]
    if folder is not None:
        groups = {(c.task, e.name): e.runs for c in found for e in c.encoders}
        path = write_curves(groups, folder / "curves.png")
        parts += ["## Learning curves", f"![Learning curves](results/{folder.name}/{path.name})"]
    return "\n\n".join(parts)


def _comparison(key: tuple[str, int], results: Sequence[Result]) -> Comparison:
    runs = sorted(
        (run for run in results if (run["task"], run["steps"]) == key), key=lambda run: run["seed"]
    )
    names = sorted({run["encoder"] for run in runs} - {RANDOM}, key=_encoder_order)
    encoders = (
        Encoded(name, tuple(run for run in runs if run["encoder"] == name)) for name in names
    )
    return Comparison(
        *key, next((r for r in runs if r["encoder"] == RANDOM), None), tuple(encoders)
    )


def _score_rows(of: Comparison) -> Iterator[Sequence[str]]:
    baseline = of.baseline
    random = "" if of.random is None else number(of.random["mean"])
    for each in of.encoders:
        scores = each.scores
        cells = (of.task, short(of.steps), random, each.name, str(len(scores)))
        shown = with_interval(iqm(scores), iqm_interval(scores))
        if baseline is None or each is baseline:
            yield (*cells, shown, "", "", "", "")
            continue
        other = baseline.scores
        difference = float(scores.mean() - other.mean())
        yield (
            *(*cells, shown, baseline.name),
            with_interval(difference, difference_interval(scores, other)),
            f"{probability_of_improvement(scores, other):.2f}",
            of.lacks or verdict(scores, other, of.random["mean"] if of.random else 0.0),
        )


def _cost_rows(of: Comparison) -> Iterator[Sequence[str]]:
    baseline = of.baseline or of.encoders[0]
    target = float(np.mean([final_return(run) for run in baseline.runs]))
    equal = min(each.seconds for each in of.encoders)
    for each in of.encoders:
        at_equal = float(np.mean([return_at(run, equal) for run in each.runs]))
        yield (
            *(of.task, each.name, f"{each.runs[0]['parameters']:,}", f"{each.seconds / 60:.1f}"),
            *(f"{each.speed:,.0f}", f"{each.speed / baseline.speed:.2f}", number(at_equal)),
            _time_to(each, target),
        )


def _time_to(encoded: Encoded, target: float) -> str:
    times = [seconds_to(run, target) for run in encoded.runs]
    reached = [time for time in times if time is not None]
    if not reached:
        return "never"
    return f"{np.median(reached) / 60:.2f} ({len(reached)} of {len(times)} seeds)"


def _seed_rows(of: Comparison) -> Iterator[Sequence[str]]:
    for each in of.encoders:
        scores = (f"{run['seed']}: {number(run['mean'])}" for run in each.runs)
        yield of.task, each.name, ", ".join(scores)


def _setting_row(of: Comparison) -> Sequence[str]:
    run = of.settings
    words = ", ".join(f"{k} {_plain(v)}" for k, v in run["hyperparameters"].items())
    source = TASKS[of.task].source if of.task in TASKS else "SB3 defaults"
    return (
        *(of.task, run["algo"], str(run["n_envs"]), run["normalize"] or "nothing"),
        *(words or "SB3's own", source),
    )


def _made_with(results: Sequence[Result]) -> Iterator[str]:
    for name, values in (
        ("Commits", [run["commit"] for run in results]),
        ("Processors", [run["cpu"] for run in results]),
        ("Versions", [json.dumps(run["versions"], sort_keys=True) for run in results]),
    ):
        yield f"{name}: {'; '.join(sorted(set(values)))}"


def _plain(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return "(" + ", ".join(f"{k} {_plain(v)}" for k, v in value.items()) + ")"


def _order(key: tuple[str, int]) -> tuple[int, str, int]:
    names = list(TASKS)
    return (names.index(key[0]) if key[0] in TASKS else len(names), *key)


def _encoder_order(name: str) -> tuple[bool, str]:
    return name in BASELINES, name
