"""The tokens that matter in the present state, where the environment knows them."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np

from attention_agents.envs.families import find_adapter
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout


def ground_truth_tokens(env: gym.Env, layout: TokenLayout) -> np.ndarray | None:
    """Return which tokens the best next action depends on most, where the environment knows.

    Call it before the action. It changes neither the environment nor any random stream.

    Args:
        env: the outermost wrapper.
        layout: the N tokens of its observation.

    Returns:
        (N,) bool, none of them True where what matters is not in sight; None where the
        environment's family does not know.
    """
    indices = find_adapter(env).ground_truth_indices(env, layout)
    if indices is None:
        return None
    mask = np.zeros(len(layout), bool)
    mask[list(indices)] = True
    return mask


def find_present_tokens(layout: TokenLayout, matches: Callable[[TokenGroup], bool]) -> slice | None:
    """Return which tokens are those of the one group of the present step that matches.

    Returns:
        Their place among the N tokens; None unless exactly one group matches.
    """
    found = [
        tokens
        for tokens, group in zip(layout.slices, layout.groups, strict=True)
        if matches(group) and set(group.offsets or (0,)) == {0}
    ]
    return found[0] if len(found) == 1 else None
