"""Seeds of episodes: which, and how large."""

from __future__ import annotations

import pytest

from attention_agents.agents.rollouts.seeds import BOUND, episode_seeds, periodic_seeds


def test_periodic_seeds_are_distinct_and_fit_small_generators_whatever_the_run() -> None:
    assert list(periodic_seeds(1, 3)) == [2_000_000, 2_000_001, 2_000_002]
    assert periodic_seeds(7, 3) == periodic_seeds(7, 3)
    for run_seed in (0, 4294, 4295, 2**31 - 1, 2**32 - 1):
        seeds = periodic_seeds(run_seed, 100)
        assert len(seeds) == 100
        assert seeds[0] >= 0 and seeds[-1] < BOUND


def test_a_large_seed_works_in_an_environment_with_a_small_generator() -> None:
    pytest.importorskip("minatar")
    from attention_agents.envs.make import make_env

    env = make_env("MinAtar/Breakout-v1")
    env.reset(seed=periodic_seeds(4294, 1)[0])
    env.reset(seed=episode_seeds(BOUND - 1, 1)[0])


@pytest.mark.parametrize(
    ("first", "episodes", "text"),
    [
        (-1, 1, "seed must be at least 0, got -1"),
        (5, 0, "episodes must be at least 1, got 0"),
        (BOUND - 6, 7, "seed must be at most 2147483641, got 2147483642"),
    ],
)
def test_seeds_out_of_range_are_refused(first: int, episodes: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        episode_seeds(first, episodes)
