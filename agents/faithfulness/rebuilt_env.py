"""A recorded episode replayed: the environment from its seed, moved by the recorded actions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from jaxtyping import Bool

from attention_agents.agents.faithfulness.recorded_episode import RecordedEpisode
from attention_agents.envs.ground_truth import ground_truth_tokens
from attention_agents.recording.reader import Episode, Recording


class ReplayMismatchError(ValueError):
    """An episode cannot be replayed from its seed and the recorded actions."""


class GroundTruth(NamedTuple):
    """Which tokens matter by the environment's own knowledge."""

    masks: list[Bool[np.ndarray, "T N"] | None]
    """By episode; None where it is not known."""
    reason: str = ""
    """Why it is not known; empty where it is."""


def replay_actions(env: gym.Env, episode: Episode) -> Iterator[int]:
    """Take an episode's actions again; each step t is yielded before its action.

    Raises:
        ReplayMismatchError: the episode has no seed, or observations are not the recorded ones.
    """
    recorded = RecordedEpisode.read(episode)
    if episode.seed is None:
        raise ReplayMismatchError(
            f"{episode.folder} has no seed, so its environment cannot be rebuilt"
        )
    observation, _ = env.reset(seed=episode.seed)
    for t in range(len(episode)):
        if not recorded.equals_observation(observation, t):
            raise ReplayMismatchError(
                f"the environment of {episode.folder} cannot be rebuilt from its seed and actions: "
                f"the observation at step {t} differs from the recorded one"
            )
        yield t
        observation, *_ = env.step(recorded.actions[t])


def ground_truth_mask(env: gym.Env, episode: Episode) -> Bool[np.ndarray, "T N"] | None:
    """Return which tokens matter at each step; None where the environment does not know.

    Args:
        env: of the episode's run.

    Raises:
        ReplayMismatchError: see `replay_actions`.
    """
    rows = []
    for _ in replay_actions(env, episode):
        row = ground_truth_tokens(env, episode.header.layout)
        if row is None:
            return None
        rows.append(row)
    return np.stack(rows)


def find_ground_truth(env: gym.Env, recording: Recording) -> GroundTruth:
    """Return which tokens matter in every episode of a recording.

    Args:
        env: of the recording's run, that gives frames where these were recorded.
    """
    episodes = recording.episodes
    try:
        masks = [ground_truth_mask(env, part) if len(part) else None for part in episodes]
    except ReplayMismatchError as error:
        return GroundTruth([None] * len(episodes), str(error))
    unknown = all(mask is None for mask in masks)
    reason = "the environment does not know which tokens matter" if unknown else ""
    return GroundTruth(masks, reason)
