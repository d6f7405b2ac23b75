"""The last T pictures or grids as one observation: attention over space and time."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.layout import TokenLayout, TokenPlaces
from envs.places import places_of
from envs.spaces import MAX_TOKENS, TokenBox, is_bytes, specs_of
from envs.specs import Cells, Frames, Patches


class FrameHistory(gym.Wrapper):
    """Observe the last T pictures or grids of this episode, each flattened to a row of P numbers.

    Row T - 1 is the present, row 0 the oldest. Column 0 is 1 where the row holds a frame and 0
    where the episode is not that old yet; the window is empty at every reset. Rows keep their
    dtype: Stable-Baselines3 takes them for no picture and leaves categories alone, the tokenizer
    scales bytes.

    In a Dict every picture and every grid is framed, and all else is observed as it is at present:
    numbers, entities, and rows of words (grids of a single row). To see those of the past too, use
    `envs.history.History`, which flattens the whole observation to one token per step.

    Args:
        env: an environment that observes a picture or a grid, alone or in a Dict.
        steps: T, the present included.

    Raises:
        ValueError: `steps` is not 1 to `MAX_TOKENS`, or the observation has neither picture nor
            grid.
    """

    def __init__(self, env: gym.Env, steps: int):
        super().__init__(env)
        if not 1 <= steps <= MAX_TOKENS:
            raise ValueError(f"a history needs 1 to {MAX_TOKENS} steps, got {steps}")
        space = env.observation_space
        framed = framed_parts(space)
        if not framed:
            raise ValueError(
                f"a history of frames needs a picture or a grid in the observation, got {space}; "
                "for vectors, use History"
            )
        parts = _members(space)
        self._windows = {key: _Window(parts[key], part, steps) for key, part in framed.items()}
        members = {**parts, **{key: window.space for key, window in self._windows.items()}}
        is_dict = isinstance(space, spaces.Dict)
        self.observation_space = spaces.Dict(list(members.items())) if is_dict else members[""]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        obs, info = self.env.reset(seed=seed, options=options)
        for window in self._windows.values():
            window.clear()
        return self._push(obs), info

    def step(self, action: Any):
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._push(obs), reward, terminated, truncated, info

    def token_places(self, layout: TokenLayout, frame_shape: tuple[int, ...]) -> TokenPlaces:
        """Return the places of present tokens: the past does not stand on the present frame."""
        present = np.concatenate([np.full(len(g), not g.past) for g in layout.groups])
        groups = tuple(group for group in layout.groups if not group.past)
        places = TokenPlaces.unknown(len(layout))
        places.boxes[present], places.ids[present] = places_of(
            self.env, TokenLayout(groups), frame_shape
        )
        return places

    def _push(self, obs: Any) -> Any:
        if "" in self._windows:
            return self._windows[""].push(obs)
        return {**obs, **{key: window.push(obs[key]) for key, window in self._windows.items()}}


class _Window:
    """The last T frames of one part of the observation."""

    def __init__(self, space: spaces.Box, part: Patches | Cells, steps: int):
        P = int(np.prod(space.shape))
        of_bytes = is_bytes(space) and len(space.shape) == 3  # what SB3 would have scaled
        # the presence column shares the bounds of the numbers, so that files hold one for all
        low, high = (np.empty((steps, 1 + P), space.dtype) for _ in range(2))
        low[:, 1:], high[:, 1:] = (
            np.minimum(space.low, 0).ravel(),
            np.maximum(space.high, 0).ravel(),
        )
        low[:, 0], high[:, 0] = low[:, 1:].min(), max(high[:, 1:].max(), 1)
        self.space = TokenBox(
            low, high, low.shape, space.dtype, tokens=Frames(steps, part, of_bytes)
        )
        self._empty = np.zeros(low.shape, space.dtype)
        self._frames = self._empty

    def clear(self) -> None:
        self._frames = self._empty

    def push(self, frame: np.ndarray) -> np.ndarray:
        # a fresh array, and the only one: a window that someone keeps does not change
        frames = np.empty_like(self._empty)
        frames[:-1] = self._frames[1:]
        frames[-1, 0] = 1
        frames[-1, 1:] = np.ravel(frame)
        self._frames = frames
        return frames


def framed_parts(space: spaces.Space) -> dict[str, Patches | Cells]:
    """Return the pictures and grids of an observation, by key; key "" where it is no Dict.

    In a Dict, grids of a single row are words: they are left out.

    Raises:
        ValueError: a part of the observation cannot be cut into tokens.
    """
    alone = not isinstance(space, spaces.Dict)
    return {
        key: spec
        for key, spec in specs_of(space).items()
        if isinstance(spec, (Patches, Cells)) and (alone or _has_rows(spec))
    }


def _members(space: spaces.Space) -> dict[str, Any]:
    return dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}


def _has_rows(spec: Patches | Cells) -> bool:
    return isinstance(spec, Patches) or spec.rows > 1
