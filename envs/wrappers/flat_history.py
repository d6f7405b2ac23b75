"""The last K observations as one: memory for every algorithm, without recurrence."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.layout import TokenLayout, TokenPlaces
from attention_agents.envs.tokens.spaces import MAX_TOKENS, TokenBox
from attention_agents.envs.tokens.specs import Frames
from attention_agents.envs.tokens.specs import History as HistorySpec

MAX_NUMBERS = 4096
"""Observations of more numbers than this are pictures: `envs.wrappers.frame_history` keeps their
patches."""


class History(gym.ObservationWrapper):
    """Observe a window of the last K observations of this episode, each flattened to F numbers.

    Row K - 1 is the present, row 0 the oldest. Column 0 is 1 where the row holds an observation
    and 0 where the episode is not that old yet; the window is empty at every reset.

    Entities are numbers of their step like all others: what a step tells depends on the order of
    the rows, and on what the rows of absent entities hold.
    `envs.wrappers.frame_history.FrameHistory` keeps them apart.

    >>> env = History(gym.make("CartPole-v1"), steps=3)
    >>> window, _ = env.reset(seed=0)
    >>> window.shape, window[:, 0].tolist()
    ((3, 5), [0.0, 0.0, 1.0])

    Args:
        env: any environment whose observation can be flattened (`gymnasium.spaces.flatten`).
        steps: K, the present included.

    Raises:
        ValueError: `steps` is not 1 to `MAX_TOKENS`, or the observation cannot be flattened to at
            most `MAX_NUMBERS` numbers.
    """

    def __init__(self, env: gym.Env, steps: int):
        super().__init__(env)
        check_steps(env, steps)
        self._part = env.observation_space
        F = spaces.flatdim(self._part) if self._part.is_np_flattenable else 0
        if not 1 <= F <= MAX_NUMBERS:
            raise ValueError(
                f"a history needs observations of 1 to {MAX_NUMBERS} numbers, got {F} from "
                f"{self._part}; for pictures, use attention_agents.FrameHistory"
            )
        flat = spaces.flatten_space(self._part)
        assert isinstance(flat, spaces.Box)
        low, high = np.zeros((steps, 1 + F), np.float32), np.ones((steps, 1 + F), np.float32)
        low[:, 1:], high[:, 1:] = np.minimum(flat.low, 0), np.maximum(flat.high, 0)
        self.observation_space = TokenBox(
            low, high, (steps, 1 + F), np.float32, tokens=HistorySpec(steps, F)
        )
        self._empty = np.zeros((steps, 1 + F), np.float32)
        self._window = self._empty

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self._window = self._empty
        return super().reset(seed=seed, options=options)

    def token_places(self, layout: TokenLayout, frame_shape: tuple[int, ...]) -> TokenPlaces:
        """Return no places: a step of the past does not stand on the present frame."""
        return TokenPlaces.unknown(len(layout))

    def observation(self, observation: Any) -> np.ndarray:
        row = np.ones((1, self._empty.shape[1]), np.float32)
        row[0, 1:] = np.asarray(spaces.flatten(self._part, observation))
        # a fresh array: a window that the caller keeps does not change
        self._window = np.concatenate((self._window[1:], row))
        return self._window


def check_steps(env: gym.Env, steps: int) -> None:
    """Refuse a window that cannot be.

    Raises:
        ValueError: `steps` is not 1 to `MAX_TOKENS`, or the observation is a window already.
    """
    if type(steps) is not int or not 1 <= steps <= MAX_TOKENS:
        raise ValueError(f"a history needs 1 to {MAX_TOKENS} steps, got {steps!r}")
    space = env.observation_space
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else (space,)
    for part in parts:
        if isinstance(part, TokenBox) and isinstance(part.tokens, (Frames, HistorySpec)):
            raise ValueError(
                f"the observation is a history of {part.tokens.steps} steps already; ask for more "
                "steps in place of a second history"
            )
