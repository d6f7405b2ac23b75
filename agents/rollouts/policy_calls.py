"""Calls of a policy: its input and output, with recurrent state and masks of valid actions.

A recurrent state is returned with the actions and passed in with the next call: the caller holds
it, not the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from stable_baselines3.common.base_class import BaseAlgorithm

from attention_agents.policies.inspect.policy_adapter import accepts_action_masks

Observation = np.ndarray | dict[str, np.ndarray]
HiddenState = tuple[Float[np.ndarray, "L B K"], ...]
"""Hidden and cell states of an LSTM, in L layers; zeros where an episode begins."""


class PolicyInput(NamedTuple):
    """B states of which a policy chooses the actions."""

    observation: Observation
    """As the environments gave it, batched."""
    begins: Bool[np.ndarray, "B"]
    """True where this is the first state of an episode."""
    memory: HiddenState | None = None
    """From the output for the states before; None at the beginning, or without any."""
    valid: Bool[np.ndarray, "B choices"] | None = None
    """True where an action is valid; None where the environments have no masks."""


class PolicyOutput(NamedTuple):
    """The actions of a policy."""

    actions: np.ndarray
    """(B, ...)."""
    memory: HiddenState | None = None
    """For the next input; None for a policy that is not recurrent."""


Policy = Callable[[PolicyInput], PolicyOutput]


def policy_function(
    model: BaseAlgorithm,
    normalize: Callable[[Observation], Observation],
    deterministic: bool = True,
) -> Policy:
    """Return the policy of an SB3 or sb3-contrib algorithm as a function.

    Args:
        model: the algorithm.
        normalize: what is done to an observation before the policy gets it.
        deterministic: the most likely actions; else drawn from the policy's distribution.
    """
    masks_actions = accepts_action_masks(model.predict)

    def policy(inputs: PolicyInput) -> PolicyOutput:
        masks = {"action_masks": inputs.valid} if masks_actions else {}
        actions, memory = model.predict(
            normalize(inputs.observation),
            state=inputs.memory,
            episode_start=inputs.begins,
            deterministic=deterministic,
            **masks,
        )
        return PolicyOutput(actions, memory)

    return policy


class RecurrentStates:
    """The recurrent state of a policy in each episode, by the episode's seed."""

    def __init__(self) -> None:
        self._by_seed: dict[int, HiddenState] = {}

    def gather_batch(self, seeds: Sequence[int], begins: Sequence[bool]) -> HiddenState | None:
        """Return the states in the order of `seeds`, zeros at a beginning; None without any."""
        states = [
            None if begin else self._by_seed.get(seed)
            for seed, begin in zip(seeds, begins, strict=True)
        ]
        template = next((state for state in states if state is not None), None)
        if template is None:
            return None
        zeros = tuple(np.zeros_like(part) for part in template)
        rows = [zeros if state is None else state for state in states]
        return tuple(np.concatenate(parts, axis=1) for parts in zip(*rows, strict=True))

    def store_batch(self, seeds: Sequence[int], memory: HiddenState | None) -> None:
        """Store the state of an output, whose row i belongs to the episode `seeds[i]`."""
        if memory is not None:
            for i, seed in enumerate(seeds):
                self._by_seed[seed] = tuple(part[:, i : i + 1].copy() for part in memory)
