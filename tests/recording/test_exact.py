"""Recorded weights beside a recomputation in float64: nothing is lost on the way to the disk."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from attention_agents.envs.tokens.spaces import Entities, TokenBox
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording

N, STEPS = 5, 70


class Cars(gym.Env):
    """Five cars of three numbers; the last two are there now and then."""

    observation_space = TokenBox(
        -3, 3, (N, 3), tokens=Entities(N, ("presence", "x", "v"), presence=0, ego=0)
    )
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._cars(), {}

    def step(self, action):
        return self._cars(), 0.0, False, False, {}

    def _cars(self):
        cars = self.np_random.normal(size=(N, 3)).astype(np.float32).clip(-3, 3)
        cars[:, 0] = [1, 1, 1, *self.np_random.integers(0, 2, 2)]
        return cars


@pytest.mark.parametrize(("dtype", "error"), [("uint8", 1 / 255), ("float32", 1e-5)])
@pytest.mark.parametrize("sharp", [1.0, 30.0])
def test_a_recorded_map_is_what_float64_gives(tmp_path, dtype, error, sharp):
    sizes = dict(width=12, heads=3, layers=2)
    kwargs = dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=sizes)
    model = PPO("MlpPolicy", Cars(), policy_kwargs=kwargs, n_steps=8, batch_size=8, device="cpu")
    parameters = model.policy.named_parameters()
    asking = [weight for name, weight in parameters if name.split(".")[-2] in ("query", "key")]
    assert asking
    with torch.no_grad():
        for weight in asking:
            weight.mul_(sharp**0.5)
    env = RecordAttention(Cars(), model, tmp_path / "seen", full=True, map_dtype=dtype)
    obs, _ = env.reset(seed=3)
    for _ in range(STEPS):
        obs, *_ = env.step(model.predict(obs, deterministic=True)[0])
    env.close()

    policy = copy.deepcopy(model.policy).double()
    (episode,) = open_recording(tmp_path / "seen").episodes
    seen = torch.as_tensor(np.stack([step.observation[""] for step in episode])).double()
    tap = AttentionTap(policy)
    tap.attach()
    with torch.no_grad():
        policy.features_extractor(seen)
    heard = tap.take()
    assert heard is not None and len(episode) == STEPS
    for one in heard.maps:
        assert one.weights.dtype == torch.float64
        recorded = np.stack([step.maps[one.name] for step in episode])
        exact = one.weights.numpy()
        assert exact.max() > 0.5
        assert np.abs(recorded - exact).max() <= error
