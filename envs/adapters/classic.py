"""Classic control: names of features and actions, as Gymnasium documents them.

Source: https://gymnasium.farama.org/environments/classic_control/.
"""

from __future__ import annotations

import importlib

import gymnasium as gym

from attention_agents.envs.adapters.named import NamedAdapter

FEATURES = {
    "CartPole": ("cart position", "cart velocity", "pole angle", "pole angular velocity"),
    "Acrobot": (
        *("cosine 1", "sine 1", "cosine 2", "sine 2"),
        *("angular velocity 1", "angular velocity 2"),
    ),
    "Pendulum": ("cosine", "sine", "angular velocity"),
    "MountainCar": ("position", "velocity"),
}
DISCRETE_ACTIONS = {
    "CartPole": ("push left", "push right"),
    "Acrobot": ("torque -1", "torque 0", "torque +1"),
    "MountainCar": ("push left", "no push", "push right"),
}
CONTINUOUS_ACTIONS = {"Pendulum": ("torque",), "MountainCar": ("force",)}


class ClassicAdapter(NamedAdapter):
    """Observation: named features. Only drawing needs a package, pygame."""

    def wrap_env(self, env: gym.Env, training: bool) -> gym.Env:
        if env.render_mode is not None:
            importlib.import_module("pygame")
        return super().wrap_env(env, training)


ADAPTER = ClassicAdapter(FEATURES, DISCRETE_ACTIONS, CONTINUOUS_ACTIONS)
