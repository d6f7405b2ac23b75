"""The ids of the tasks, put into Gymnasium's registry when asked for."""

from __future__ import annotations

import gymnasium as gym

ENTRY_POINTS = {
    "attention/CueRecall-v0": "attention_agents.envs.tasks.cue_recall:CueRecall",
    "attention/Collect-v0": "attention_agents.envs.tasks.collect:Collect",
}


def register_tasks() -> None:
    """Register every task, so that `gymnasium.make` knows it; importing registers nothing.

    >>> register_tasks()
    >>> gym.make("attention/CueRecall-v0", length=3).unwrapped.length
    3
    """
    for env_id, entry_point in ENTRY_POINTS.items():
        if env_id not in gym.registry:
            gym.register(env_id, entry_point=entry_point)
