"""The numbers that say what attention is like, by hand, and in a training."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO

from attention_agents.agents.training.callbacks.attention_statistics import (
    AttentionStatisticsCallback,
    attention_pass,
    head_statistics,
    named_statistics,
)
from attention_agents.envs.tokens.spaces import Entities, TokenBox
from attention_agents.policies.inspect.tap import AttentionMap
from attention_agents.policies.sb3.extractor import AttentionExtractor
from tests.envs.worlds import Sampler


def a_map(weights, mask=None, queries="tokens") -> AttentionMap:
    mask = None if mask is None else torch.tensor(mask)
    return AttentionMap("actor/0", "actor", 0, queries, torch.tensor(weights), mask)


def test_one_case_by_hand():
    even, single = [0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0]
    half = [0.0, 0.5, 0.5, 0.0]
    weights = [[[even], [half]], [[single], [half]]]  # B=2, H=2, Q=1, N=4
    found = head_statistics(a_map(weights, queries="readout"))
    assert found.entropy.tolist() == pytest.approx([math.log(4) / 2, math.log(2)])
    assert found.effective.tolist() == pytest.approx([2.5, 2.0])
    assert found.max_weight.tolist() == pytest.approx([0.625, 0.5])
    assert found.similarity == pytest.approx(math.sqrt(0.5))  # cos(even, half) = cos(single, half)


def test_rows_of_absent_tokens_and_empty_samples_do_not_count():
    absent, row = [9.0, 9.0, 9.0], [0.5, 0.5, 0.0]
    weights = [[[row, row, absent]], [[absent, absent, absent]]]  # B=2, H=1, Q=N=3
    mask = [[True, True, False], [False, False, False]]
    found = head_statistics(a_map(weights, mask))
    assert found.effective.tolist() == pytest.approx([2.0])
    assert found.similarity is None
    assert head_statistics(a_map(weights, [[False] * 3] * 2)) is None
    readout = head_statistics(a_map([[[row]], [[absent]]], mask, queries="readout"))
    assert readout.max_weight.tolist() == [0.5]


def test_windows_without_a_token_do_not_count():
    """Of two present tokens the second sees nothing: its row is all 0."""
    found = head_statistics(a_map([[[[0.5, 0.5], [0.0, 0.0]]]], [[True, True]]))
    assert found.effective.tolist() == pytest.approx([2.0])
    assert found.max_weight.tolist() == [0.5]


def test_gates_have_a_mean_and_no_entropy():
    weights = [[[[0.9, 0.3, 0.0], [0.5, 0.1, 0.0], [7.0, 7.0, 7.0]]]]  # B=1, H=1, Q=N=3
    one = a_map(weights, [[True, True, False]])._replace(normalized_over="none")
    found = head_statistics(one)
    assert found.entropy is None and found.effective is None
    assert found.mean_weight.tolist() == pytest.approx([(0.9 + 0.3 + 0.5 + 0.1) / 4])
    assert found.max_weight.tolist() == pytest.approx([0.7])
    assert set(named_statistics(one)) == {"head0/mean_weight", "head0/max_weight"}


def test_weights_below_0_are_averaged_as_they_are():
    one = a_map([[[[0.5, -0.25]]], [[[0.5, 0.25]]]], queries="readout")
    found = head_statistics(one._replace(normalized_over="none"))
    assert found.mean_weight.tolist() == pytest.approx([0.25])


def test_hard_attention_has_a_share():
    """Of 2 and 4 present tokens, 1 and 2 are read by the first head, 1 and 1 by the second."""
    first = [[[1.0, 0.0, 0.0, 0.0]], [[0.0, 1.0, 0.0, 0.0]]]  # H=2, Q=1, N=4
    second = [[[0.5, 0.0, 0.5, 0.0]], [[0.0, 1.0, 0.0, 0.0]]]
    mask = [[True, True, False, False], [True, True, True, True]]
    one = a_map([first, second], mask, queries="readout")
    assert head_statistics(one).share_read is None
    found = head_statistics(one._replace(soft=torch.full((2, 2, 1, 4), 0.25)))
    assert found.share_read.tolist() == pytest.approx([(1 / 2 + 2 / 4) / 2, (1 / 2 + 1 / 4) / 2])


def test_tokens_that_choose_among_slots_are_rows():
    """Two slots, three tokens of which the last is absent; each token's weights sum to 1."""
    weights = [[[[1.0, 0.5, 0.0], [0.0, 0.5, 0.0]]]]  # B=1, H=1, Q=2, N=3
    one = a_map(weights, [[True, True, False]], queries="slots")
    one = one._replace(normalized_over="queries")
    named = named_statistics(one)
    assert named["head0/effective_slots"] == pytest.approx(
        1.5
    )  # 1 of the first token, 2 of the other
    assert named["head0/max_weight"] == pytest.approx(0.75)


def test_other_keys_go_by_their_name():
    """Absent tokens ask nothing of inducing points, all of which are there."""
    weights = [[[[0.5, 0.5], [1.0, 0.0]]]]  # B=1, H=1, Q=2, K=2
    named = named_statistics(a_map(weights, [[True, False]])._replace(keys="inducing points"))
    assert named["head0/effective_inducing_points"] == pytest.approx(2.0)
    beside = a_map([[[[0.5, 0.2, 0.3]]]], [[True, True]], "readout")._replace(extra_keys=("CLS",))
    named = named_statistics(beside)
    assert named["head0/weight_of_CLS"] == pytest.approx(0.3)
    assert named["head0/max_weight"] == pytest.approx(0.5)


class Empty(gym.Env):
    """Entities, of which there is never one."""

    observation_space = TokenBox(-1, 1, (3, 2), tokens=Entities(3, ("presence", "x"), presence=0))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros((3, 2), np.float32), {}

    def step(self, action):
        return np.zeros((3, 2), np.float32), 0.0, False, False, {}


def learn(env, callback, share=True):
    kwargs = {
        "features_extractor_class": AttentionExtractor,
        "features_extractor_kwargs": {"layers": 2, "heads": 3, "width": 12},
        "share_features_extractor": share,
    }
    model = PPO(
        "MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=1, policy_kwargs=kwargs, seed=1
    )
    recorded = {}
    model.learn(64, callback=callback)
    return model, recorded


class Kept(AttentionStatisticsCallback):
    """Keeps what is recorded."""

    def on_interval(self):
        super().on_interval()
        self.kept = {
            k: v for k, v in self.logger.name_to_value.items() if k.startswith("attention")
        }


def test_every_role_layer_and_head_is_recorded():
    callback = Kept(interval=50)
    learn("CartPole-v1", callback, share=False)
    heads = [
        f"attention/{role}/layer{layer}/head{head}/{name}"
        for role in ("actor", "critic")
        for layer in (0, 1)
        for head in (0, 1, 2)
        for name in ("entropy", "effective_tokens", "max_weight")
    ]
    pairs = [f"attention/{r}/layer{i}/head_similarity" for r in ("actor", "critic") for i in (0, 1)]
    assert set(callback.kept) == {*heads, *pairs}
    assert all(np.isfinite(value) for value in callback.kept.values())
    for name, value in callback.kept.items():
        low, high = (1, 4) if name.endswith("effective_tokens") else (0, math.log(4) + 1e-5)
        assert low - 1e-5 <= value <= high + 1e-5, name


def test_training_does_not_notice():
    watched, _ = learn("CartPole-v1", AttentionStatisticsCallback(interval=10))
    streams = torch.get_rng_state()
    alone, _ = learn("CartPole-v1", None)
    assert torch.equal(torch.get_rng_state(), streams)
    left, right = watched.policy.state_dict(), alone.policy.state_dict()
    assert all(torch.equal(left[key], right[key]) for key in left)


def test_a_replay_buffer_of_dicts_is_no_hindrance():
    """SB3's buffer exchanges members of the very observation that was handed to it."""
    callback = Kept(
        interval=1
    )  # at the 17th step the latest is not yet in the buffer, the first is
    kwargs = {"features_extractor_class": AttentionExtractor}
    env = Sampler(spaces.Dict(speed=spaces.Box(-1, 1, (3,)), gear=spaces.Discrete(4)))
    model = DQN("MultiInputPolicy", env, buffer_size=64, learning_starts=8, policy_kwargs=kwargs)
    model.learn(48, callback=callback)
    assert "attention/online/layer0/head0/entropy" in callback.kept


def test_nothing_there_is_nothing_recorded():
    callback = Kept(interval=50)
    learn(Empty(), callback)
    assert callback.kept == {}


def test_a_pass_asks_every_extractor_once():
    model, _ = learn("CartPole-v1", None, share=False)
    seen = attention_pass(model.policy, np.zeros((5, 4), np.float32))
    assert [one.name for one in seen.maps] == ["actor/0", "actor/1", "critic/0", "critic/1"]
    assert all(len(one.weights) == 5 for one in seen.maps)
