"""Box2D: landers and walkers by named features, the racing car by its picture.

Source: https://gymnasium.farama.org/environments/box2d/.
"""

from __future__ import annotations

import Box2D  # noqa: F401  (needed by all: its absence shows here, not later)
import gymnasium as gym

from attention_agents.envs.adapters.named import NamedAdapter
from attention_agents.envs.token_places import PicturePlaces

FEATURES = {
    "LunarLander": (
        *("x", "y", "x velocity", "y velocity", "angle", "angular velocity"),
        *("left leg contact", "right leg contact"),
    ),
    "BipedalWalker": (
        *("hull angle", "hull angular velocity", "x velocity", "y velocity"),
        *("hip 1 angle", "hip 1 speed", "knee 1 angle", "knee 1 speed", "leg 1 contact"),
        *("hip 2 angle", "hip 2 speed", "knee 2 angle", "knee 2 speed", "leg 2 contact"),
        *(f"lidar {i}" for i in range(10)),
    ),
}
DISCRETE_ACTIONS = {
    "LunarLander": ("nothing", "left engine", "main engine", "right engine"),
    "CarRacing": ("nothing", "steer right", "steer left", "gas", "brake"),
}
CONTINUOUS_ACTIONS = {
    "LunarLander": ("main engine", "side engine"),
    "BipedalWalker": ("hip 1", "knee 1", "hip 2", "knee 2"),
    "CarRacing": ("steering", "gas", "brake"),
}


class Box2DAdapter(NamedAdapter):
    """Observation: 8 or 24 named features; CarRacing (96, 96, 3) pixels of its (400, 600) frame."""

    def wrap_env(self, env: gym.Env, training: bool) -> gym.Env:
        space = env.observation_space
        if space.shape is not None and len(space.shape) == 3:
            return PicturePlaces(env, space.shape[:2])
        return super().wrap_env(env, training)


ADAPTER = Box2DAdapter(FEATURES, DISCRETE_ACTIONS, CONTINUOUS_ACTIONS)
