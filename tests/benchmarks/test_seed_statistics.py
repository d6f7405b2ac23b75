"""Statistics over training seeds, against arithmetic and against the words they become."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from benchmarks.seed_statistics import (
    difference_interval,
    iqm,
    iqm_interval,
    probability_of_improvement,
    verdict,
)


def scores(*values: float) -> np.ndarray:
    return np.array(values, float)


def test_the_interquartile_mean_is_scipys_trimmed_mean() -> None:
    rng = np.random.default_rng(3)
    for count in (1, 2, 3, 5, 8, 11):
        values = rng.normal(size=count)
        assert iqm(values) == pytest.approx(trim_mean(values, 0.25))


def test_the_interval_of_an_interquartile_mean_ignores_an_outlier_that_the_mean_does_not() -> None:
    values = np.append(np.random.default_rng(3).normal(10, 1, 30), 1000)
    low, high = iqm_interval(values)
    assert 8 < low < 10 < high < 12


def test_the_probability_of_improvement_is_mann_whitneys_statistic() -> None:
    rng = np.random.default_rng(3)
    ours, baseline = (rng.integers(6, size=size).astype(float) for size in (5, 7))
    expected = mannwhitneyu(ours, baseline).statistic / 35
    assert probability_of_improvement(ours, baseline) == pytest.approx(expected)


def test_the_interval_of_a_difference_is_that_of_two_independent_means() -> None:
    rng = np.random.default_rng(3)
    ours, baseline = rng.normal(5, 3, 400), rng.normal(1, 4, 100)
    half = 1.96 * np.hypot(3 / 20, 4 / 10)
    middle = ours.mean() - baseline.mean()
    assert difference_interval(ours, baseline) == pytest.approx(
        (middle - half, middle + half), abs=0.15
    )


@pytest.mark.parametrize(
    ("ours", "baseline", "words"),
    [
        (scores(20, 21, 22), scores(10, 11, 12), "better"),
        (scores(10, 11, 12), scores(20, 21, 22), "worse"),
        (scores(500, 500, 500), scores(500, 500, 500), "no worse"),
        (scores(495, 500, 500), scores(500, 500, 500), "no worse"),
        (scores(10, 20, 30), scores(15, 20, 25), "no difference"),
        (scores(1, 2), scores(1, 2), "too few seeds"),
        (scores(-1, 0, 1), scores(-1, 0, 1), "baseline not above random"),
    ],
)
def test_a_verdict_in_words(ours: np.ndarray, baseline: np.ndarray, words: str) -> None:
    assert verdict(ours, baseline, random_mean=0.0) == words
