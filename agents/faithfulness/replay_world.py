"""A recorded episode once more: the same world from its seed, moved by the recorded actions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
from jaxtyping import Bool

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.faithfulness.recorded_states import Recorded
from attention_agents.agents.rollouts.eval_env import make_rendering_env
from attention_agents.envs.ground_truth import ground_truth_tokens
from attention_agents.recording.reader import Episode


class NotTheSame(ValueError):
    """A world cannot be made again from its seed and the recorded actions."""


@contextmanager
def remade(config: RunConfig) -> Iterator[gym.Env]:
    """Make the environment of a run again, as it was when it was recorded, frames included."""
    env = make_rendering_env(config, tell=lambda words: None)
    try:
        yield env
    finally:
        env.close()


def replayed(env: gym.Env, episode: Episode) -> Iterator[int]:
    """Take an episode's actions again; each step t is yielded before its action.

    Raises:
        NotTheSame: the episode has no seed, or what is observed is not what was recorded.
    """
    recorded = Recorded.read(episode)
    if episode.seed is None:
        raise NotTheSame(f"{episode.folder} has no seed, so its world cannot be made again")
    observation, _ = env.reset(seed=episode.seed)
    for t in range(len(episode)):
        if not same(observation, recorded.observations, t):
            raise NotTheSame(
                f"the world of {episode.folder} cannot be made again from its seed and actions: "
                f"step {t} is observed otherwise"
            )
        yield t
        observation, *_ = env.step(recorded.actions[t])


def true_tokens(env: gym.Env, episode: Episode) -> Bool[np.ndarray, "T N"] | None:
    """Return what the environment itself knows to matter at each step; None where it does not.

    Args:
        env: of the episode's run.

    Raises:
        NotTheSame: see `replayed`.
    """
    rows = []
    for _ in replayed(env, episode):
        row = ground_truth_tokens(env, episode.header.layout)
        if row is None:
            return None
        rows.append(row)
    return np.stack(rows)


def same(observation: Any, recorded: Any, t: int) -> bool:
    """Say whether an observation is that of step t of some (T, ...)."""
    if isinstance(recorded, dict):
        return all(np.array_equal(observation[key], recorded[key][t]) for key in recorded)
    return np.array_equal(observation, recorded[t])
