"""Modules whose attention weights can be listened to: where every map of a recording begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class AttentionWeights(NamedTuple):
    """The weights of an attention module in one pass; as reported, without gradient."""

    weights: Float[Tensor, "B H Q N"]
    """What tokens were read with; 0 for absent tokens."""
    mask: Bool[Tensor, "B N"] | None = None
    """True where a token is present; None when all are."""
    soft: Float[Tensor, "B H Q N"] | None = None
    """Weights before a hard choice; None where there was none."""
    heads: Float[Tensor, "H"] | None = None
    """How much each head counts, averaging 1; None when all count the same."""


Listener = Callable[[AttentionWeights], None]


class TappableAttention(nn.Module):
    """A module with attention weights, which it reports at every pass while it has listeners.

    Reporting changes nothing that is computed. A subclass calls `self.report(...)` inside
    `forward`, if `self.listeners`.
    """

    queries = "tokens"
    """What queries are: "tokens" (Q = N, in their order), "readout", "asking tokens" (those of one
    key), "pooled tokens", "steps", "slots" or "inducing points"."""
    keys = "tokens"
    """What is read: "tokens", "channels", "inducing points"."""
    extra_keys: tuple[str, ...] = ()
    """Names of keys that follow the tokens on the last axis, such as a CLS token."""
    normalized_over = "keys"
    """"keys": rows sum to 1; "queries": the weights of each token do; "none": nothing does."""
    part = ""
    """Tells apart the modules of one layer, such as "time" and "space"."""
    query_source = ""
    """Whose query a readout's is, such as "ego" or "learned query"."""
    heads: int
    """H."""

    def __init__(self):
        super().__init__()
        self.listeners: tuple[Listener, ...] = ()
        self._members: Tensor | None = None
        self._layout_size = 0

    def place(self, members: Sequence[bool], part: str) -> None:
        """Say which tokens of a whole observation this module knows, when there are others too.

        What it reports then has a row or column for every token of the layout, 0 for the others.

        Args:
            members: for each token of the layout, whether it is one of this module's.
            part: a name, which tells it from the observation's other modules.
        """
        if not all(members):
            self._members = torch.tensor(members).nonzero()[:, 0]
            self._layout_size = len(members)
            self.part = f"{part} {self.part}".rstrip()

    def report(self, weights: AttentionWeights) -> None:
        """Hand the weights of a pass to every listener, without gradient."""
        detached = AttentionWeights(
            *(None if tensor is None else tensor.detach() for tensor in weights)  # type: ignore
        )
        if self._members is not None:
            detached = self._spread(detached, self._members)
        for listener in self.listeners:
            listener(detached)

    def _spread(self, weights: AttentionWeights, members: Tensor) -> AttentionWeights:
        """Set the weights of some tokens among those of all."""
        members, size = members.to(weights.weights.device), self._layout_size

        def spread(map_: Tensor) -> Tensor:
            if self.queries == "tokens":
                map_ = _spread_axis(map_, 2, members, size)
            return _spread_axis(map_, 3, members, size) if self.keys == "tokens" else map_

        mask = weights.mask
        if mask is None:
            mask = members.new_ones(len(weights.weights), len(members), dtype=torch.bool)
        return weights._replace(
            weights=spread(weights.weights),
            mask=_spread_axis(mask, 1, members, size),
            soft=None if weights.soft is None else spread(weights.soft),
        )


def _spread_axis(x: Tensor, axis: int, members: Tensor, size: int) -> Tensor:
    """Set the entries of some tokens among those of all; extra ones stay behind them."""
    count = len(members)
    own, extra = x.split([count, x.shape[axis] - count], axis)
    shape = [*x.shape[:axis], size, *x.shape[axis + 1 :]]
    return torch.cat([x.new_zeros(shape).index_copy(axis, members, own), extra], axis)
