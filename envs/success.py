"""Whether an episode succeeded, where an environment says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attention_agents.envs.families import family_name

SuccessRule = Callable[[dict[str, Any], float], bool | None]
"""From the last info and the return of an episode: whether it succeeded, None if unknown."""


def success_rule(env_id: str) -> SuccessRule:
    """Return what success means in an environment.

    Where the last info says `is_success` or `success`, that; in MiniGrid a return above 0 (its
    only reward is for reaching the goal); in highway-env no crash; else there is no success.
    """
    family = family_name(env_id)

    def is_success(info: dict[str, Any], episode_return: float) -> bool | None:
        for key in ("is_success", "success"):
            if key in info:
                return bool(info[key])
        if family == "minigrid":
            return episode_return > 0
        if family == "highway" and "crashed" in info:
            return not info["crashed"]
        return None

    return is_success
