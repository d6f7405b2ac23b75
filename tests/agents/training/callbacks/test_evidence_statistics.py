"""Shares of evidence while a policy trains: they are true, and training is as without them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import DQN, PPO, SAC
from torch import nn

from attention_agents.agents.training.callbacks.evidence_statistics import (
    EvidenceStatisticsCallback,
    absolute_shares,
    evidence_statistics,
    find_evidence,
)
from tests.policies.inspect.test_evidence import NUMBERS, Still

B = 7


def test_shares_are_means_over_rows_of_shares_of_absolute_evidence():
    values = torch.tensor([[1.0, -3.0, 0.0], [0.0, 0.0, 0.0], [2.0, 1.0, -1.0]])
    assert absolute_shares(values).tolist() == pytest.approx([0.375, 0.5, 0.125])
    assert absolute_shares(torch.zeros(2, 3)) is None


def test_a_number_that_the_policy_does_not_use_has_no_share():
    """All first layers of the policy read two of five numbers alone, one twice as strongly."""
    model = PPO("MlpPolicy", Still(NUMBERS), policy_kwargs=dict(net_arch=[], activation_fn=nn.Tanh),
                n_steps=8, batch_size=8, seed=0, device="cpu")  # fmt: skip
    with torch.no_grad():
        weights = model.policy.action_net.weight  # (4, 5)
        weights.zero_()
        weights[0, 1], weights[0, 3] = 2.0, -1.0
    rng = np.random.default_rng(0)
    observations = rng.choice([-1.0, 1.0], (64, 5)).astype("f")
    found = evidence_statistics(model.policy, find_evidence(model.policy), observations)
    shares = [found[f"share/x{i}"] for i in range(5)]
    assert shares == pytest.approx([0, 0.66, 0, 0.34, 0], abs=0.06)
    assert found["effective_tokens"] == pytest.approx(1.9, abs=0.05)


def test_parts_of_an_observation_have_a_share_each():
    space = spaces.Dict(near=NUMBERS, far=NUMBERS)
    model = PPO("MultiInputPolicy", Still(space), n_steps=8, batch_size=8, seed=0, device="cpu")
    observations = {key: np.random.default_rng(1).normal(size=(B, 5)) for key in ("near", "far")}
    observations = {key: rows.astype("f") for key, rows in observations.items()}
    found = evidence_statistics(model.policy, find_evidence(model.policy), observations)
    assert set(found) == {"share/near", "share/far", "effective_tokens"}
    assert found["share/near"] + found["share/far"] == pytest.approx(1)


def test_what_needs_more_than_an_observation_is_left_out():
    sizes = dict(n_steps=8, batch_size=8, device="cpu")
    assert find_evidence(MaskablePPO("MlpPolicy", Still(NUMBERS), **sizes).policy) is None
    assert find_evidence(RecurrentPPO("MlpLstmPolicy", Still(NUMBERS), **sizes).policy) is None


@pytest.mark.parametrize("algorithm", [PPO, DQN, SAC])
def test_training_is_bit_for_bit_as_without(algorithm):
    actions = spaces.Box(-1, 1, (2,)) if algorithm is SAC else None
    sizes = dict(n_steps=16, batch_size=8) if algorithm is PPO else dict(learning_starts=20)

    def train(callback):
        env = Still(NUMBERS, actions)
        env.observation_space.seed(0)
        model = algorithm("MlpPolicy", env, seed=0, device="cpu", **sizes)
        model.learn(48, callback=callback)
        return model.policy.state_dict()

    plain, watched = train(None), train(EvidenceStatisticsCallback(16))
    for name, value in plain.items():
        assert torch.equal(watched[name], value), name
