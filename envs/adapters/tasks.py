"""The project's own tasks: they say themselves what their tokens are."""

from __future__ import annotations

import gymnasium as gym

from envs.adapters.adapter import Adapter
from envs.tasks import Collect, CueRecall, register


class TaskAdapter(Adapter):
    """Observation: features in CueRecall, entities in Collect."""

    def register(self) -> None:
        register()

    def action_names(self, env: gym.Env) -> tuple[str, ...] | None:
        task = env.unwrapped
        if isinstance(task, CueRecall):
            return tuple(f"exit {i}" for i in range(task.cues))
        if isinstance(task, Collect):
            return tuple(f"pick {i}" for i in range(task.stands))
        return None


ADAPTER = TaskAdapter()
