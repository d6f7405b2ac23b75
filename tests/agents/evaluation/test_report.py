"""What a report says of its episodes, number by number and as a table."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from rich.console import Console

from attention_agents import evaluate
from attention_agents.agents.evaluation.report import EpisodeResults, Report, report_table
from attention_agents.agents.evaluation.statistics import bootstrap_interval
from attention_agents.agents.rollouts.episodes import PlayedEpisode
from attention_agents.envs.random_streams import derive_seed

EPISODES = [
    PlayedEpisode(7, 5.0, 3, True),
    PlayedEpisode(8, 50.0, 4, False),
    PlayedEpisode(9, 500.0, 6, True),
]
RESULTS = EpisodeResults(EPISODES, seconds=2.0)


def show_report(agent: EpisodeResults) -> str:
    report = Report(
        env="CartPole-v1",
        algo="ppo",
        encoder="gate",
        run="runs/ppo/CartPole-v1_1",
        checkpoint="best",
        trained_steps=12_345,
        episodes=3,
        seed=7,
        stochastic=False,
        max_episode_steps=500,
        created="2026-01-01T00:00:00+00:00",
        agent=agent,
        random=None,
    )
    console = Console(width=100)
    with console.capture() as capture:
        console.print(report_table(report))
    return capture.get()


def test_numbers_of_episodes() -> None:
    assert RESULTS.success_rate == pytest.approx(2 / 3)
    assert RESULTS.steps_per_second == pytest.approx(6.5)
    assert RESULTS.returns.mean == pytest.approx(185.0)
    assert RESULTS.lengths.median == 4


def test_success_is_not_known_or_known_of_some() -> None:
    unknown = EpisodeResults([PlayedEpisode(1, 0.0, 1, None)], 1.0)
    assert unknown.success_rate is None
    some = EpisodeResults([*EPISODES, PlayedEpisode(10, 0.0, 1, None)], 1.0)
    assert some.success_rate == pytest.approx(2 / 3)


def test_the_table_says_which_episodes() -> None:
    text = show_report(RESULTS)
    assert "CartPole-v1: ppo after 12,345 steps (best)" in text
    assert "3 episodes, seeds 7 to 9, most likely actions" in text
    assert "random policy" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(9.0, " 9.000 "), (10.0, " 10.00 "), (99.0, " 99.00 "), (100.0, " 100.0 "), (-9.0, "-9.000")],
)
def test_digits_follow_the_size(value: float, text: str) -> None:
    results = EpisodeResults([PlayedEpisode(1, value, 1, None)] * 2, 1.0)
    (line,) = (line for line in show_report(results).splitlines() if "median" in line)
    assert text in line


def test_an_interval_is_that_of_the_stated_generator() -> None:
    scores = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    draws = np.random.default_rng(derive_seed(0, "bootstrap")).integers(5, size=(500, 5))
    expected = np.quantile(scores[draws].mean(1), [0.025, 0.975])
    np.testing.assert_array_equal(bootstrap_interval(scores, resamples=500), expected)


def test_a_hundred_episodes_by_default() -> None:
    assert inspect.signature(evaluate).parameters["episodes"].default == 100
