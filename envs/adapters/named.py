"""Families whose features and actions are named by a table."""

from __future__ import annotations

from collections.abc import Mapping

import gymnasium as gym

from attention_agents.envs.adapters.adapter import Adapter
from attention_agents.envs.wrappers.plain_spaces import NamedFeatures

Names = Mapping[str, tuple[str, ...]]
"""By the name of the environment: its id without version, "Continuous" and "Hardcore"."""


class NamedAdapter(Adapter):
    """Names by the environment's name.

    Args:
        features: names of the numbers of the observation.
        discrete_actions: names of the discrete actions.
        continuous_actions: names of the numbers of a continuous action.
    """

    def __init__(self, features: Names, discrete_actions: Names, continuous_actions: Names):
        self.features = features
        self.discrete_actions, self.continuous_actions = discrete_actions, continuous_actions

    def wrap_env(self, env: gym.Env, training: bool) -> gym.Env:
        names = self.features.get(_base_name(env), ())
        return NamedFeatures(env, names) if env.observation_space.shape == (len(names),) else env

    def action_names(self, env: gym.Env) -> tuple[str, ...] | None:
        discrete = isinstance(env.action_space, gym.spaces.Discrete)
        names = self.discrete_actions if discrete else self.continuous_actions
        return names.get(_base_name(env))


def _base_name(env: gym.Env) -> str:
    name = "" if env.spec is None else env.spec.name
    return name.removesuffix("Continuous").removesuffix("Hardcore")
