"""What a handful of training seeds says about two encoders.

A score is the mean return of a seed's evaluation. Definitions are those of rliable.

Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice,
    section 4, https://arxiv.org/abs/2108.13264.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attention_agents.agents.evaluation.statistics import (
    RESAMPLES,
    Interval,
    bootstrap_interval,
    interquartile_mean,
)

MARGIN = 0.05
"""Share of (baseline - random) that counts as no loss."""
FEWEST_SEEDS = 3
"""Seeds of each side that a verdict asks for."""


def iqm_interval(scores: Float[np.ndarray, "S"], resamples: int = RESAMPLES) -> Interval:
    """Return the 95% bootstrap interval, over seeds, of the interquartile mean."""
    draws = _resample(scores, resamples, np.random.default_rng(0))  # (R, S)
    cut = len(scores) // 4
    middle = np.sort(draws, axis=1)[:, cut : len(scores) - cut].mean(1)
    return _middle(middle)


def difference_interval(
    ours: Float[np.ndarray, "S"], baseline: Float[np.ndarray, "T"], resamples: int = RESAMPLES
) -> Interval:
    """Return the 95% bootstrap interval of `mean(ours) - mean(baseline)`; seeds of each side are
    drawn on their own."""
    rng = np.random.default_rng(0)
    means = (_resample(scores, resamples, rng).mean(1) for scores in (ours, baseline))
    return _middle(next(means) - next(means))


def probability_of_improvement(
    ours: Float[np.ndarray, "S"], baseline: Float[np.ndarray, "T"]
) -> float:
    """Return how probable it is that a seed of ours scores above one of the baseline's; ties half.

    >>> probability_of_improvement(np.array([3.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    above = ours[:, None] > baseline
    equal = ours[:, None] == baseline
    return float(above.mean() + 0.5 * equal.mean())


def verdict(
    ours: Float[np.ndarray, "S"], baseline: Float[np.ndarray, "T"], random_mean: float
) -> str:
    """Say in words what the interval of the difference allows.

    better: the whole interval is above 0. no worse: above -5% of (baseline - random). worse: the
    whole interval is below 0. no difference: all else, so a loss is neither shown nor excluded.
    """
    if min(len(ours), len(baseline)) < FEWEST_SEEDS:
        return "too few seeds"
    low, high = difference_interval(ours, baseline)
    if low > 0:
        return "better"
    if bootstrap_interval(baseline).low <= random_mean:
        return "baseline not above random"
    if low > -MARGIN * (float(baseline.mean()) - random_mean):
        return "no worse"
    return "worse" if high < 0 else "no difference"


def iqm(scores: Float[np.ndarray, "S"]) -> float:
    """Return the interquartile mean of the seeds' scores."""
    return interquartile_mean(scores)


def _resample(
    scores: Float[np.ndarray, "S"], resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, "R S"]:
    return scores[rng.integers(len(scores), size=(resamples, len(scores)))]


def _middle(values: Float[np.ndarray, "R"]) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high))
