"""Valid actions: an environment's `action_masks()`, checked, and sampling among them.

One row of booleans, True where valid, one per choice: n of a Discrete, the choices of all parts of
a MultiDiscrete in turn, off and on of every bit of a MultiBinary.

Source: sb3-contrib's MaskablePPO; Huang and Ontañón 2020, https://arxiv.org/abs/2006.14171.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool

from attention_agents.envs.tokens.spaces import CHOICE_SPACES, choice_counts

MASK_METHOD = "action_masks"
"""Found through all wrappers."""


def find_mask_method(env: gym.Env) -> Callable[[], Any] | None:
    """Return the environment's `action_masks`, or None where it has none."""
    try:
        method = env.get_wrapper_attr(MASK_METHOD)
    except AttributeError:
        return None
    return method if callable(method) else None


def valid_actions(env: gym.Env) -> Bool[np.ndarray, "choices"] | None:
    """Return which actions are valid at present; None where the environment has no masks.

    Raises:
        ValueError: its `action_masks()` does not fit its actions, or no action is valid.
    """
    action_masks = find_mask_method(env)
    if action_masks is None or not isinstance(env.action_space, CHOICE_SPACES):
        return None
    parts = choice_counts(env.action_space)
    valid = np.asarray(action_masks(), dtype=bool)
    if valid.size != sum(parts):
        raise ValueError(
            f"{MASK_METHOD}() must give {sum(parts)} booleans, one per choice of "
            f"{env.action_space}, got {valid.size}"
        )
    valid = valid.reshape(-1).copy()
    if not all(part.any() for part in _split_choices(valid, parts)):
        raise ValueError(f"{MASK_METHOD}() must leave a valid action, got {valid.tolist()}")
    return valid


def sample_valid_action(space: gym.Space, valid: Bool[np.ndarray, "choices"]) -> Any:
    """Sample uniformly among the valid actions, from the space's own random stream."""
    parts = _split_choices(valid, choice_counts(space))
    if isinstance(space, spaces.Discrete):
        return space.sample(mask=parts[0].astype(np.int8))
    if isinstance(space, spaces.MultiDiscrete):
        return space.sample(mask=tuple(part.astype(np.int8) for part in parts))
    off, on = np.stack(parts, axis=1)  # each (bits,)
    either = np.where(off & on, 2, on).astype(np.int8)  # Gymnasium's 2: either
    return space.sample(mask=either.reshape(space.shape))


def _split_choices(
    valid: Bool[np.ndarray, "choices"], parts: tuple[int, ...]
) -> list[Bool[np.ndarray, "part"]]:
    return np.split(valid, np.cumsum(parts)[:-1])
