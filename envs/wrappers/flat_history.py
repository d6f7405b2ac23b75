"""The last K observations as one: memory for every algorithm, without recurrence."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.layout import TokenLayout, TokenPlaces
from attention_agents.envs.tokens.spaces import build_layout, choose_specs
from attention_agents.envs.tokens.specs import Features
from attention_agents.envs.tokens.specs import History as HistorySpec
from attention_agents.envs.wrappers.observation_window import ObservationWindow, check_window_steps

MAX_NUMBERS = 4096
"""Observations of more numbers than this are pictures: `envs.wrappers.frame_history` keeps their
patches."""


class History(gym.ObservationWrapper):
    """Observe a window of the last K observations of this episode, each flattened to F numbers.

    Row K - 1 is the present, row 0 the oldest. Column 0 is 1 where the row holds an observation
    and 0 where the episode is not that old yet; the window is empty at every reset.

    Entities are numbers of their step like all others: the token of a step depends on the order of
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
        check_window_steps(env, steps)
        self._part = env.observation_space
        F = spaces.flatdim(self._part) if self._part.is_np_flattenable else 0
        if not 1 <= F <= MAX_NUMBERS:
            raise ValueError(
                f"a history needs observations of 1 to {MAX_NUMBERS} numbers, got {F} from "
                f"{self._part}; for pictures, use attention_agents.FrameHistory"
            )
        flat: Any = spaces.flatten_space(self._part)
        spec = HistorySpec(steps, F, number_names(self._part))
        self._window = ObservationWindow(flat, spec, np.dtype(np.float32))
        self.observation_space = self._window.space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self._window.clear()
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Any) -> np.ndarray:
        return self._window.append(np.asarray(spaces.flatten(self._part, observation)))

    def token_places(self, layout: TokenLayout, frame_shape: tuple[int, ...]) -> TokenPlaces:
        """Return no places: a step of the past does not stand on the present frame."""
        return TokenPlaces.unknown(len(layout))


def number_names(space: spaces.Space) -> tuple[str, ...]:
    """Return a name for each number of an observation of plain numbers; none for any other."""
    try:
        specs = choose_specs(space)
        layout = build_layout(specs)
    except ValueError:
        return ()
    return layout.names if all(isinstance(spec, Features) for spec in specs.values()) else ()
