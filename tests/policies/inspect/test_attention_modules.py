"""For which role an attention module works, by its path in a policy."""

from __future__ import annotations

import pytest
from torch import nn

from attention_agents.policies.attention.tappable import TappableAttention
from attention_agents.policies.inspect.attention_modules import (
    ROLES,
    acting_role,
    attention_modules,
    features_extractors,
)

EXTRACTORS = {
    "features_extractor": "actor",
    "pi_features_extractor": "actor",
    "vf_features_extractor": "critic",
    "actor.features_extractor": "actor",
    "critic.features_extractor": "critic",
    "q_net.features_extractor": "online",
    "quantile_net.features_extractor": "online",
}
NETWORKS = {
    "lstm_actor": "actor",
    "lstm_critic": "critic",
    "mlp_extractor.policy_net": "actor",
    "mlp_extractor.value_net": "critic",
    "mlp_extractor": "actor",
    "action_net": "actor",
    "value_net": "critic",
    "actor": "actor",
    "critic": "critic",
    "q_net": "online",
    "quantile_net": "online",
}
TARGETS = ("q_net_target", "actor_target.mu", "critic_target.features_extractor")


def add_attention(policy: nn.Module, path: str) -> TappableAttention:
    """Put an attention module below a path of a policy."""
    node = policy
    for name in path.split("."):
        if name not in dict(node.named_children()):
            node.add_module(name, nn.Module())
        node = node.get_submodule(name)
    attention = TappableAttention()
    node.add_module("attention", attention)
    return attention


@pytest.mark.parametrize(("path", "role"), NETWORKS.items())
def test_a_module_outside_of_extractors_works_for_the_role_of_its_path(path, role):
    policy = nn.Module()
    policy.add_module("features_extractor", nn.Identity())
    attention = add_attention(policy, path)
    (entry,) = attention_modules(policy)
    assert (entry.role, entry.layer, entry.in_extractor) == (role, 0, False)
    assert entry.module is attention and entry.name == f"{role}/0"


@pytest.mark.parametrize(("path", "role"), EXTRACTORS.items())
def test_an_extractor_works_for_the_role_of_its_path(path, role):
    policy = nn.Module()
    add_attention(policy, path)
    assert features_extractors(policy) == {role: policy.get_submodule(path)}
    (entry,) = attention_modules(policy)
    assert (entry.role, entry.layer, entry.in_extractor) == (role, 0, True)


@pytest.mark.parametrize("path", TARGETS)
def test_target_networks_are_left_out(path):
    policy = nn.Module()
    policy.add_module("features_extractor", nn.Identity())
    add_attention(policy, path)
    assert attention_modules(policy) == []


def test_every_path_has_a_test():
    assert {*EXTRACTORS, *NETWORKS} - {"mlp_extractor.policy_net"} == set(ROLES)


def test_the_acting_role_is_the_one_that_is_not_the_critics():
    assert acting_role(["critic", "actor"]) == "actor"
    assert acting_role(["online"]) == "online"
