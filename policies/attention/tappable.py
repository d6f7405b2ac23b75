"""Modules whose attention weights can be listened to: where every map of a recording begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

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

    def report(self, weights: AttentionWeights) -> None:
        """Hand the weights of a pass to every listener, without gradient."""
        detached = AttentionWeights(
            *(None if tensor is None else tensor.detach() for tensor in weights)  # type: ignore
        )
        for listener in self.listeners:
            listener(detached)
