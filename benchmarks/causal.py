"""How long a causal map takes: 100 tokens in each of 200 steps.

    python benchmarks/causal.py

A policy of the default size, untrained, plays 200 steps of a made-up grid of 10 by 10 cells; they
are recorded, and then the policy is asked again with each token removed. The clock runs for the
whole scoring of the recording: reading it, asking, and nothing else.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gymnasium as gym
import numpy as np
from stable_baselines3 import PPO

from attention_agents.agents.cli.command import run_script
from attention_agents.agents.faithfulness.recorded_policy import RecordedPolicy
from attention_agents.agents.faithfulness.single_removals import leave_one_out
from attention_agents.agents.training.train import torch_settings
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Cells
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording
from benchmarks.learning import machine

SIDE = 10


@dataclass(frozen=True)
class CausalConfig:
    """Measure how long a causal map takes."""

    steps: int = 200
    """Steps of the recording."""
    threads: int = 1
    """Threads that torch may use, as in train.py."""
    layers: int = 2
    """Attention layers."""
    width: int = 64
    """Numbers per token."""


class Noise(gym.Env):
    """Cells of random numbers; nothing matters, and nothing ends."""

    def __init__(self):
        self.observation_space = TokenBox(0, 1, (SIDE, SIDE, 3), tokens=Cells(SIDE, SIDE, (), 3))
        self.action_space = gym.spaces.Discrete(7)

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action: int):
        return self._seen(), 0.0, False, False, {}

    def _seen(self) -> np.ndarray:
        return self.np_random.random((SIDE, SIDE, 3), np.float32)


def main(config: CausalConfig) -> None:
    seen = machine()
    with torch_settings(config.threads), tempfile.TemporaryDirectory() as folder:
        options = dict(width=config.width, layers=config.layers)
        policy = dict(
            features_extractor_class=AttentionExtractor, features_extractor_kwargs=options
        )
        model = PPO(
            "MlpPolicy", Noise(), policy_kwargs=policy, n_steps=8, batch_size=8, device="cpu"
        )
        env = RecordAttention(Noise(), model, Path(folder) / "seen")
        observation, _ = env.reset(seed=0)
        for _ in range(config.steps):
            action, _ = model.predict(observation, deterministic=True)
            observation, *_ = env.step(action)
        env.close()
        (episode,) = open_recording(Path(folder) / "seen").episodes
        start = time.perf_counter()
        recorded = RecordedPolicy.from_episode(model.policy, lambda obs: obs, episode)
        scores = leave_one_out(recorded, np.arange(len(episode)))
        seconds = time.perf_counter() - start
    S, N = scores.causal.shape
    print(
        f"{N} tokens x {S} steps, {config.layers} layers of width {config.width}: {seconds:.1f} s "
        f"({N * S / seconds:,.0f} passes/s) with {config.threads} threads on {seen['cpu']}, "
        f"{seen['cores']} cores"
    )


if __name__ == "__main__":
    run_script(main, CausalConfig)
