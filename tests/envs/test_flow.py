"""Every kind of observation flows: from the environment through attention to a trained policy."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO

from attention_agents.envs.make import make_env
from attention_agents.envs.tokens.layout import Conv
from attention_agents.envs.tokens.spaces import TokenBox, build_layout, choose_specs
from attention_agents.envs.tokens.specs import Cells, Entities, Patches
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.extractor import AttentionExtractor
from tests.envs.worlds import Sampler

UNIT = spaces.Dict(hp=spaces.Box(0, 7, (1,)), kind=spaces.Discrete(3))
VIEW = TokenBox(0, 4, (6, 2), np.uint8, tokens=Cells(2, 3, (5, 5)))
PICTURE = TokenBox(0, 255, (3, 6, 8), np.uint8, tokens=Patches(6, 8, 3, (Conv(5, 2, 2),)))

WORLDS = {
    "sequence": (spaces.Sequence(UNIT), {"max_entities": 67}),
    "stacked sequence": (spaces.Sequence(spaces.Discrete(3), stack=True), {"max_entities": 67}),
    "graph": (
        spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Box(0, 1, (1,))),
        {"max_entities": 97},
    ),
    "graph without edges": (spaces.Graph(spaces.Discrete(3), None), {}),
    "inside a dict": (
        spaces.Dict(units=spaces.Sequence(UNIT), camera=spaces.Box(0, 255, (3, 36, 36), np.uint8)),
        {"max_entities": 67},
    ),
    "kinds of entities": (
        spaces.Dict(
            men=TokenBox(
                -1, 1, (5, 3), tokens=Entities(5, ("x", "there", "y"), 1, 0, "man", (0, 2))
            ),
            trees=TokenBox(0, 1, (3, 2), tokens=Entities(3, ("there", "height"), 0)),
        ),
        {},
    ),
    "frames of cells": (VIEW, {"history": 3}),
    "frames of bytes": (PICTURE, {"history": 3}),
    "frames in a dict": (
        spaces.Dict(view=VIEW, camera=PICTURE, gear=spaces.Discrete(3)),
        {"history": 3},
    ),
    "history of a vector": (spaces.Box(-1, 1, (5,)), {"history": 3}),
}
TASKS = {
    "cue recall": ("attention/CueRecall-v0", {"history": 8}),
    "collect": ("attention/Collect-v0", {}),
}


class Short(gym.Wrapper):
    """Pay for action 0, and end the episode after five steps."""

    steps = 0

    def reset(self, **kwargs):
        self.steps = 0
        return self.env.reset(**kwargs)

    def step(self, action):
        self.steps += 1
        obs, _, terminated, _, info = self.env.step(action)
        return obs, float(action == 0), terminated, self.steps == 5, info


@pytest.fixture
def world():
    def make(name):
        if name in TASKS:
            env_id, arguments = TASKS[name]
            return make_env(env_id, **arguments)
        space, arguments = WORLDS[name]
        gym.register("Flow-v0", lambda **_: Short(Sampler(space)))
        try:
            return make_env("Flow-v0", **arguments)
        finally:
            gym.registry.pop("Flow-v0")

    return make


def built(algorithm, env, **arguments):
    policy = "MultiInputPolicy" if isinstance(env.observation_space, spaces.Dict) else "MlpPolicy"
    extractor = dict(
        features_extractor_class=AttentionExtractor,
        features_extractor_kwargs=dict(layers=2, width=12, heads=3),
    )
    return algorithm(policy, env, policy_kwargs=extractor, seed=0, device="cpu", **arguments)


@pytest.mark.parametrize("name", [*WORLDS, *TASKS])
def test_ppo_trains_and_every_weight_learns(name, world):
    env = world(name)
    model = built(PPO, env, n_steps=32, batch_size=16, n_epochs=2)
    extractor = model.policy.features_extractor
    before = {key: value.detach().clone() for key, value in extractor.named_parameters()}
    model.learn(64)
    after = dict(extractor.named_parameters())
    assert all(value.isfinite().all() for value in after.values())
    still = [key for key in before if torch.equal(before[key], after[key])]
    assert not [key for key in still if "empty_vector" not in key], "these weights did not move"


@pytest.mark.parametrize("name", ["frames of cells", "frames of bytes", "collect"])
def test_dqn_trains_from_its_replay_buffer(name, world):
    model = built(DQN, world(name), learning_starts=16, batch_size=8, buffer_size=64)
    model.learn(48)
    assert all(p.isfinite().all() for p in model.policy.parameters())


@pytest.mark.parametrize("name", [*WORLDS, *TASKS])
def test_absent_tokens_are_not_attended_to(name, world):
    env = world(name)
    model = built(PPO, env, n_steps=32, batch_size=16)
    layout = build_layout(choose_specs(env.observation_space))
    obs, _ = env.reset(seed=1)
    with AttentionTap(model.policy) as tap:
        model.predict(obs)
        heard = tap.take()
    readout = heard.maps[-1]
    assert readout.weights.shape[-1] == len(layout)
    assert readout.weights.sum(-1) == pytest.approx(1, abs=1e-5)
    if readout.mask is not None:
        assert not readout.weights[0, :, :, ~readout.mask[0]].any()
        assert 0 < readout.mask.sum() < len(layout)
