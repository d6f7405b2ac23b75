"""Tokens removed inside a policy: what comes out is what it would say if they were not there."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor

from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Cells, Entities, Features
from attention_agents.policies.inspect.token_inputs import token_inputs
from attention_agents.policies.inspect.token_removal import (
    RemovalVariants,
    TokenRemoval,
    describe_removal,
)
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.gated_extractor import GatedExtractor
from attention_agents.policies.tokens import Tokens

B, N, F = 3, 5, 4
KEYS = ("dash", "herd")
ENTITIES = TokenBox(
    -9, 9, (N, F), tokens=Entities(N, ("presence", "x", "y", "speed"), presence=0, ego=0)
)
FEATURES = TokenBox(-9, 9, (2,), tokens=Features(("fuel", "oil")))


class Still(gym.Env):
    """A world that is only there to have spaces."""

    action_space = spaces.Discrete(3)

    def __init__(self, observation_space):
        self.observation_space = observation_space


def policy_for(space, **options):
    torch.manual_seed(1)
    kind = "MultiInputPolicy" if isinstance(space, spaces.Dict) else "MlpPolicy"
    extractor = dict(width=12, heads=3, layers=2)
    kwargs = dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=extractor)
    return PPO(
        kind, Still(space), policy_kwargs=kwargs | options, n_steps=8, batch_size=8, device="cpu"
    ).policy


def herds(seed=0, absent=()):
    rows = np.random.default_rng(seed).normal(size=(B, N, F)).astype("f")
    rows[:, :, 0] = 1
    rows[:, list(absent)] = 0
    return torch.as_tensor(rows)


def with_means(policy, obs):
    removal = TokenRemoval(policy)
    with removal.measure_means():
        policy.extract_features(obs)
    return removal


def removed(*tokens, count=N):
    row = torch.zeros(len(tokens), count, dtype=torch.bool)
    for v, each in enumerate(tokens):
        row[v, list(each)] = True
    return row


def test_with_nothing_removed_the_features_are_those_of_each_row():
    policy, obs = policy_for(ENTITIES), herds()
    before = policy.extract_features(obs)
    removal = with_means(policy, obs)
    rows = torch.tensor([2, 0, 0, 1, 2])
    with removal.remove_tokens(RemovalVariants(rows, removed((), (), (), (), ()))):
        after = policy.extract_features(obs)
    torch.testing.assert_close(after, before[rows])
    torch.testing.assert_close(policy.extract_features(obs), before, rtol=0, atol=0)


def test_a_maskable_token_is_gone_as_if_the_environment_had_left_it_out():
    policy, obs = policy_for(ENTITIES), herds(absent=(4,))
    removal = with_means(policy, obs)
    assert removal.maskable.tolist() == [True] * N
    without = obs.clone()
    without[:, 2] = 0
    with removal.remove_tokens(RemovalVariants(torch.arange(B), removed((2,), (2,), (2,)))):
        after = policy.extract_features(obs)
    torch.testing.assert_close(after, policy.extract_features(without))
    with removal.remove_tokens(RemovalVariants(torch.arange(B), removed((4,), (4,), (4,)))):
        nothing = policy.extract_features(obs)  # it was absent anyhow
    torch.testing.assert_close(nothing, policy.extract_features(obs))


def test_all_tokens_can_be_removed():
    policy, obs = policy_for(ENTITIES), herds()
    removal = with_means(policy, obs)
    with removal.remove_tokens(RemovalVariants(torch.tensor([0, 1]), removed(range(N), range(N)))):
        first, second = policy.extract_features(obs)
    assert torch.isfinite(first).all()
    torch.testing.assert_close(first, second)


def test_a_token_that_is_always_there_is_replaced_by_its_mean():
    policy = policy_for(FEATURES)
    obs = torch.as_tensor(np.random.default_rng(0).normal(size=(7, 2)).astype("f"))
    removal = with_means(policy, obs)
    assert removal.maskable.tolist() == [False, False]
    extractor = policy.features_extractor
    values = extractor.tokenizer(obs).values
    values[:, 1] = values[:, 1].mean(0)
    with removal.remove_tokens(RemovalVariants(torch.arange(7), removed(*[(1,)] * 7, count=2))):
        after = policy.extract_features(obs)
    torch.testing.assert_close(after, extractor.encoder(Tokens(values, None)))


def test_the_mean_is_over_what_was_looked_at_and_present():
    policy = policy_for(spaces.Dict(dash=FEATURES, herd=ENTITIES))
    herd = herds()
    herd[1, 3] = 0
    obs = {"dash": torch.randn(B, 2), "herd": herd}
    removal = TokenRemoval(policy)
    with removal.measure_means():  # in two parts
        policy.extract_features({key: part[:2] for key, part in obs.items()})
        policy.extract_features({key: part[2:] for key, part in obs.items()})
    values = policy.features_extractor.tokenizer(obs).values
    (means,) = removal.means.values()
    torch.testing.assert_close(means.baseline[0][:2], values[:, :2].mean(0))
    torch.testing.assert_close(means.baseline[0][2 + 3], values[[0, 2], 2 + 3].mean(0))
    assert means.counts[0][:, 0].tolist() == [3, 3, 3, 3, 3, 2, 3]
    assert removal.maskable.tolist() == [False, False, *[True] * N]


def test_every_extractor_of_a_policy_goes_without():
    policy, obs = policy_for(ENTITIES, share_features_extractor=False), herds()
    removal = with_means(policy, obs)
    assert set(removal.inputs) == {"actor", "critic"}
    without = obs.clone()
    without[:, 1] = 0
    with removal.remove_tokens(RemovalVariants(torch.arange(B), removed((1,), (1,), (1,)))):
        after = policy.extract_features(obs)
    for own, expected in zip(after, policy.extract_features(without), strict=True):
        torch.testing.assert_close(own, expected)


def test_tokens_can_be_kept_and_replaced():
    policy, obs = policy_for(ENTITIES), herds(absent=(4,))
    removal = TokenRemoval(policy)
    with removal.capture_tokens() as kept:
        before = policy.extract_features(obs)
    (part,) = kept["actor"]
    leaf = part.values.detach().clone().requires_grad_()
    with removal.replace_tokens({"actor": (part._replace(values=leaf),)}):
        after = policy.extract_features(obs)
    torch.testing.assert_close(after, before)
    (gradient,) = torch.autograd.grad(after.square().sum(), leaf)
    assert (gradient[:, :4].abs().sum(-1) > 0).all()
    assert (gradient[:, 4] == 0).all()  # absent: masks stay


def test_hooks_are_gone_after_a_fault():
    policy, obs = policy_for(ENTITIES), herds()
    removal = with_means(policy, obs)
    with (
        pytest.raises(ZeroDivisionError),
        removal.remove_tokens(RemovalVariants(torch.arange(B), removed((1,), (1,), (1,)))),
    ):
        raise ZeroDivisionError
    assert not policy.features_extractor.tokenizer._forward_hooks
    assert not any(part._forward_hooks for part in policy.features_extractor.tokenizer.parts)


def test_removing_before_looking_is_refused():
    removal = TokenRemoval(policy_for(ENTITIES))
    with (
        pytest.raises(ValueError, match="the mean of the tokens is not known yet; pass"),
        removal.remove_tokens(RemovalVariants(torch.arange(B), removed((1,), (1,), (1,)))),
    ):
        pass


PLANES = TokenBox(0, 1, (3, 6, 4), tokens=Cells(6, 4, channels=3, channels_first=True))
MIXED = spaces.Dict(look=PLANES, dash=FEATURES, gear=spaces.Discrete(3))


@pytest.mark.parametrize("options", [dict(features_extractor_class=GatedExtractor), {}])
def test_a_gate_and_a_stock_network_go_without_tokens_at_the_same_place(options):
    stock = dict(features_extractor_class=CombinedExtractor, features_extractor_kwargs={})
    policy = policy_for(MIXED, **(stock | options))
    MIXED.seed(2)
    rows = [MIXED.sample() for _ in range(B)]
    obs, _ = policy.obs_to_tensor({key: np.stack([r[key] for r in rows]) for key in MIXED})
    removal, inputs = with_means(policy, obs), token_inputs(policy)["actor"]
    assert not removal.maskable.any()
    count = len(inputs.layout)
    last = count - 1  # a cell of the picture: keys of a Dict are sorted
    with removal.remove_tokens(
        RemovalVariants(torch.tensor([2, 0]), removed((0, last), (), count=count))
    ):
        after = policy.extract_features(obs)
    torch.testing.assert_close(after[1], policy.extract_features(obs)[0])
    with removal.capture_tokens() as kept:
        policy.extract_features(obs)
    parts = []
    for part, own, mean in zip(
        inputs.parts, kept["actor"], removal.means["actor"].baseline, strict=True
    ):
        values = own.values[2:].clone()
        for token in {0, last} & set(part.index):
            values[:, part.index.index(token)] = mean[part.index.index(token)]
        parts.append(own._replace(values=values))
    torch.testing.assert_close(after[:1], inputs.features_from_tokens(tuple(parts)))
    assert (after[0] != policy.extract_features(obs)[2]).any()


def test_tokens_can_be_replaced_by_zeros():
    policy = policy_for(
        FEATURES, features_extractor_class=FlattenExtractor, features_extractor_kwargs={}
    )
    obs = torch.as_tensor(np.random.default_rng(0).normal(size=(7, 2)).astype("f"))
    removal = TokenRemoval(policy, "zero")
    with removal.measure_means():
        policy.extract_features(obs)
    with removal.remove_tokens(RemovalVariants(torch.arange(2), removed((1,), (0,), count=2))):
        after = policy.extract_features(obs)
    assert torch.equal(
        after, torch.stack([obs[0] * torch.tensor([1, 0]), obs[1] * torch.tensor([0, 1])])
    )


def test_how_tokens_are_removed_is_said():
    (group,) = ENTITIES.tokens.token_groups("herd")
    assert describe_removal(group, True) == "herd: masked"
    (group,) = FEATURES.tokens.token_groups("")
    assert describe_removal(group, False) == "features: replaced by their mean over the episode"
    assert describe_removal(group, False, baseline="zero") == "features: replaced by zeros"
