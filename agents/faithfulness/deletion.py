"""Asking a policy along orders of tokens, all orders of a step together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from attention_agents.agents.faithfulness.deletion_curves import (
    Areas,
    Order,
    areas_of,
    ranked,
    share,
)
from attention_agents.agents.faithfulness.recorded_policy import Subject

RANDOM = "random"
RANDOM_ORDERS = 5
"""Orders drawn at each step."""


def areas_at(
    subject: Subject,
    step: int,
    maps: Mapping[str, Float[np.ndarray, "N"]],
    scale: float,
    rng: np.random.Generator,
) -> dict[str, Areas]:
    """Return what each map comes to at a step, and random orders on average.

    Args:
        step: of the episode.
        maps: weights by name; the heaviest token goes first.
        scale: the change that counts as large, see `Kind.scale`.
        rng: draws the random orders, and the order of equal weights.
    """
    present = subject.present[step]
    N = len(present)
    even = np.zeros(N)
    orders = {name: Order.of(ranked(row, present, rng), N) for name, row in maps.items()}
    drawn = [Order.of(ranked(even, present, rng), N) for _ in range(RANDOM_ORDERS)]
    found = _asked(subject, step, [*orders.values(), *drawn], scale)
    named = dict(zip(orders, found, strict=False))
    return named | {RANDOM: Areas.mean(found[len(orders) :])}


def _asked(subject: Subject, step: int, orders: list[Order], scale: float) -> list[Areas]:
    """Return what each of several orders comes to at a step."""
    removed = np.concatenate([part for order in orders for part in order[1:]])  # (V, N)
    variants, back = np.unique(removed, axis=0, return_inverse=True)
    rows = np.full(len(variants), step)
    said = subject.without(rows, variants)
    kind = subject.reader.kind
    changes = share(subject.changes(rows, said), scale)[back.ravel()]
    before = kind.action(subject.said.rows(slice(step, step + 1)))
    moved = kind.moved(np.repeat(before, len(variants), 0), kind.action(said))[back.ravel()]
    found, start = [], 0
    for order in orders:
        P = len(order.counts)
        deleted, inserted = changes[start : start + P], changes[start + P : start + 2 * P]
        found.append(areas_of(order.counts, deleted, inserted, moved[start : start + P]))
        start += 2 * P
    return found
