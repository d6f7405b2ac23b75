"""The last T pictures, grids or scenes as one observation: attention over space and time."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from attention_agents.envs.tokens.spaces import choose_specs, is_bytes
from attention_agents.envs.tokens.specs import Cells, FramePart, Frames
from attention_agents.envs.wrappers.observation_window import ObservationWindow, check_window_steps


class FrameHistory(gym.ObservationWrapper):
    """Observe the last T pictures, grids or tables of entities of this episode, each as P numbers.

    Row T - 1 is the present, row 0 the oldest. Column 0 is 1 where the row holds a frame and 0
    where the episode is not that old yet; the window is empty at every reset. Rows keep their
    dtype: Stable-Baselines3 takes them for no picture and leaves categories alone, the tokenizer
    scales bytes.

    In a Dict every picture, grid and table becomes a window, and the rest is of the present:
    numbers, and rows of words (grids of a single row). To see those of the past too, use
    `envs.wrappers.flat_history.History`, which flattens the whole observation to one token per
    step.

    Entities of the past keep the identities that `get_token_places` returned when they were
    present.

    Args:
        env: an environment that observes a picture, a grid or entities, alone or in a Dict.
        steps: T, the present included.

    Raises:
        ValueError: `steps` is not 1 to `MAX_TOKENS`, or the observation has no picture, no grid
            and no entities.
    """

    def __init__(self, env: gym.Env, steps: int):
        super().__init__(env)
        check_window_steps(env, steps)
        space = env.observation_space
        framed = framed_parts(space)
        if not framed:
            raise ValueError(
                "a history of frames needs a picture, a grid or entities in the observation, got "
                f"{space}; for vectors, use History"
            )
        self._is_dict = isinstance(space, spaces.Dict)
        parts: dict[str, Any] = {**space.spaces} if isinstance(space, spaces.Dict) else {"": space}
        self._windows = {key: _make_window(parts[key], part, steps) for key, part in framed.items()}
        parts |= {key: window.space for key, window in self._windows.items()}
        self.observation_space = spaces.Dict(list(parts.items())) if self._is_dict else parts[""]
        self._ids: deque[np.ndarray | None] = deque(maxlen=steps)
        """Identities of the present tokens at each of the last T steps, the present last."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        for window in self._windows.values():
            window.clear()
        self._ids.clear()
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Any) -> Any:
        self._ids.append(None)
        parts = observation if self._is_dict else {"": observation}
        windows = {key: window.append(parts[key]) for key, window in self._windows.items()}
        return {**parts, **windows} if self._is_dict else windows[""]

    def token_places(self, layout: TokenLayout, frame_shape: tuple[int, ...]) -> TokenPlaces:
        """Return the places of present tokens: the past does not stand on the present frame."""
        present = TokenLayout(tuple(group for group in layout.groups if not group.past))
        boxes, ids = get_token_places(self.env, present, frame_shape)
        if self._ids:
            self._ids[-1] = ids
        # a past group has as many tokens as the present group of its key, in the same order
        spans = dict(zip((group.key for group in present.groups), present.slices, strict=True))
        places = TokenPlaces.unknown(len(layout))
        for group, tokens in zip(layout.groups, layout.slices, strict=True):
            span = spans[group.key]
            if not group.past:
                places.boxes[tokens], places.ids[tokens] = boxes[span], ids[span]
            elif (past_ids := self._past_ids(group)) is not None:
                places.ids[tokens] = past_ids[span]
        return places

    def _past_ids(self, group: TokenGroup) -> np.ndarray | None:
        """Return the identities of all tokens at the step that a past group is of, if known."""
        assert group.offsets is not None, "a group of the past says how old it is"
        back = 1 - group.offsets[0]
        return self._ids[-back] if back <= len(self._ids) else None


def _make_window(space: spaces.Box, part: FramePart, steps: int) -> ObservationWindow:
    is_picture = is_bytes(space) and len(space.shape) == 3  # which SB3 would have scaled
    return ObservationWindow(space, Frames(steps, part, is_picture), space.dtype)


def framed_parts(space: spaces.Space) -> dict[str, FramePart]:
    """Return the pictures, grids and tables of an observation, by key; key "" if it is no Dict.

    In a Dict, grids of a single row are words: they are left out.

    Raises:
        ValueError: a part of the observation cannot be cut into tokens.
    """
    is_dict = isinstance(space, spaces.Dict)
    return {
        key: spec
        for key, spec in choose_specs(space).items()
        if isinstance(spec, FramePart)
        and not (is_dict and isinstance(spec, Cells) and spec.rows == 1)
    }
