"""AttentionExtractor and the tap in unmodified Stable-Baselines3."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from torch import nn

from attention_agents.envs.tokens.spaces import MAX_TOKENS, Cells, Entities, TokenBox
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.hard_attention.hard_attention import HardAttention
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.attention.visibility.visibility import Visibility
from attention_agents.policies.inspect.attention_modules import (
    attention_extractors,
    attention_modules,
    mechanism_text,
)
from attention_agents.policies.inspect.tap import AttentionTap, probe_maps
from attention_agents.policies.registries import HARD_ATTENTIONS, VISIBILITIES
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.tokens import Tokens

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
    role, extractor = next(iter(attention_extractors(model.policy).items()))
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
    assert set(attention_extractors(model.policy)) == roles


def test_dqn_online_network_is_watched_and_its_target_is_not():
    model = build(DQN, SPACES["vector"])
    assert attention_extractors(model.policy) == {"online": model.policy.q_net.features_extractor}


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
    weight = model.policy.features_extractor.encoder.attention_modules()[0].attention.inputs.weight
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
    assert not any(
        a.listeners for _, a in model.policy.features_extractor.encoder.attention_modules()
    )


class Echo(TappableAttention):
    """Passes on what it gets, and tells weights that show how often it has run."""

    queries, keys, heads = "readout", "steps", 2

    def __init__(self, part: str = ""):
        super().__init__()
        self.part, self.runs = part, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        if self.listeners:
            self.report(AttentionWeights(torch.full((len(x), 2, 1, 3), float(self.runs)), None))
        return x


class Outside(nn.Module):
    """A policy with attention in its extractor, after it, and in a target network."""

    def __init__(self, shared: bool = True):
        super().__init__()
        self.observation_space = SPACES["entities"]
        self.features_extractor = AttentionExtractor(self.observation_space, **SMALL)
        self.pi_features_extractor = self.vf_features_extractor = self.features_extractor
        if not shared:
            self.vf_features_extractor = AttentionExtractor(self.observation_space, **SMALL)
        self.action_net = nn.Sequential(nn.Identity(), Echo("pointer"))
        self.lstm_actor, self.lstm_critic = Echo(), Echo()
        self.critic_target = Echo()
        self.elsewhere = Echo()

    def act(self, obs: torch.Tensor) -> torch.Tensor:
        return self.action_net(self.lstm_actor(self.features_extractor(obs)))

    def judge(self, obs: torch.Tensor) -> torch.Tensor:
        return self.lstm_critic(self.vf_features_extractor(obs))

    def predict(self, obs, deterministic=False):
        self.eval()
        return self.act(torch.as_tensor(obs)[None]), None


OBS = torch.tensor([[[1, 0.5], [0, 0.5], [1, 0.2], [1, 0.1], [0, 0.0]]] * 2)


def test_attention_after_the_extractor_is_heard_with_it():
    policy = Outside()
    assert [seat.name for seat in attention_modules(policy)] == [
        "actor/0", "actor/1", "actor/2", "actor/3/pointer", "critic/2",
    ]  # fmt: skip
    with AttentionTap(policy) as tap:
        policy.act(OBS)
        policy.act(OBS)
        acted = tap.take()
        policy.lstm_actor(OBS)  # by itself, of no pass
        assert tap.take() is None
        policy.judge(OBS)
        judged = tap.take()
    assert [one.name for one in acted.maps] == ["actor/0", "actor/1", "actor/2", "actor/3/pointer"]
    assert [one.layer for one in acted.maps] == [0, 1, 2, 3]
    assert acted.maps[2].weights.unique().tolist() == [2], "the latest pass counts"
    assert acted.maps[3].part == "pointer" and acted.maps[3].keys == "steps"
    assert [one.name for one in judged.maps] == ["actor/0", "actor/1", "critic/2"]
    assert set(judged.features) == {"actor"}
    for one in (*acted.maps, *judged.maps):
        assert torch.equal(one.mask, OBS[..., 0] > 0), "tokens are present in the whole pass"


def test_a_role_with_its_own_extractor_has_a_pass_of_its_own():
    policy = Outside(shared=False)
    with AttentionTap(policy) as tap:
        policy.judge(OBS)
        policy.act(OBS)
        policy.judge(OBS)
        seen = tap.take()
    names = ["actor/0", "actor/1", "actor/2", "actor/3/pointer", "critic/0", "critic/1", "critic/2"]
    assert [one.name for one in seen.maps] == names
    assert set(seen.features) == {"actor", "critic"}
    assert seen.maps[-1].weights.unique().tolist() == [2]
    assert seen.maps[2].weights.unique().tolist() == [1]


def test_a_module_that_speaks_several_times_in_a_pass_is_taken_at_its_last_word():
    policy = Outside()
    with AttentionTap(policy) as tap:
        features = policy.features_extractor(OBS)
        for _ in range(3):
            features = policy.lstm_actor(features)
        seen = tap.take()
    assert [one.name for one in seen.maps] == ["actor/0", "actor/1", "actor/2"]
    assert seen.maps[-1].weights.unique().tolist() == [3]


def test_a_pass_that_fails_is_not_taken_for_one():
    policy = Outside()
    with AttentionTap(policy) as tap:
        policy.act(OBS)
        with pytest.raises(RuntimeError):
            policy.act(OBS[..., :1])
        policy.features_extractor.encoder.blocks[0](Tokens(torch.zeros(7, 5, 12), None))
        seen = tap.take()
    assert [len(one.weights) for one in seen.maps] == [2, 2, 2, 2]


def test_two_modules_of_one_name_are_refused():
    policy = Outside()
    policy.features_extractor.encoder.blocks.append(nn.Sequential(Echo("a"), Echo("a")))
    with pytest.raises(ValueError, match="2 attention modules go by the name 'actor/1/a'; give"):
        AttentionTap(policy)


def test_a_rehearsal_is_heard_by_nobody_else_and_leaves_no_trace():
    policy = Outside().train()
    policy.lstm_critic.eval()
    with AttentionTap(policy) as tap:
        policy.act(OBS)
        before = {name: value.clone() for name, value in policy.state_dict().items()}
        streams = torch.get_rng_state(), policy.observation_space.np_random.bit_generator.state
        rehearsed = probe_maps(policy)
        assert torch.equal(torch.get_rng_state(), streams[0])
        assert policy.observation_space.np_random.bit_generator.state == streams[1]
        seen = tap.take()
    names = ["actor/0", "actor/1", "actor/2", "actor/3/pointer"]
    assert [one.name for one in rehearsed.maps] == [one.name for one in seen.maps] == names
    assert {len(one.weights) for one in rehearsed.maps} == {1}
    assert {len(one.weights) for one in seen.maps} == {2}
    assert policy.training and policy.action_net.training and not policy.lstm_critic.training
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())


def test_a_failed_rehearsal_leaves_the_listeners():
    policy = Outside()
    with AttentionTap(policy):
        ears = [seat.module.listeners for seat in attention_modules(policy)]
        policy.action_net.append(nn.Linear(5, 5))
        with pytest.raises(RuntimeError):
            probe_maps(policy)
        assert [seat.module.listeners for seat in attention_modules(policy)] == ears


class EchoLSTM(Echo):
    """SB3's LSTM, which tells as well."""

    def __init__(self, lstm: nn.LSTM):
        super().__init__()
        self.lstm, self.input_size = lstm, lstm.input_size

    def forward(self, x, state):
        super().forward(x[-1])
        return self.lstm(x, state)


def test_recurrent_ppo_is_watched_and_trains_to_the_bit_as_without():
    contrib = pytest.importorskip("sb3_contrib")

    def trained(watch: bool):
        kwargs = dict(
            features_extractor_class=AttentionExtractor,
            features_extractor_kwargs=SMALL,
            lstm_hidden_size=7,
        )
        env = Coin(SPACES["entities"])
        model = contrib.RecurrentPPO(
            "MlpLstmPolicy",
            env,
            n_steps=8,
            batch_size=8,
            policy_kwargs=kwargs,
            seed=0,
            device="cpu",
        )
        for name in ("lstm_actor", "lstm_critic"):
            setattr(model.policy, name, EchoLSTM(getattr(model.policy, name)))
        tap = AttentionTap(model.policy)
        if watch:
            tap.attach()
        model.learn(24)
        return model, tap

    plain, _ = trained(False)
    watched, tap = trained(True)
    left, right = plain.policy.state_dict(), watched.policy.state_dict()
    assert all(torch.equal(left[name], right[name]) for name in left)
    tap.take()
    watched.predict(watched.get_env().reset())
    assert [one.name for one in tap.take().maps] == ["actor/0", "actor/1", "actor/2"]
    assert [one.name for one in probe_maps(watched.policy).maps] == [
        "actor/0",
        "actor/1",
        "actor/2",
    ]


@pytest.mark.parametrize(
    ("mechanism", "texts"),
    [
        (AttentionConfig(), ["", ""]),
        (AttentionConfig(score="general", temperature=0.5), ["general, temperature 0.5"] * 2),
        (AttentionConfig(top_k=2), ["", ""]),
    ],
)
def test_a_map_says_how_it_weighs(mechanism, texts):
    extractor = AttentionExtractor(SPACES["entities"], **SMALL, attention=mechanism)
    assert [mechanism_text(each) for _, each in extractor.encoder.attention_modules()] == texts


def test_a_mechanism_is_told_with_its_number(monkeypatch):
    """Of a window around the asker a learned query has none, and says nothing of it."""

    class Near(Visibility):
        needs_query_tokens = True

    monkeypatch.setattr(VISIBILITIES, "_pieces", dict(VISIBILITIES._pieces))
    monkeypatch.setattr(HARD_ATTENTIONS, "_pieces", dict(HARD_ATTENTIONS._pieces))
    VISIBILITIES.register("near", "tokens within `window` steps")(Near)
    soft = {"forward": lambda self, scores, soft, visible: soft}
    HARD_ATTENTIONS.register("few", "the `top_k` best")(type("Few", (HardAttention,), soft))
    words = AttentionConfig(visibility="near", window=3, hard_attention="few", top_k=2)
    extractor = AttentionExtractor(SPACES["entities"], **SMALL, attention=words, readout="query")
    texts = [mechanism_text(each) for _, each in extractor.encoder.attention_modules()]
    assert texts == ["few 2, near 3", "few 2"]


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
