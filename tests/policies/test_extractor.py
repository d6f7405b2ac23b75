"""AttentionExtractor and the tap in unmodified Stable-Baselines3."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3

from envs.spaces import MAX_TOKENS, Cells, Entities, TokenBox
from policies import AttentionExtractor, AttentionTap, extractors_of

SMALL = dict(width=12, heads=3)


class Coin(gym.Env):
    """Give any observation; reward 1 for action 0."""

    def __init__(self, observation_space: spaces.Space, continuous: bool = False):
        self.observation_space = observation_space
        self.action_space = spaces.Box(-1, 1, (2,)) if continuous else spaces.Discrete(3)
        self.observation_space.seed(0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.steps += 1
        return (
            self.observation_space.sample(),
            float(np.all(action == 0)),
            False,
            self.steps == 5,
            {},
        )


SPACES = {
    "vector": spaces.Box(-1, 1, (5,)),
    "picture": spaces.Box(0, 255, (13, 11, 3), np.uint8),
    "entities": TokenBox(0, 1, (5, 2), tokens=Entities(5, ("presence", "x"), presence=0)),
    "cells": TokenBox(
        0, 255, (2, 7, 3), np.uint8, tokens=Cells(7, 3, channels=2, channels_first=True)
    ),
    "discrete": spaces.Discrete(7),
    "choices": spaces.MultiDiscrete([3, 2]),
    "bits": spaces.MultiBinary(5),
    "dict": spaces.Dict(
        a=spaces.Box(-1, 1, (2,)), b=spaces.Discrete(3), c=spaces.Box(0, 255, (11, 7, 3), np.uint8)
    ),
}


def build(algorithm, space, **policy):
    env = Coin(space, continuous=algorithm in (SAC, TD3))
    name = "MultiInputPolicy" if isinstance(space, spaces.Dict) else "MlpPolicy"
    kwargs = (
        dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=SMALL) | policy
    )
    extra = dict(n_steps=16) if algorithm in (PPO, A2C) else dict(learning_starts=8, buffer_size=64)
    if algorithm is PPO:
        extra["batch_size"] = 8
    elif algorithm in (DQN, SAC, TD3):
        extra["batch_size"] = 4
    return algorithm(name, env, policy_kwargs=kwargs, seed=0, device="cpu", **extra)


@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN, SAC, TD3])
@pytest.mark.parametrize("kind", SPACES)
def test_trains_and_is_watched_in_stock_sb3(algorithm, kind):
    model = build(algorithm, SPACES[kind]).learn(24)
    env = model.get_env()
    with AttentionTap(model.policy) as tap:
        model.predict(env.reset(), deterministic=True)
        seen = tap.take()
    assert tap.take() is None
    role, extractor = next(iter(extractors_of(model.policy).items()))
    assert [one.name for one in seen.maps] == [f"{role}/0", f"{role}/1"]
    N = len(extractor.layout)
    assert [one.weights.shape for one in seen.maps] == [(1, 3, N, N), (1, 3, 1, N)]
    assert seen.features[role].shape == (1, 12)


@pytest.mark.parametrize(
    ("algorithm", "share", "roles"),
    [
        (PPO, True, {"actor"}),
        (PPO, False, {"actor", "critic"}),
        (A2C, False, {"actor", "critic"}),
        (SAC, False, {"actor", "critic"}),
        (SAC, True, {"actor"}),
        (TD3, False, {"actor", "critic"}),
    ],
)
def test_roles_of_shared_and_separate_extractors(algorithm, share, roles):
    model = build(algorithm, SPACES["vector"], share_features_extractor=share)
    assert set(extractors_of(model.policy)) == roles


def test_dqn_online_network_is_watched_and_its_target_is_not():
    model = build(DQN, SPACES["vector"])
    assert extractors_of(model.policy) == {"online": model.policy.q_net.features_extractor}


def test_watching_changes_no_bit_of_a_training():
    def weights(watch: bool) -> dict[str, torch.Tensor]:
        model = build(PPO, SPACES["entities"])
        tap = AttentionTap(model.policy)
        if watch:
            tap.attach()
        model.learn(64)
        return model.policy.state_dict()

    plain, watched = weights(False), weights(True)
    assert all(torch.equal(plain[name], watched[name]) for name in plain)


def test_sb3_ortho_init_leaves_attention_alone():
    model = build(PPO, SPACES["vector"])
    weight = model.policy.features_extractor.encoder.attentions()[0].inputs.weight
    gram = weight.detach().T @ weight.detach()
    assert not torch.allclose(gram, gram.diagonal().mean() * torch.eye(12), atol=1e-3)


def test_two_taps_hear_the_same_and_let_go():
    model = build(PPO, SPACES["vector"])
    obs = model.get_env().reset()
    with AttentionTap(model.policy) as one:
        with AttentionTap(model.policy) as other:
            model.predict(obs)
            for mine, yours in zip(one.take().maps, other.take().maps, strict=True):
                assert torch.equal(mine.weights, yours.weights)
        model.predict(obs)
        assert one.take() is not None
        assert other.take() is None
    assert not any(a.listeners for a in model.policy.features_extractor.encoder.attentions())


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, (5000,)),
        spaces.MultiDiscrete([2] * 5000),
        spaces.MultiBinary(5000),
        spaces.Box(0, 1, (5000, 2)),
        spaces.Box(0, 255, (3, 16, 4000), np.uint8),
        TokenBox(0, 1, (37, 41, 2), tokens=Cells(37, 41, channels=2)),
        spaces.Dict({name: spaces.Box(-1, 1, (MAX_TOKENS // 2 + 1,)) for name in "ab"}),
    ],
)
def test_more_tokens_than_can_be_attended_to_are_refused(space):
    with pytest.raises(ValueError, match=r"would give \d+ tokens .* at most 1024 .* wrapper"):
        AttentionExtractor(space)


def test_a_policy_without_attention_is_refused():
    model = PPO("MlpPolicy", Coin(SPACES["vector"]), device="cpu")
    with pytest.raises(ValueError, match="ActorCriticPolicy has no AttentionExtractor; build"):
        AttentionTap(model.policy)
