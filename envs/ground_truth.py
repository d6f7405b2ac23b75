"""What matters in the present state, where a world itself knows: the truth to hold maps to."""

from __future__ import annotations

from collections.abc import Iterable

import gymnasium as gym
import numpy as np

from attention_agents.envs.families import OTHER, find_family
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout


def ground_truth_tokens(env: gym.Env, layout: TokenLayout) -> np.ndarray | None:
    """Ask a world which tokens the best next action depends on most.

    Ask before the action. It changes neither the environment nor any random stream.

    Args:
        env: the outermost wrapper.
        layout: the N tokens of its observation.

    Returns:
        (N,) bool, none of them True where what matters is not in sight; None where the world's
        family does not know.
    """
    family = OTHER if env.spec is None else find_family(env.spec.id)
    tokens = family.adapter().ground_truth_indices(env, layout)
    if tokens is None:
        return None
    ground_truth_indices = np.zeros(len(layout), bool)
    ground_truth_indices[list(tokens)] = True
    return ground_truth_indices


def present_groups(layout: TokenLayout) -> Iterable[tuple[int, TokenGroup]]:
    """Yield the groups of tokens that are all of the present step, with each one's first token."""
    for where, group in zip(layout.slices, layout.groups, strict=True):
        if group.offsets is None or set(group.offsets) == {0}:
            yield where.start, group
