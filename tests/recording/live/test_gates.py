"""A gated policy, with blocks or without, is recorded as it was and changes nothing by that."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.gated_extractor import attention_policy_kwargs
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.overlay import compose

STEPS = 5


class Rooms(gym.Env):
    """Random numbers and a random picture, for a few steps."""

    observation_space = spaces.Dict(
        a=spaces.Box(-1, 1, (3,)), image=spaces.Box(0, 255, (1, 12, 12), np.uint8)
    )
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 1.0, False, False, {}


def build(**words: object) -> PPO:
    kwargs = attention_policy_kwargs(PPO, Rooms.observation_space, **words)
    model = PPO("MultiInputPolicy", Rooms(), policy_kwargs=kwargs, seed=0, device="cpu")
    with torch.no_grad():
        for parameter in model.policy.features_extractor.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def play(model: PPO, env: gym.Env) -> list[tuple[int, dict]]:
    happened = []
    torch.manual_seed(1)
    with AttentionTap(model.policy) as tap:
        obs, _ = env.reset(seed=2)
        for _ in range(STEPS):
            action, _ = model.predict(obs)
            happened.append((int(action), {m.name: m for m in tap.take().maps}))
            obs, *_ = env.step(int(action))
    return happened


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("block", ["residual", "isab", "channel"])
def test_every_layer_is_recorded(tmp_path, block: str, full: bool) -> None:
    model = build(layers=2, width=12, heads=3, block=block)
    plain = play(model, Rooms())
    recorder = RecordAttention(Rooms(), model, tmp_path / "seen", full=full, map_dtype="float32")
    live = play(model, recorder)
    recorder.close()
    assert [action for action, _ in live] == [action for action, _ in plain]
    recording = open_recording(tmp_path / "seen")
    specs = {spec.name: spec for spec in recording.header.maps}
    assert {f"actor/1/{part}" for part in ("numbers", "image")} <= set(specs)
    size = 3 + 100
    for step, (_, maps) in zip(recording.episodes[0], live, strict=True):
        assert step.attended and step.mask.all() and len(step.mask) == size
        assert set(maps) == set(specs)
        for name, heard in maps.items():
            own = heard.weights[0].numpy()
            if specs[name].derived:
                own = own[:, own.any((0, 2))].mean(1, keepdims=True)
            np.testing.assert_allclose(step.maps[name], own, atol=1e-6)
        compose(step, recording.header)


def test_a_block_and_a_gate_are_rolled_out(tmp_path) -> None:
    """Of one part alone attention is followed through all layers."""
    space = spaces.Box(-1, 1, (4,))
    kwargs = attention_policy_kwargs(PPO, space, layers=2, width=12, heads=3)
    model = PPO("MlpPolicy", "CartPole-v1", policy_kwargs=kwargs, device="cpu")
    with RecordAttention(gym.make("CartPole-v1"), model, tmp_path / "seen", full=True) as env:
        obs, _ = env.reset(seed=0)
        env.step(model.predict(obs)[0])
    names = [spec.name for spec in open_recording(tmp_path / "seen").header.maps]
    assert names == ["actor/0", "actor/1", "actor/rollout"]
