"""A picture for TensorBoard: what the policy attends to, drawn on a frame of its environment."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import gymnasium as gym
import numpy as np
from jaxtyping import UInt8
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Image

from agents.config import RunConfig
from agents.evaluations import SEED_OFFSET, judged_env, normalized
from agents.periodic import PeriodicCallback, random_streams_kept
from recording.overlay import compose
from recording.reader import open_recording
from recording.recorder import RecordAttention

STEPS = 12
"""The picture shows this step of an episode, or its last one; the episode is always the same."""
NO_PICTURES = ("stdout", "log", "json", "csv")
"""Outputs of SB3's logger that cannot take a picture."""


class AttentionPictureCallback(PeriodicCallback):
    """Draw the policy's attention at the start of training and every `every` steps.

    It plays a few steps in an environment of its own, and leaves the run's random streams as they
    were.

    Args:
        config: the run.
        every: environment steps between two pictures.
    """

    def __init__(self, config: RunConfig, every: int):
        super().__init__(every)
        self.config = config

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self.act()

    def act(self) -> None:
        with random_streams_kept():
            picture = attention_picture(self.model, self.config)
        self.logger.record("attention/picture", Image(picture, "HWC"), exclude=NO_PICTURES)


def attention_picture(
    model: BaseAlgorithm, config: RunConfig, steps: int = STEPS
) -> UInt8[np.ndarray, "height width 3"]:
    """Play the first steps of an episode greedily, and draw the last of them with its attention."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "seen"
        _record(model, config, steps, folder)
        recording = open_recording(folder)
        played = list(recording.episodes[0])
    image = compose(
        played[-1],
        recording.header,
        t=len(played) - 1,
        past=[step.frame for step in played[:-1] if step.frame is not None],
        reward_so_far=sum(step.reward for step in played),
    )
    return np.asarray(image.convert("RGB"))


def _record(model: BaseAlgorithm, config: RunConfig, steps: int, folder: Path) -> None:
    env = RecordAttention(
        _watched_env(config), model, folder, normalise=lambda obs: normalized(model, obs)
    )
    obs, _ = env.reset(seed=SEED_OFFSET * (config.seed + 1))
    for _ in range(steps):
        action, _ = model.predict(normalized(model, obs), deterministic=True)
        obs, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            break
    env.close()


def _watched_env(config: RunConfig) -> gym.Env:
    """Make an environment that renders, where it can."""
    env = judged_env(config)
    if "rgb_array" not in env.metadata.get("render_modes", ()):
        return env
    env.close()
    return judged_env(config, render_mode="rgb_array")
