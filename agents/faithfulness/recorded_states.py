"""Recorded steps as the questions that a policy was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_agents.recording.chunk import read_arrays
from attention_agents.recording.header import ActionKind
from attention_agents.recording.reader import Episode

Observed = Tensor | dict[str, Tensor]
Memory = tuple[Tensor, ...]
"""Hidden and cell state of the actor, then those of the critic where it has its own; each
(L, B, K)."""


@dataclass(frozen=True)
class States:
    """B states, as the policy sees them."""

    observed: Observed
    """(B, ...), as tensors on the policy's device."""
    chosen: Tensor
    """(B, ...), what was really done, in the environment's units."""
    valid: Tensor | None = None
    """(B, C) bool, which choices were possible; None where the policy does not heed it."""
    memory: Memory | None = None
    """What the policy remembered; None where it has no memory."""

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: slice | Tensor) -> States:
        """Return some of the states."""
        valid = None if self.valid is None else self.valid[index]
        memory = None if self.memory is None else tuple(part[:, index] for part in self.memory)
        return States(_some(self.observed, index), self.chosen[index], valid, memory)


@dataclass(frozen=True)
class Recorded:
    """The T steps of a recorded episode, without frames and maps."""

    observations: Any
    """(T, ...) as the environment gave them, by key where they are dicts."""
    actions: np.ndarray
    """(T, ...)."""
    distribution: Float[np.ndarray, "T R A"]
    """R = 3 for a Gaussian, else 1; NaN where the policy did not say."""
    attended: Bool[np.ndarray, "T"]
    """False where the action did not come from the policy."""
    present: Bool[np.ndarray, "T N"]
    """True where a token is present."""
    kind: ActionKind

    @classmethod
    def read(cls, episode: Episode) -> Recorded:
        """Read an episode.

        Raises:
            ValueError: it has no step, or a file is missing or damaged.
        """
        if not len(episode):
            raise ValueError(f"{episode.folder} holds no step: its recording was cut short")
        keys = episode.header.observation_keys
        seen = [f"observation_{i}" for i in range(len(keys))]
        names = ("action", "distribution", "attended", "mask", *seen)
        parts = [read_arrays(file.path, names) for file in episode.chunks]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
        by_key = {key: joined[name] for key, name in zip(keys, seen, strict=True)}
        return cls(
            observations=by_key[""] if keys == ("",) else by_key,
            actions=joined["action"],
            distribution=joined["distribution"],
            attended=joined["attended"],
            present=joined["mask"],
            kind=episode.header.action_kind,
        )

    def states(self, policy: Any, normalise: Callable[[Any], Any], masked: bool) -> States:
        """Return them as the policy sees them; what it remembered is left out.

        Args:
            policy: of SB3.
            normalise: what is done to observations before the policy sees them.
            masked: whether the policy heeds which actions are valid: those that had a probability.
        """
        return States(
            policy.obs_to_tensor(normalise(self.observations))[0],
            torch.as_tensor(self.actions, device=policy.device),
            torch.as_tensor(self.valid, device=policy.device) if masked else None,
        )

    @property
    def valid(self) -> Bool[np.ndarray, "T C"]:
        """Which choices had a probability, or nothing was said."""
        said = self.distribution[:, 0]
        unsaid = np.isnan(said)
        if self.kind == "multi_binary":  # off and on of every bit
            return np.stack([unsaid | (said < 1), unsaid | (said > 0)], 2).reshape(len(said), -1)
        return unsaid | (said > 0)


def _some(observed: Observed, index: slice | Tensor) -> Observed:
    if isinstance(observed, dict):
        return {key: part[index] for key, part in observed.items()}
    return observed[index]
