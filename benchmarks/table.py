"""What the runs reached, as Markdown, from the lines of results/learning.jsonl alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.evaluation.statistics import RESAMPLES, Interval
from benchmarks.rows import ROWS, Row

EPISODES = 100
"""Of an evaluation that a bar is held against."""

Line = dict[str, Any]
"""One run, as `benchmarks.learning.run` returns it."""


@dataclass(frozen=True)
class Group:
    """The runs of one row and length."""

    name: str
    """Of the row."""
    steps: int
    runs: tuple[Line, ...]
    """One per seed: the latest; in the order of the seeds."""
    replaced: tuple[Line, ...]
    """Earlier runs of the same seeds, oldest first."""

    @property
    def row(self) -> Row:
        return ROWS[self.name]

    @property
    def checkpoints(self) -> list[str]:
        """All that were evaluated; the row's own first."""
        seen = [*self.row.checkpoints, *(each for run in self.runs for each in run["evaluations"])]
        return [each for each in dict.fromkeys(seen) if self.of(each)]

    def of(self, checkpoint: str) -> list[Line]:
        """Return the runs in which a checkpoint was evaluated."""
        return [run for run in self.runs if checkpoint in run["evaluations"]]

    def returns(self, checkpoint: str) -> list[Float[np.ndarray, "E"]]:
        """Return the episode returns of a checkpoint, per training seed."""
        return [np.array(run["evaluations"][checkpoint]["returns"]) for run in self.of(checkpoint)]

    def settings(self) -> list[RunConfig]:
        """Return the different configurations of the runs, apart from their seeds."""
        each = [replace(RunConfig.from_json(run["config"]), seed=0) for run in self.runs]
        return [config for i, config in enumerate(each) if config not in each[:i]]

    def lacks(self, checkpoint: str) -> str:
        """Say what is missing for a verdict on a checkpoint; empty when nothing is."""
        seeds = tuple(run["seed"] for run in self.of(checkpoint))
        if self.steps != self.row.steps:
            return f"not {short(self.row.steps)} steps"
        if seeds != self.row.seeds:
            return f"not seeds {_words(self.row.seeds)}"
        if any(len(returns) != EPISODES for returns in self.returns(checkpoint)):
            return f"not {EPISODES} episodes"
        return "" if len(self.settings()) == 1 else "settings differ"


def groups(lines: Sequence[Line]) -> list[Group]:
    """Sort the lines of a file, oldest first, into groups, in the order of the rows."""
    found = []
    for name in ROWS:
        for steps in sorted({line["n_timesteps"] for line in lines if line["row"] == name}):
            runs = [line for line in lines if (line["row"], line["n_timesteps"]) == (name, steps)]
            latest = {run["seed"]: run for run in runs}
            counted = tuple(latest[seed] for seed in sorted(latest))
            earlier = tuple(run for run in runs if all(run is not each for each in counted))
            found.append(Group(name, steps, counted, earlier))
    return found


def table(lines: Sequence[Line], page: str = "learning") -> str:
    """Return a whole page: scores, cost, earlier runs and commands.

    Args:
        lines: of all pages.
        page: whose rows are shown.
    """
    lines = [line for line in lines if ROWS[line["row"]].page == page]
    found = groups(lines)
    machines = {f"{each['machine']['cpu']}, {each['machine']['cores']} cores" for each in lines}
    parts = [
        f"# {page.capitalize()}",
        f"Made by `python benchmarks/learning.py --table {page} > benchmarks/{page}.md` from\n"
        "[results/learning.jsonl](results/learning.jsonl); [README.md](README.md) says how.",
        "## Scores",
        markdown(SCORES, (row for group in found for row in _scores(group))),
        "Mean return over all seeds and episodes, with its 95% bootstrap interval over both (one "
        "seed: over\nepisodes alone). A bar is judged on the row's first checkpoint, and only with "
        f"the row's steps and\nseeds, {EPISODES} episodes and the same settings throughout.",
        "## Cost",
        markdown(COSTS, (_cost(group) for group in found)),
        f"Means per run, on {'; '.join(sorted(machines))}. Minutes are wall time of training, its "
        "evaluations\nincluded; several runs shared the machine, each in one thread, so alone they "
        "are quicker.",
        "## Earlier runs",
        "\n".join(_earlier(found)) or "None: no run was made twice.",
        "## Commands",
        "\n".join(["```sh", *dict.fromkeys(line["command"] for line in lines), "```"]),
    ]
    return "\n\n".join(parts)


SCORES = ("row", "environment", "algorithm", "steps", "checkpoint", "mean by seed")
SCORES += ("mean (95% interval)", "bar", "met", "earlier runs", "others reached")
COSTS = ("row", "steps", "runs", "weights", "minutes", "steps/s")


def _scores(group: Group) -> Iterator[Sequence[str]]:
    row = group.row
    for checkpoint in group.checkpoints:
        returns = group.returns(checkpoint)
        bar, met = "", ""
        if checkpoint == row.checkpoints[0]:
            bar, met = _judged(group)
        each = [
            f"{run['seed']}: {number(value.mean())}"
            for run, value in zip(group.of(checkpoint), returns, strict=True)
        ]
        yield (
            *(group.name, row.env, row.algo, short(group.steps), checkpoint),
            ", ".join(each),
            with_interval(mean(returns), seeds_interval(returns)),
            *(bar, met, str(len(group.replaced)), row.reference),
        )


def _judged(group: Group) -> tuple[str, str]:
    """Return the bar and whether it is met."""
    row = group.row
    checkpoint = row.checkpoints[0]
    if row.bar is None:
        return "", ""
    met = mean(group.returns(checkpoint)) >= row.bar
    return f"at least {row.bar:g}", verdict(group.lacks(checkpoint), met)


def verdict(lacks: str, met: bool) -> str:
    return f"incomplete: {lacks}" if lacks else "yes" if met else "no"


def _cost(group: Group) -> Sequence[str]:
    seconds = float(np.mean([run["train_seconds"] for run in group.runs]))
    weights = sorted({run["parameters"] for run in group.runs})
    return (
        *(group.name, short(group.steps), str(len(group.runs))),
        " or ".join(f"{count:,}" for count in weights),
        *(f"{seconds / 60:.1f}", f"{group.steps / seconds:,.0f}"),
    )


def _earlier(found: Iterable[Group]) -> Iterator[str]:
    for group in found:
        for run in group.replaced:
            figures = ", ".join(
                f"{name} {number(each['mean'])}" for name, each in run["evaluations"].items()
            )
            yield (
                f"- {group.name}, seed {run['seed']}, {short(group.steps)} steps, "
                f"{run['created'][:16].replace('T', ' ')}: {figures}"
            )


def mean(returns: Sequence[Float[np.ndarray, "E"]]) -> float:
    """Return the mean of the means of the training seeds."""
    return float(np.mean([each.mean() for each in returns]))


def seeds_interval(
    returns: Sequence[Float[np.ndarray, "E"]], resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the 95% bootstrap interval of the mean over training seeds and episodes.

    Args:
        returns: an array of episode returns per training seed.
        resamples: how many samples are drawn.
        seed: of the generator that draws them.
    """
    return _middle(bootstrap_means(returns, resamples, np.random.default_rng(seed)))


def bootstrap_means(
    returns: Sequence[Float[np.ndarray, "E"]], resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, "R"]:
    """Draw training seeds with replacement, and of each its episodes; return the means.

    What varies from run to run counts, not only what varies from episode to episode.

    Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8.
    """
    S = len(returns)
    runs = rng.integers(S, size=(resamples, S))
    means = [
        each[rng.integers(len(each), size=(resamples, S, len(each)))].mean(-1) for each in returns
    ]
    return np.take_along_axis(np.stack(means), runs[None], axis=0)[0].mean(-1)


def _middle(means: Float[np.ndarray, "R"]) -> Interval:
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


def short(steps: int) -> str:
    """Return a number of steps as people write it.

    >>> short(500_000), short(1_000_000), short(1234)
    ('500k', '1M', '1,234')
    """
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if steps % unit == 0:
            return f"{steps // unit}{name}"
    return f"{steps:,}"


def with_interval(value: float, interval: Interval) -> str:
    digits = _digits(max(abs(value), *map(abs, interval)))
    low, high = (f"{end:,.{digits}f}" for end in interval)
    return f"{value:,.{digits}f} ({low} to {high})"


def number(value: float) -> str:
    return f"{value:,.{_digits(abs(value))}f}"


def _digits(size: float) -> int:
    """Return how many decimals a score of this size deserves."""
    return next((digits for limit, digits in ((2, 3), (100, 2), (1000, 1)) if size < limit), 0)


def _words(values: Iterable[int]) -> str:
    return " ".join(str(value) for value in values)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
