"""Pointer actions: what is drawn is what decides."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from torch import Tensor, nn

from attention_agents.envs.make import make_env
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Entities, Frames
from attention_agents.envs.wrappers.padding import pad_space
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.maskable_pointer import MaskablePointerPolicy
from attention_agents.policies.sb3.pointer import (
    Pointer,
    PointerExtractor,
    PointerPolicy,
    find_targets,
)
from attention_agents.policies.testkit import check_mechanism, layer_context
from attention_agents.policies.tokens import Tokens

KWARGS = {"features_extractor_kwargs": {"width": 6, "heads": 3, "layers": 2}, "net_arch": [7]}


class Scene(gym.Env):
    """Five entities of which the first is the agent; four actions."""

    observation_space = TokenBox(
        -1, 1, (5, 3), tokens=Entities(5, ("presence", "x", "y"), presence=0, ego=0)
    )
    action_space = spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observe(), {}

    def step(self, action):
        return self.observe(), 0.0, True, False, {}

    def observe(self):
        rows = self.np_random.uniform(-1, 1, (5, 3)).astype(np.float32)
        rows[:, 0] = [1, 1, 0, 1, 1]
        return rows


def told(model, observation, **options):
    with AttentionTap(model.policy) as tap:
        model.predict(observation, **options)
        seen = tap.take()
    (one,) = (one for one in seen.maps if one.name.endswith("pointer"))
    return one.weights[:, 0, 0]  # (B, N)


def test_the_map_is_the_distribution():
    model = PPO(PointerPolicy, Scene(), policy_kwargs=KWARGS, seed=0, device="cpu", n_steps=8)
    observation = model.env.reset()
    tensors, _ = model.policy.obs_to_tensor(observation)
    probabilities = model.policy.get_distribution(tensors).distribution.probs
    weights = told(model, observation)
    assert weights.shape == (1, 5)
    torch.testing.assert_close(weights[:, 1:], probabilities)
    assert weights[0, 0] == 0, "nobody points at the agent itself"
    assert weights[0, 2] == 0, "nobody points at what is absent"
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))


def test_the_map_heeds_action_masks_in_every_pass():
    model = MaskablePPO(
        MaskablePointerPolicy, make_env("attention/Collect-v0"), policy_kwargs=KWARGS, seed=0
    )
    observation = model.env.reset()
    valid = np.zeros((1, 8), bool)
    present = np.flatnonzero(observation[0, :, 0] > 0.5)
    valid[0, present[:1]] = True
    weights = told(model, observation, action_masks=valid)
    assert weights[0].argmax() == present[0] and weights[0, present[0]] == 1
    tensors, _ = model.policy.obs_to_tensor(observation)
    with AttentionTap(model.policy) as tap:
        actions, _, log_prob = model.policy(tensors, action_masks=valid)
        rollout = tap.take().maps[-1].weights[0, 0, 0]
    assert actions.item() == present[0] and log_prob.item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(rollout, weights[0])


@pytest.mark.parametrize(
    ("algorithm", "policy"), [(PPO, PointerPolicy), (MaskablePPO, MaskablePointerPolicy)]
)
@pytest.mark.parametrize("share", [True, False])
def test_it_learns(algorithm, policy, share):
    env = make_env("attention/Collect-v0")
    kwargs = {**KWARGS, "share_features_extractor": share}
    model = algorithm(policy, env, n_steps=16, batch_size=8, policy_kwargs=kwargs, device="cpu")
    before = {name: each.clone() for name, each in model.policy.named_parameters()}
    model.learn(32)
    moved = {n for n, each in model.policy.named_parameters() if not torch.equal(each, before[n])}
    assert {"action_net.query.weight", "action_net.key.weight", "value_net.weight"} <= moved


def test_permuting_entities_permutes_the_decision():
    model = PPO(PointerPolicy, make_env("attention/Collect-v0"), policy_kwargs=KWARGS, seed=0)
    observation = model.env.reset()
    order = np.array([3, 0, 7, 1, 2, 6, 5, 4])
    torch.testing.assert_close(
        told(model, observation[:, order]), told(model, observation)[:, order.tolist()]
    )


class Few(Scene):
    """As many entities as the seed of `reset` says, none of which is the agent; four actions."""

    observation_space = TokenBox(
        -1, 1, (4, 3), tokens=Entities(4, ("presence", "x", "y"), presence=0)
    )
    present = 0

    def observe(self):
        rows = self.np_random.uniform(-1, 1, (4, 3)).astype(np.float32)
        rows[:, 0] = np.arange(4) < self.present
        return rows


def rows_of(present: int) -> np.ndarray:
    env = Few()
    env.present = present
    return env.reset(seed=3)[0][None]


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize(
    ("algorithm", "policy"), [(PPO, PointerPolicy), (MaskablePPO, MaskablePointerPolicy)]
)
@pytest.mark.parametrize("present", [0, 1, 3, 4])
def test_absent_entities_weigh_exactly_nothing(present, algorithm, policy, share):
    kwargs = {**KWARGS, "share_features_extractor": share}
    model = algorithm(policy, Few(), policy_kwargs=kwargs, seed=0, device="cpu")
    weights = told(model, rows_of(present))
    here = torch.arange(4) < present
    assert weights[:, ~here].eq(0).all() and weights[:, here].gt(0).all()
    torch.testing.assert_close(weights.sum(), torch.tensor(float(present > 0)))
    tensors, _ = model.policy.obs_to_tensor(rows_of(present))
    with AttentionTap(model.policy) as tap:
        actions, values, log_prob = model.policy(tensors)
        (rollout,) = (one for one in tap.take().maps if one.name.endswith("pointer"))
    assert torch.equal(rollout.mask, here[None])
    torch.testing.assert_close(rollout.weights[:, 0, 0], weights)
    assert actions.isfinite().all() and values.isfinite().all() and log_prob.isfinite().all()
    if not present:  # an action must be drawn all the same
        assert log_prob.item() == pytest.approx(np.log(1 / 4))


def test_without_entities_action_masks_still_count():
    model = MaskablePPO(MaskablePointerPolicy, Few(), policy_kwargs=KWARGS, seed=0, device="cpu")
    valid = np.array([[False, True, False, True]])
    drawn = [model.predict(rows_of(0), action_masks=valid)[0].item() for _ in range(40)]
    assert set(drawn) == {1, 3}
    assert told(model, rows_of(0), action_masks=valid).eq(0).all()


class Pointed(nn.Module):
    """A pointer as a function of tokens: how it weighs them, times what they hold."""

    def __init__(self):
        super().__init__()
        self.pointer = Pointer(PointerExtractor(Few.observation_space, 4, width=21, heads=3))

    def forward(self, tokens: Tokens) -> Tensor:
        x, mask, _ = tokens
        here = torch.ones_like(x[..., 0]) if mask is None else mask.to(x.dtype)
        summary = (here[..., None] * x).sum(1) / here.sum(1, keepdim=True).clamp(min=1)
        features = torch.cat([summary, torch.where(here[..., None] > 0, x, 0).flatten(1), here], 1)
        probabilities = self.pointer(features).softmax(-1)
        if self.pointer.listeners:
            self.pointer.report_probabilities(probabilities, features)
        return (probabilities * here)[..., None] * x


def test_kit():
    layout = PointerExtractor(Few.observation_space, 4, width=21, heads=3).layout
    check_mechanism(Pointed, layer_context(heads=3, layout=layout))


def test_what_cannot_be_pointed_at_is_refused():
    with pytest.raises(ValueError, match=r"one action per entity, got 2 actions for 0 entities"):
        PPO(PointerPolicy, "CartPole-v1")
    with pytest.raises(ValueError, match="a pointer needs Discrete actions"):
        PPO(PointerPolicy, "Pendulum-v1")


GRAPH = spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (1,)))


def test_a_graph_is_pointed_at_by_its_nodes():
    space, _ = pad_space(GRAPH, max_entities=5)
    extractor = PointerExtractor(space, 5, width=6, heads=3)
    assert [extractor.layout.names[row] for row in extractor.targets] == [
        f"node {i}" for i in range(5)
    ]
    assert find_targets(extractor.layout, 10) == tuple(range(10))  # nodes and edges
    text = r"7 actions for 10 entities \(5 of 'nodes', 5 of 'edges'\); use --policy-head .* Graph, "
    with pytest.raises(ValueError, match=text + "--max-entities 7$"):
        find_targets(extractor.layout, 7)


def test_the_key_that_fits_is_pointed_at():
    groups = (
        TokenGroup("features", ("speed",), "own"),
        TokenGroup("entities", tuple("abc"), "walls"),
        TokenGroup("entities", tuple("defgh"), "units", ego=1),
    )
    layout = TokenLayout(groups)
    assert find_targets(layout, 7) == (1, 2, 3, 4, 6, 7, 8)
    assert find_targets(layout, 3) == (1, 2, 3)
    assert find_targets(layout, 4) == (4, 6, 7, 8)


def test_a_sequence_with_other_room_is_told_of_it():
    space, _ = pad_space(spaces.Sequence(spaces.Box(-1, 1, (2,))), max_entities=32)
    text = r"5 actions for 32 entities; use --policy-head .* Sequence or Graph, --max-entities 5$"
    with pytest.raises(ValueError, match=text):
        PointerExtractor(space, 5)


def test_hidden_layers_of_the_actor_are_left_out_aloud():
    def policy(net_arch):
        kwargs = {"features_extractor_kwargs": KWARGS["features_extractor_kwargs"]}
        kwargs |= {} if net_arch is None else {"net_arch": net_arch}
        return PPO(PointerPolicy, Few(), policy_kwargs=kwargs, device="cpu").policy

    with pytest.warns(UserWarning, match=r"no hidden layers, .* pi=\[99\] of net_arch is left out"):
        made = policy(dict(pi=[99], vf=[11]))
    assert [each.out_features for each in made.mlp_extractor.value[::2]] == [11]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for net_arch, sizes in ((None, [64, 64]), ([7], [7]), (dict(vf=[5]), [5]), ([], [])):
            made = policy(net_arch)
            assert [each.out_features for each in made.mlp_extractor.value[::2]] == sizes


def test_a_saved_policy_loads_without_a_warning(tmp_path):
    model = PPO(PointerPolicy, Few(), policy_kwargs={}, seed=0, device="cpu")
    model.policy.save(tmp_path / "policy")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        again = PointerPolicy.load(tmp_path / "policy", device="cpu")
    observation = rows_of(3)
    assert (
        again.predict(observation, deterministic=True)[0]
        == (model.policy.predict(observation, deterministic=True)[0])
    )


def test_nobody_points_at_the_agent_itself():
    model = PPO(PointerPolicy, Scene(), policy_kwargs=KWARGS, device="cpu")
    layout = model.policy.features_extractor.layout
    assert find_targets(layout, 4) == (1, 2, 3, 4)
    text = r"4 entities beside the agent; use --policy-head .*; .* \(no ego\), all can "
    with pytest.raises(ValueError, match=text):
        find_targets(layout, 5)


def test_nobody_points_at_the_past():
    tokens = Scene.observation_space.tokens
    layout = TokenLayout(Frames(3, tokens).token_groups(""))
    assert find_targets(layout, 4) == (11, 12, 13, 14)
    with pytest.raises(ValueError, match="got 12 actions for 4 entities"):
        find_targets(layout, 12)
