"""The last observations of an episode as rows of one array."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.spaces import MAX_TOKENS, TokenBox
from attention_agents.envs.tokens.specs import Frames, History


class ObservationWindow:
    """The last T observations as rows of (presence, P numbers), oldest first, the present last.

    Args:
        space: of one observation.
        tokens: how the rows are cut into tokens.
        dtype: of the rows.
    """

    def __init__(self, space: spaces.Box, tokens: Frames | History, dtype: np.dtype):
        shape = (tokens.steps, 1 + math.prod(space.shape))
        low, high = np.zeros(shape, dtype), np.ones(shape, dtype)
        low[:, 1:] = np.minimum(space.low, 0).ravel()
        high[:, 1:] = np.maximum(space.high, 0).ravel()
        if isinstance(tokens, Frames):  # files hold a single number where all bounds are equal
            low[:, 0], high[:, 0] = low.min(), high.max()
        self.space = TokenBox(low, high, shape, dtype, tokens=tokens)
        self._empty = self._rows = np.zeros(shape, dtype)

    def clear(self) -> None:
        self._rows = self._empty

    def append(self, observation: np.ndarray) -> np.ndarray:
        """Return the (T, 1 + P) window with an observation as its last row."""
        rows = np.empty_like(self._empty)  # a fresh array: the caller may keep the previous one
        rows[:-1] = self._rows[1:]
        rows[-1, 0] = 1
        rows[-1, 1:] = np.ravel(observation)
        self._rows = rows
        return rows


def check_window_steps(env: gym.Env, steps: int) -> None:
    """Refuse a window that is too long or empty, and a window of windows.

    Raises:
        ValueError: `steps` is not 1 to `MAX_TOKENS`, or the observation is a window already.
    """
    if type(steps) is not int or not 1 <= steps <= MAX_TOKENS:
        raise ValueError(f"a history needs 1 to {MAX_TOKENS} steps, got {steps!r}")
    space = env.observation_space
    for part in space.spaces.values() if isinstance(space, spaces.Dict) else (space,):
        if isinstance(part, TokenBox) and isinstance(part.tokens, (Frames, History)):
            raise ValueError(
                f"the observation is a history of {part.tokens.steps} steps already; ask for more "
                "steps in place of a second history"
            )
