"""No two purposes share a random stream, and none is that of an environment with the same seed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from gymnasium.utils import seeding

from attention_agents.envs.random_streams import BOUND, PURPOSES, derive_seed


@pytest.mark.parametrize("seed", [0, 1, 10_000, BOUND - 1])
def test_streams_are_independent(seed: int) -> None:
    """The environment's own stream is the first, by the seed itself; all agree by chance alone."""
    streams = {purpose: np.random.default_rng(derive_seed(seed, purpose)) for purpose in PURPOSES}
    draws = {name: rng.integers(2, size=4000) for name, rng in streams.items()}
    draws["environment"] = seeding.np_random(seed)[0].integers(2, size=4000)
    for first, second in combinations(draws.values(), 2):
        assert abs((first == second).mean() - 0.5) < 0.04  # five standard deviations


def test_seeds_differ_and_stay_in_bounds() -> None:
    seeds = [derive_seed(seed, purpose) for seed in range(1000) for purpose in PURPOSES]
    assert len(set(seeds)) > len(seeds) - 3  # of 8000 among 2**31, 0.01 pairs are expected
    assert min(seeds) >= 0 and max(seeds) < BOUND


def test_the_same_seed_gives_the_same_stream() -> None:
    assert derive_seed(3, "bootstrap") == derive_seed(3, "bootstrap") != derive_seed(4, "bootstrap")
