"""Asking a policy for actions, when it may remember the episode and heed which actions are valid.

What a policy remembers goes out with the answer and comes in with the next question: it is kept by
who asks, never by the policy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from stable_baselines3.common.base_class import BaseAlgorithm

if TYPE_CHECKING:
    from attention_agents.agents.rollouts.episodes import Observation

Memory = tuple[Float[np.ndarray, "L B K"], ...]
"""Hidden and cell states of an LSTM, in L layers; zeros where an episode begins."""


class Asked(NamedTuple):
    """A question to a policy about B states."""

    observation: Observation
    """As the environments gave it, batched."""
    begins: Bool[np.ndarray, "B"]
    """True where this is the first state of an episode."""
    memory: Memory | None = None
    """What the policy answered before; None when nobody remembers anything."""
    valid: Bool[np.ndarray, "B choices"] | None = None
    """True where an action is valid; None where the environments do not say."""


class Answer(NamedTuple):
    """What a policy says to it."""

    actions: np.ndarray
    """(B, ...)."""
    memory: Memory | None = None
    """What it remembers from here on; None for a policy without memory."""


Policy = Callable[[Asked], Answer]


def policy_of(
    model: BaseAlgorithm,
    normalise: Callable[[Observation], Observation],
    deterministic: bool = True,
) -> Policy:
    """Return how to ask an SB3 or sb3-contrib algorithm.

    Args:
        model: the algorithm.
        normalise: what is done to an observation before the policy sees it.
        deterministic: the most likely actions; else drawn from the policy's distribution.
    """
    heeds = "action_masks" in inspect.signature(model.predict).parameters

    def policy(asked: Asked) -> Answer:
        masks = {"action_masks": asked.valid} if heeds else {}
        actions, memory = model.predict(
            normalise(asked.observation),
            state=asked.memory,
            episode_start=asked.begins,
            deterministic=deterministic,
            **masks,
        )
        return Answer(actions, memory)

    return policy


class Memories:
    """What a policy remembers of each episode, by the episode's seed."""

    def __init__(self) -> None:
        self._of: dict[int, Memory] = {}

    def recall(self, seeds: Sequence[int], begins: Sequence[bool]) -> Memory | None:
        """Return what is remembered, in the order of `seeds`; None when that is nothing."""
        known = [None if new else self._of.get(s) for s, new in zip(seeds, begins, strict=True)]
        some = next((memory for memory in known if memory is not None), None)
        if some is None:
            return None
        blank = tuple(np.zeros_like(part) for part in some)
        rows = [blank if memory is None else memory for memory in known]
        return tuple(np.concatenate(parts, axis=1) for parts in zip(*rows, strict=True))

    def keep(self, seeds: Sequence[int], memory: Memory | None) -> None:
        """Remember a policy's answer, whose row i belongs to the episode `seeds[i]`."""
        if memory is not None:
            for i, seed in enumerate(seeds):
                self._of[seed] = tuple(part[:, i : i + 1].copy() for part in memory)
