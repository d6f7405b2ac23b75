"""Deletion and insertion curves: how soon a policy changes when tokens go in some order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from attention_agents.agents.faithfulness.recorded_policy import RecordedPolicy

POINTS = 16
"""A curve over more tokens than this is taken at about so many counts."""
TOP, TOP_OF_FEW, FEW = 3, 1, 12
"""The heaviest tokens that are removed to see whether the action changes: fewer where there are
fewer tokens than `FEW`."""
GRID = np.linspace(0, 1, 11)
"""Shares of the tokens at which mean curves are given."""
RANDOM = "random"
RANDOM_ORDERS = 5
"""Random orders at each step."""


class RemovalOrder(NamedTuple):
    """The n present tokens in an order, and what is removed along it at P counts."""

    counts: Int[np.ndarray, "P"]
    """How many tokens have gone, or have come back: from 0 to n."""
    deleted: Bool[np.ndarray, "P N"]
    """Removed when the first `counts` tokens go."""
    inserted: Bool[np.ndarray, "P N"]
    """Removed when all but the first `counts` tokens are gone."""

    @classmethod
    def from_tokens(cls, tokens: Int[np.ndarray, "n"], N: int) -> RemovalOrder:
        """Lay out an order.

        Args:
            tokens: present ones, first to go first.
            N: tokens in all.
        """
        counts = curve_counts(len(tokens))
        rank = np.full(N, len(tokens))  # absent ones never go
        rank[tokens] = np.arange(len(tokens))
        gone = rank[None] < counts[:, None]  # (P, N)
        return cls(counts, gone, (rank < len(tokens)) & ~gone)


class CurveAreas(NamedTuple):
    """The areas under the curves of an order at one step; all shares are from 0 to 1."""

    deletion: float
    """Mean change while tokens go: high when those that matter go first."""
    insertion: float
    """Mean agreement while tokens come back: high when those that matter come first."""
    deletion_curve: Float[np.ndarray, "G"]
    """Change by the share of tokens that have gone, at `GRID`."""
    insertion_curve: Float[np.ndarray, "G"]
    """Agreement by the share that has come back, at `GRID`."""
    flips: float
    """1 where the likeliest action changes without the first tokens, see `top_count`, else 0; NaN
    where there are no more than these."""

    @property
    def both(self) -> float:
        """Mean of deletion and insertion."""
        return (self.deletion + self.insertion) / 2

    @classmethod
    def mean(cls, areas: list[CurveAreas]) -> CurveAreas:
        """Average the areas of several orders."""
        return cls(*(np.mean(parts, 0) for parts in zip(*areas, strict=True)))


def deletion_areas(
    recorded: RecordedPolicy,
    step: int,
    maps: Mapping[str, Float[np.ndarray, "N"]],
    rng: np.random.Generator,
) -> dict[str, CurveAreas]:
    """Return the areas of each map's order at a step, and of random orders on average.

    Args:
        step: of the episode.
        maps: weights by name; the heaviest token goes first.
        rng: for the random orders, and the order of equal weights.
    """
    present = recorded.present[step]
    N = len(present)
    rows = [*maps.values(), *[np.zeros(N)] * RANDOM_ORDERS]
    orders = [RemovalOrder.from_tokens(tokens_by_weight(row, present, rng), N) for row in rows]
    areas = _areas_of_orders(recorded, step, orders)
    by_name = dict(zip(maps, areas, strict=False))
    return by_name | {RANDOM: CurveAreas.mean(areas[len(maps) :])}


def _areas_of_orders(
    recorded: RecordedPolicy, step: int, orders: list[RemovalOrder]
) -> list[CurveAreas]:
    """Return the areas of each order at a step; all orders pass through the policy together."""
    removed = np.concatenate([part for order in orders for part in order[1:]])
    # orders share many variants, none removed and all removed among them: each passes once
    variants, back = np.unique(removed, axis=0, return_inverse=True)  # (V, N)
    back, rows, kind = back.ravel(), np.full(len(variants), step), recorded.kind
    outputs = recorded.outputs_without(rows, variants)
    effects = np.maximum(recorded.effects(rows, outputs), 0)
    changes = change_share(effects, recorded.change_scale)[back]
    before = kind.likeliest_actions(recorded.outputs.select_states(slice(step, step + 1)))
    actions = kind.likeliest_actions(outputs)
    flipped = kind.actions_changed(np.repeat(before, len(variants), 0), actions)[back]
    areas, start, top = [], 0, top_count(variants.shape[1])
    for order in orders:
        P = len(order.counts)
        deleted, inserted = slice(start, start + P), slice(start + P, start + 2 * P)
        areas.append(
            areas_of_order(order.counts, changes[deleted], changes[inserted], flipped[deleted], top)
        )
        start += 2 * P
    return areas


def top_count(N: int) -> int:
    """Return how many of the heaviest tokens of N are removed to see whether the action changes."""
    return TOP_OF_FEW if N < FEW else TOP


def curve_counts(n: int) -> Int[np.ndarray, "P"]:
    """Return at how many removed tokens a curve over n is taken: all counts, or about `POINTS`.

    >>> curve_counts(5).tolist()
    [0, 1, 2, 3, 4, 5]
    >>> curve_counts(60).tolist()
    [0, 1, 2, 3, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60]
    """
    if n < POINTS:
        return np.arange(n + 1)
    spread = np.rint(np.linspace(0, n, POINTS - TOP)).astype(int)
    return np.unique(np.concatenate([np.arange(TOP + 1), spread]))


def tokens_by_weight(
    weights: Float[np.ndarray, "N"], present: Bool[np.ndarray, "N"], rng: np.random.Generator
) -> Int[np.ndarray, "n"]:
    """Return the present tokens, heaviest first; equal ones in random order."""
    tokens = rng.permutation(np.flatnonzero(present))
    return tokens[np.argsort(-weights[tokens], kind="stable")]


def change_share(change: Float[np.ndarray, "*shape"], scale: float) -> Float[np.ndarray, "*shape"]:
    """Turn a change >= 0 into a share from 0 to 1: `1 - exp(-change / scale)`.

    With changes in nats and a scale of 1 nat, it bounds the square of how much probability can have
    moved, so that one huge divergence does not outweigh all other steps.

    Source: Bretagnolle and Huber 1979, Estimation des densités: risque minimax,
        https://doi.org/10.1007/BF00535278, for the bound.
    """
    return 1 - np.exp(-change / scale)


def area_under(values: Float[np.ndarray, "P"], counts: Int[np.ndarray, "P"]) -> float:
    """Return the area under a curve whose axis runs from 0 to 1, by the trapezoidal rule.

    >>> area_under(np.array([0.0, 1.0, 1.0]), np.array([0, 1, 2]))
    0.75
    """
    if counts[-1] == 0:
        return float(values[0])
    return float(((values[1:] + values[:-1]) / 2 * np.diff(counts)).sum() / counts[-1])


def areas_of_order(
    counts: Int[np.ndarray, "P"],
    deleted: Float[np.ndarray, "P"],
    inserted: Float[np.ndarray, "P"],
    flipped: Bool[np.ndarray, "P"],
    top: int = TOP,
) -> CurveAreas:
    """Return the areas of one order at one step.

    Args:
        deleted: share of change after each count of tokens has gone.
        inserted: the same after each count has come back.
        flipped: whether the likeliest action has changed after each count has gone.
        top: the count that `flips` is about.

    Source: Petsiuk et al. 2018, RISE, section 4.2, https://arxiv.org/abs/1806.07421. Differs: it is
        the change of the policy that is counted, not the probability of a class, so that for both
        curves more is better.
    """
    n = int(counts[-1])
    flips = float(flipped[counts == top][0]) if n > top else np.nan
    shares = counts / max(n, 1)
    agreed = 1 - inserted
    return CurveAreas(
        area_under(deleted, counts),
        area_under(agreed, counts),
        np.interp(GRID, shares, deleted),
        np.interp(GRID, shares, agreed),
        flips,
    )
