"""The latest observations of a training, for what is measured on them at intervals."""

from __future__ import annotations

from collections import deque

from attention_agents.agents.rollouts.policy_calls import Observation
from attention_agents.agents.training.callbacks.periodic import PeriodicCallback

SAMPLES = 64
"""Observations that one measurement reads."""
STRIDE = 16
"""Steps of the vector environment between two of them, so that they differ."""


class SampleCallback(PeriodicCallback):
    """Keep some of the latest observations, as the policy gets them.

    Args:
        interval: environment steps between two measurements.
    """

    def __init__(self, interval: int):
        super().__init__(interval)
        self.sample: deque[Observation] = deque()

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self.sample = deque(maxlen=max(1, SAMPLES // self.training_env.num_envs))

    def _on_step(self) -> bool:
        if self.n_calls % STRIDE == 1:
            latest = self.model._last_obs
            assert latest is not None, "a step was taken from no observation"
            # SB3 writes into no array; of a dict, its replay buffer exchanges the members
            self.sample.append(dict(latest) if isinstance(latest, dict) else latest)
        return super()._on_step()
