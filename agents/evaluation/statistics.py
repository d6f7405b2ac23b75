"""How a handful of episode scores becomes a few honest numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from attention_agents.envs.random_streams import derive_seed

RESAMPLES = 10_000


class Interval(NamedTuple):
    """A confidence interval, in units of the score."""

    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """One score over episodes."""

    count: int
    mean: float
    std: float
    """Standard deviation of the sample (ddof=1); 0 with one episode."""
    interval: Interval
    """95% bootstrap interval of the mean."""
    iqm: float
    median: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"interval": list(self.interval)}


def summarize_episodes(scores: Float[np.ndarray, "E"]) -> Summary:
    """Summarize the scores of E episodes.

    Raises:
        ValueError: there are no scores.
    """
    if len(scores) == 0:
        raise ValueError("a summary needs at least one episode, got none")
    return Summary(
        count=len(scores),
        mean=float(np.mean(scores)),
        std=float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0,
        interval=bootstrap_interval(scores),
        iqm=interquartile_mean(scores),
        median=float(np.median(scores)),
        low=float(np.min(scores)),
        high=float(np.max(scores)),
    )


def interquartile_mean(scores: Float[np.ndarray, "E"]) -> float:
    """Return the interquartile mean: the mean without the lowest and the highest quarter.

    `cut = floor(E / 4)`, `iqm = mean(sorted(scores)[cut : E - cut])`

    >>> interquartile_mean(np.array([0.0, 1.0, 2.0, 300.0]))
    1.5

    Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical
        Precipice, section 4.3, https://arxiv.org/abs/2108.13264.
    """
    cut = len(scores) // 4
    return float(np.mean(np.sort(scores)[cut : len(scores) - cut]))


def bootstrap_interval(
    scores: Float[np.ndarray, "E"], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the percentile bootstrap interval of the mean.

    The E scores are drawn E times with replacement, `resamples` times over; the interval holds the
    middle `level` of the means. It assumes no shape, and never leaves the range of the scores.
    Equal scores give an interval of width 0.

    Args:
        scores: one number per episode.
        level: share of the means inside the interval, between 0 and 1.
        resamples: how many samples are drawn.
        seed: of the generator that draws them, so that equal scores give equal intervals.

    Source: Efron 1979, Bootstrap Methods: Another Look at the Jackknife,
        https://doi.org/10.1214/aos/1176344552.
    """
    rng = np.random.default_rng(derive_seed(seed, "bootstrap"))
    means = np.empty(resamples)
    for start in range(0, resamples, 1000):  # in parts: the index array of all would be large
        part = means[start : start + 1000]
        draws = rng.integers(len(scores), size=(len(part), len(scores)))
        part[:] = scores[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
