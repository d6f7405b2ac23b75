"""A picture for TensorBoard: evidence and attention, drawn on a frame of the environment."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from gymnasium.wrappers import TimeLimit
from jaxtyping import UInt8
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Image

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.config.validation import first_line
from attention_agents.agents.rollouts.episodes import play_episodes
from attention_agents.agents.rollouts.eval_env import make_eval_env, make_rendering_env
from attention_agents.agents.rollouts.seeds import periodic_seeds
from attention_agents.agents.runs.evidence_baseline import measure_baseline
from attention_agents.agents.training.callbacks.evaluation import (
    greedy_actor,
    normalize_observations,
)
from attention_agents.agents.training.callbacks.periodic import (
    PeriodicCallback,
    random_streams_kept,
)
from attention_agents.envs.success import success_rule
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.live.step_evidence import EvidenceBaseline
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.overlay import compose

BASELINE_STATES = 64
"""States that evidence is compared with."""
STEPS = 12
"""The picture shows this step of an episode, or its last one; the episode is always the same."""
NO_PICTURES = ("stdout", "log", "json", "csv")
"""Outputs of SB3's logger that cannot take a picture."""


class AttentionImageCallback(PeriodicCallback):
    """Draw evidence and attention at the start of training and every `interval` steps.

    It plays a few steps in an environment of its own, and leaves the run's random streams as they
    were. Where no picture can be drawn it says so once on stderr, and the run goes on without.

    Args:
        config: the run.
        interval: environment steps between two pictures.
    """

    def __init__(self, config: RunConfig, interval: int):
        super().__init__(interval)
        self.config = config
        self._warnings: set[str] = set()
        self._failed = False

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self.on_interval()

    def on_interval(self) -> None:
        if self._failed:
            return
        try:
            with random_streams_kept():
                picture = attention_image(self.model, self.config, self._warn_once)
        except Exception as error:  # no picture is worth a training
            self._failed = True
            self._warn_once(f"no pictures of the attention in TensorBoard: {first_line(error)}")
            return
        noun = "evidence" if self.config.encoder.kind == "stock" else "attention"
        self.logger.record(f"{noun}/picture", Image(picture, "HWC"), exclude=NO_PICTURES)

    def _warn_once(self, text: str) -> None:
        if text not in self._warnings:
            print(text, file=sys.stderr)
        self._warnings.add(text)


def attention_image(
    model: BaseAlgorithm, config: RunConfig, warn: Callable[[str], Any]
) -> UInt8[np.ndarray, "height width 3"]:
    """Play the first steps of an episode greedily, and draw the last of them.

    It shows the evidence for its action, against each token's mean over some states before, and the
    attention, where there is some.

    Args:
        model: the algorithm that is training.
        config: its run.
        warn: see `make_rendering_env`.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "seen"
        env = TimeLimit(make_rendering_env(config, warn), STEPS)
        recorder = RecordAttention(
            env,
            model,
            folder,
            normalize=lambda obs: normalize_observations(model, obs),
            baseline=_baseline(model, config),
        )
        with closing(recorder):
            seeds = periodic_seeds(config.seed, 1)
            play_episodes([recorder], greedy_actor(model), seeds)
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


def _baseline(model: BaseAlgorithm, config: RunConfig) -> EvidenceBaseline | None:
    with closing(make_eval_env(config)) as env:
        rule, actor = success_rule(config.env), greedy_actor(model)
        return measure_baseline(model.policy, env, actor, rule, BASELINE_STATES)
