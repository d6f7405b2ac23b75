"""What happens now and then while a run trains, and must not disturb it."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.runs.checkpoint import save_checkpoint
from attention_agents.agents.runs.run_folder import RunFolder


class PeriodicCallback(BaseCallback):
    """Act at the first step at or after every multiple of `interval` environment steps.

    Args:
        interval: environment steps, at least 1.
    """

    def __init__(self, interval: int):
        super().__init__()
        self.interval = interval
        self._done = 0

    def _on_training_start(self) -> None:
        self._done = self.num_timesteps // self.interval

    def _on_step(self) -> bool:
        if self.num_timesteps // self.interval > self._done:
            self._done = self.num_timesteps // self.interval
            self.on_interval()
        return True

    @abstractmethod
    def on_interval(self) -> None:
        """Do what is due."""


class CheckpointCallback(PeriodicCallback):
    """Save a checkpoint every `config.save_freq` steps."""

    def __init__(self, config: RunConfig, folder: RunFolder):
        super().__init__(config.save_freq)
        self.config, self.folder = config, folder

    def on_interval(self) -> None:
        save_checkpoint(
            self.model, self.folder.checkpoint(f"step_{self.num_timesteps}"), self.config
        )


@contextmanager
def random_streams_kept() -> Iterator[None]:
    """Give Python's, numpy's and torch's global generators their state back at the end."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
