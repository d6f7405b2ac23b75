"""The numbers that evaluation reports, against literal values and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, trim_mean

from attention_agents.agents.evaluation.statistics import (
    bootstrap_interval,
    interquartile_mean,
    summarize_episodes,
)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([7.0], 7.0),
        ([1.0, 2.0, 6.0], 3.0),  # floor(3 / 4) = 0: nothing is cut
        ([300.0, 1.0, 2.0, -50.0], 1.5),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 700.0], 3.5),
        ([9.0, 0.0, 1.0, 2.0, 3.0, 4.0, 90.0], 3.8),  # one of seven is cut on either side
    ],
)
def test_iqm_by_hand(scores: list[float], expected: float) -> None:
    assert interquartile_mean(np.array(scores)) == pytest.approx(expected)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=53))
def test_iqm_is_the_trimmed_mean_that_rliable_publishes(scores: list[float]) -> None:
    expected = trim_mean(scores, proportiontocut=0.25)
    np.testing.assert_allclose(interquartile_mean(np.array(scores)), expected, rtol=1e-9, atol=1e-9)


def test_interval_agrees_with_scipy() -> None:
    scores = np.random.default_rng(5).normal(10.0, 3.0, size=97)
    ours = bootstrap_interval(scores)
    theirs = bootstrap(
        (scores,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(6)
    ).confidence_interval
    np.testing.assert_allclose(ours, theirs, atol=0.03)


def test_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    intervals = [
        bootstrap_interval(rng.exponential(2.0, size=61), resamples=500) for _ in range(200)
    ]
    held = np.mean([low <= 2.0 <= high for low, high in intervals])
    assert 0.88 <= held <= 0.99


def test_interval_is_the_same_each_time_and_empty_for_equal_scores() -> None:
    scores = np.array([1.0, 5.0, 2.0, 11.0, 3.0])
    assert bootstrap_interval(scores) == bootstrap_interval(scores)
    assert bootstrap_interval(np.full(5, 4.0)) == (4.0, 4.0)


def test_summary_by_hand() -> None:
    one = summarize_episodes(np.array([1.0, 2.0, 3.0, 6.0]))
    assert (one.count, one.mean, one.median, one.iqm, one.low, one.high) == (
        4,
        3.0,
        2.5,
        2.5,
        1.0,
        6.0,
    )
    assert one.std == pytest.approx((14 / 3) ** 0.5)
    assert one.low <= one.interval.low < one.mean < one.interval.high <= one.high
    assert summarize_episodes(np.array([4.0])).std == 0.0


def test_summary_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one episode, got none"):
        summarize_episodes(np.array([]))
