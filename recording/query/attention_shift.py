"""How much of the attention moves from step to step; objects are followed."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from attention_agents.recording.observation_images import GroupSlice, group_slices
from attention_agents.recording.reader import Episode
from attention_agents.recording.step import Step

ABSENT = -1
"""The id of a token that is no object."""


class AttentionTarget(NamedTuple):
    """What attention is on: an object, wherever it is, or a token that is none."""

    key: str
    """Of the part of the observation."""
    number: int
    """The object's identity, or which token it is."""
    followed: bool
    """Whether it is an object whose identity is known."""


TargetShares = dict[AttentionTarget, float]


def attention_shift(episode: Episode, weights: np.ndarray) -> np.ndarray:
    """Return the share of the weight that lies elsewhere than a step before, (T,) float64 0 to 1.

    Half the sum of the absolute changes; 0 at the first step, and where nothing was attended to.
    An object of a history counts as one, with all its steps.

    Args:
        weights: (T, N) of the tokens.
    """
    parts = group_slices(episode.header.layout)
    pairs = zip(episode, weights, strict=True)
    shares = [attention_per_target(parts, step, row) for step, row in pairs]
    moved = [_moved_share(old, now) for old, now in pairwise(shares)]
    return np.array([0.0, *moved])[: len(episode)]


def attention_per_target(parts: list[GroupSlice], step: Step, weights: np.ndarray) -> TargetShares:
    """Return the share of the weight (N,) on each object, and on each token that is none."""
    shares: TargetShares = {}
    if not step.attended or not weights.any():
        return shares
    ids = step.ids
    total = weights.sum(dtype=np.float64)
    for part in parts:
        for i in range(part.token_slice.start, part.token_slice.stop):
            if weights[i] > 0:
                followed = bool(ids[i] != ABSENT)
                spot = AttentionTarget(part.group.key, int(ids[i]) if followed else i, followed)
                shares[spot] = shares.get(spot, 0.0) + float(weights[i] / total)
    return shares


def _moved_share(old: TargetShares, now: TargetShares) -> float:
    if not old or not now:
        return 0.0
    return sum(abs(now.get(spot, 0.0) - old.get(spot, 0.0)) for spot in old.keys() | now.keys()) / 2
