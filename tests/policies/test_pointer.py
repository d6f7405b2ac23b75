"""Pointer actions: what is drawn is what decides."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO

from envs.make import make_env
from envs.spaces import Entities, TokenBox
from policies.maskable_pointer import MaskablePointerPolicy
from policies.pointer import PointerPolicy, pointer_targets
from policies.tap import AttentionTap

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


def test_what_cannot_be_pointed_at_is_refused():
    with pytest.raises(ValueError, match=r"one action per entity, got 2 actions for 0 entities"):
        PPO(PointerPolicy, "CartPole-v1")
    with pytest.raises(ValueError, match="a pointer needs Discrete actions"):
        PPO(PointerPolicy, "Pendulum-v1")


def test_targets_leave_the_agent_out_where_it_has_no_action():
    model = PPO(PointerPolicy, Scene(), policy_kwargs=KWARGS, device="cpu")
    layout = model.policy.features_extractor.layout
    assert pointer_targets(layout, 4) == (1, 2, 3, 4)
    assert pointer_targets(layout, 5) == (0, 1, 2, 3, 4)
