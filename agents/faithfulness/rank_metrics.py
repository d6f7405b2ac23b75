"""How well two maps agree on what matters: rank correlation, and the pointing game. numpy alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class PointingResult(NamedTuple):
    """How a map fares where it is known which tokens matter, at one step; from 0 to 1."""

    hit: float
    """Whether the heaviest token is one that matters; a share where several are heaviest."""
    mass: float
    """Share of the weight that lies on those that matter."""
    chance: float
    """What both would be for even weights: the share of present tokens that matter."""


def compute_ranks(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Return the rank of each value from 0; equal values share the mean of their ranks.

    >>> compute_ranks(np.array([0.2, 0.1, 0.2, 0.9])).tolist()
    [1.5, 0.0, 1.5, 3.0]
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[place]


def rank_correlation(
    map_: Float[np.ndarray, "N"], causal: Float[np.ndarray, "N"], present: Bool[np.ndarray, "N"]
) -> float:
    """Return Spearman's rank correlation of a map with the causal map over the present tokens.

    A map that weighs all tokens alike says nothing, and has 0; NaN where all causal weights are
    equal, or fewer than two tokens present.

    Source: Spearman 1904, The proof and measurement of association between two things,
        https://doi.org/10.2307/1412159.
    """
    a, b = compute_ranks(map_[present]), compute_ranks(causal[present])
    if len(a) < 2 or np.ptp(b) == 0:
        return np.nan
    if np.ptp(a) == 0:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / np.sqrt((a @ a) * (b @ b)))


def pointing_game(
    map_: Float[np.ndarray, "N"],
    ground_truth: Bool[np.ndarray, "N"],
    present: Bool[np.ndarray, "N"],
) -> PointingResult | None:
    """Play the pointing game with a map; None where no present token is known to matter.

    Source: Zhang et al. 2018, Top-down neural attention by excitation backprop, section 4.2,
        https://doi.org/10.1007/s11263-017-1059-x.
    """
    weights, matters = np.abs(map_[present]), ground_truth[present]
    if not matters.any():
        return None
    chance = float(matters.mean())
    total = weights.sum()
    if total == 0:
        return PointingResult(chance, chance, chance)
    heaviest = weights == weights.max()
    return PointingResult(
        float(matters[heaviest].mean()), float(weights[matters].sum() / total), chance
    )
