"""MinAtar: 10 x 10 pictures with one plane per kind of object."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from minatar import gym as minatar_gym

from attention_agents.envs.adapters.adapter import Adapter
from attention_agents.envs.token_places import PicturePlaces
from attention_agents.envs.tokens.spaces import TokenBox, default_stem
from attention_agents.envs.tokens.specs import Patches

ZOOM = 32
"""Frame pixels per cell."""

ACTION_NAMES = {"n": "nothing", "l": "left", "u": "up", "r": "right", "d": "down", "f": "fire"}


class PlaneObservation(gym.Wrapper):
    """Give MinAtar's planes as 0 and 1, frames of a visible size, resets without sticky actions.

    Observation: (10, 10, C) uint8, 1 where an object of kind c is. Frames are (320, 320, 3) uint8.

    A sticky action of MinAtar outlives its episode: with it, `reset(seed)` would not determine
    what comes. It is forgotten at every reset.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._minatar: Any = env.unwrapped
        rows, cols, planes = self._minatar.observation_space.shape
        tokens = Patches(rows, cols, planes, default_stem(rows, cols), channels_first=False)
        self.observation_space: TokenBox = TokenBox(
            0, 1, (rows, cols, planes), np.uint8, tokens=tokens
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self._minatar.game.last_action = 0
        obs, info = self.env.reset(seed=seed, options=options)
        return obs.astype(np.uint8), info

    def step(self, action: Any):
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs.astype(np.uint8), float(reward), bool(terminated), truncated, info

    def render(self):
        frame = self.env.render()
        if self.render_mode != "rgb_array":
            return frame
        pixels = np.round(np.asarray(frame) * 255).astype(np.uint8)
        return pixels.repeat(ZOOM, 0).repeat(ZOOM, 1)


class MinAtarAdapter(Adapter):
    """Observation: patches over the planes, standing on the frame as in the picture."""

    def register_envs(self) -> None:
        if "MinAtar/Breakout-v1" not in gym.registry:
            minatar_gym.register_envs()

    def wrap_env(self, env: gym.Env, training: bool) -> gym.Env:
        planes = PlaneObservation(env)
        rows, cols, _ = planes.observation_space.shape
        return PicturePlaces(planes, (rows, cols))

    def action_names(self, env: gym.Env) -> tuple[str, ...]:
        game: Any = env.unwrapped
        return tuple(ACTION_NAMES[game.game.env.action_map[action]] for action in game.action_set)


ADAPTER = MinAtarAdapter()
