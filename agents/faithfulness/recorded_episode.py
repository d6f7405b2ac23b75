"""Recorded steps as states for a policy, and which of them are scored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from attention_agents.policies.inspect.policy_adapter import PolicyAdapter, StateBatch
from attention_agents.recording.chunk import read_arrays
from attention_agents.recording.header import ActionKind
from attention_agents.recording.reader import Episode, Recording


@dataclass(frozen=True)
class RecordedEpisode:
    """The T steps of a recorded episode, without frames and maps."""

    observations: Any
    """(T, ...) as the environment gave them, by key where they are dicts."""
    actions: np.ndarray
    """(T, ...)."""
    distribution: Float[np.ndarray, "T R A"]
    """R = 3 for a Gaussian, else 1; NaN where it is not known."""
    attended: Bool[np.ndarray, "T"]
    """False where the action did not come from the policy."""
    present: Bool[np.ndarray, "T N"]
    """True where a token is present."""
    kind: ActionKind

    @classmethod
    def read(cls, episode: Episode) -> RecordedEpisode:
        """Read an episode.

        Raises:
            ValueError: it has no step, or a file is missing or damaged.
        """
        if not len(episode):
            raise ValueError(f"{episode.folder} holds no step: its recording was cut short")
        keys = episode.header.observation_keys
        observed = [f"observation_{i}" for i in range(len(keys))]
        names = ("action", "distribution", "attended", "mask", *observed)
        chunks = [read_arrays(file.path, names) for file in episode.chunks]
        arrays = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in names}
        by_key = {key: arrays[name] for key, name in zip(keys, observed, strict=True)}
        return cls(
            observations=by_key[""] if keys == ("",) else by_key,
            actions=arrays["action"],
            distribution=arrays["distribution"],
            attended=arrays["attended"],
            present=arrays["mask"],
            kind=episode.header.action_kind,
        )

    def states(self, adapter: PolicyAdapter, normalize: Callable[[Any], Any]) -> StateBatch:
        """Return all steps as the policy observes them.

        Args:
            adapter: of the policy.
            normalize: what is done to observations before the policy gets them.
        """
        policy = adapter.policy
        states = StateBatch(
            policy.obs_to_tensor(normalize(self.observations))[0],
            torch.as_tensor(self.actions, device=policy.device),
            torch.as_tensor(self.valid, device=policy.device) if adapter.masks_actions else None,
        )
        return adapter.add_recurrent_states(states)

    @property
    def valid(self) -> Bool[np.ndarray, "T C"]:
        """Which choices had a probability, or no probability is known."""
        p = self.distribution[:, 0]
        unknown = np.isnan(p)
        if self.kind == "multi_binary":  # off and on of every bit
            return np.stack([unknown | (p < 1), unknown | (p > 0)], 2).reshape(len(p), -1)
        return unknown | (p > 0)

    def equals_observation(self, observation: Any, t: int) -> bool:
        """Return whether an observation is that of step t."""
        if isinstance(self.observations, dict):
            arrays = self.observations.items()
            return all(np.array_equal(observation[key], array[t]) for key, array in arrays)
        return np.array_equal(observation, self.observations[t])

    def state_keys(self, is_recurrent: bool) -> Iterator[bytes]:
        """Yield a key for the policy's state in each step; equal states have equal keys.

        Args:
            is_recurrent: the state is all that the episode has shown so far.
        """
        digest = hashlib.sha256()
        for t in range(len(self.actions)):
            if not is_recurrent:
                digest = hashlib.sha256()
            arrays = self.observations
            if isinstance(arrays, dict):
                digest.update(b"".join(arrays[key][t].tobytes() for key in sorted(arrays)))
            else:
                digest.update(arrays[t].tobytes())
            yield digest.digest()


def distinct_steps(recording: Recording, is_recurrent: bool) -> list[Int[np.ndarray, "S"]]:
    """Return for each episode the steps whose state has not been met before.

    A state that is met again adds nothing; to count it would make intervals too narrow. Steps whose
    action did not come from the policy are left out, and those with a single token, or none, where
    there is nothing to choose.

    Args:
        is_recurrent: the policy's state is all that the episode has shown so far.
    """
    met: set[bytes] = set()
    distinct = []
    for episode in recording.episodes:
        steps: list[int] = []
        if len(episode):
            recorded = RecordedEpisode.read(episode)
            eligible = recorded.attended & (recorded.present.sum(1) > 1)
            for t, key in enumerate(recorded.state_keys(is_recurrent)):
                if key not in met and eligible[t]:
                    steps.append(t)
                met.add(key)
        distinct.append(np.array(steps, int))
    return distinct


def spread_evenly(steps: list[Int[np.ndarray, "S"]], limit: int) -> list[Int[np.ndarray, "S"]]:
    """Choose at most `limit` steps of all episodes together, evenly spread.

    >>> [part.tolist() for part in spread_evenly([np.array([0, 1, 2, 3]), np.array([0, 5])], 3)]
    [[0, 2], [5]]
    """
    lengths = [len(part) for part in steps]
    total = sum(lengths)
    chosen = np.arange(total)
    if total > limit:
        chosen = np.unique(np.rint(np.linspace(0, total - 1, limit)).astype(int))
    ends = np.cumsum(lengths)
    parts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    starts = ends - lengths
    return [
        episode[part - start] for episode, part, start in zip(steps, parts, starts, strict=True)
    ]
