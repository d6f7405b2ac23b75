"""Arguments of the algorithms: shares, counts and types are held to their rules."""

from __future__ import annotations

import pytest

from attention_agents.agents.algorithms.hyperparameters import (
    COUNTS,
    SHARES,
    check_hyperparams,
    constructor_parameters,
)
from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.run_config import RunConfig

TAKEN = [(algo, name) for algo in ALGORITHMS for name in constructor_parameters(algo)]


def config(algo: str, name: str, value: float) -> RunConfig:
    return RunConfig("CartPole-v1", algo, 100, 1, 2, hyperparams={name: value})


@pytest.mark.parametrize(
    ("algo", "name"),
    [
        *[(algo, name) for algo, name in TAKEN if "tau" in name or "gamma" in name],
        *[(algo, name) for algo, name in TAKEN if name in ("gae_lambda", "exploration_fraction")],
        *[(a, name) for a, name in TAKEN if name.endswith("_eps") and "exploration" in name],
    ],
)
def test_a_share_is_between_0_and_1(algo: str, name: str) -> None:
    for value in (-0.01, 1.01):
        with pytest.raises(ValueError, match=f"{name} must be 0 to 1, got {value}"):
            check_hyperparams(config(algo, name, value))
    for value in (0.0, 1.0):
        check_hyperparams(config(algo, name, value))


@pytest.mark.parametrize(("algo", "name"), [pair for pair in TAKEN if pair[1] in COUNTS])
def test_a_count_is_at_least_1(algo: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        check_hyperparams(config(algo, name, 0))


def test_every_share_and_count_is_an_argument_of_some_algorithm() -> None:
    assert {*SHARES, *COUNTS} <= {name for _, name in TAKEN}
