"""Families whose features and actions are named by a table."""

from __future__ import annotations

from collections.abc import Mapping

import gymnasium as gym

from attention_agents.envs.adapters.adapter import Adapter
from attention_agents.envs.wrappers.plain_spaces import NamedFeatures


class NamedAdapter(Adapter):
    """Names by the environment's name, which is its id without the version.

    Args:
        features: names of the numbers of the observation.
        actions: names of the discrete actions, or of the numbers of a continuous one.
    """

    def __init__(
        self, features: Mapping[str, tuple[str, ...]], actions: Mapping[str, tuple[str, ...]]
    ):
        self.features, self.actions = features, actions

    def adapt(self, env: gym.Env, training: bool) -> gym.Env:
        names = self.features.get(_name(env), ())
        return NamedFeatures(env, names) if env.observation_space.shape == (len(names),) else env

    def action_names(self, env: gym.Env) -> tuple[str, ...] | None:
        return self.actions.get(_name(env))


def _name(env: gym.Env) -> str:
    return "" if env.spec is None else env.spec.name
