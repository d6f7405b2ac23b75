"""The interface of a family of environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from attention_agents.envs.tokens.layout import TokenLayout


class Adapter:
    """One family: how its environments are registered, made, wrapped and named.

    The module of an adapter may import the family's packages: it is imported only to make an
    environment of that family.
    """

    def register_envs(self) -> None:
        """Put the family's ids into Gymnasium's registry."""

    def make_kwargs(self, env_kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return arguments of `gymnasium.make`, beside the caller's own or in their place."""
        return {}

    def wrap_env(self, env: gym.Env, training: bool) -> gym.Env:
        """Return the environment with observations that say what their tokens are."""
        return env

    def action_names(self, env: gym.Env) -> tuple[str, ...] | None:
        """Return one name per discrete action, or per number of a continuous one."""
        return None

    def ground_truth_indices(self, env: gym.Env, layout: TokenLayout) -> Sequence[int] | None:
        """Return the tokens that the best next action depends on most, none where they are not in
        sight; None where the family does not know. See `envs.ground_truth`."""
        return None
