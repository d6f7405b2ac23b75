"""Modules that somebody can listen to: the one place where the watching journey begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor, nn


class Heard(NamedTuple):
    """What an attention module tells of one pass; without gradient, on its device."""

    weights: Float[Tensor, "B H Q N"]
    """What tokens were read with; 0 for absent tokens."""
    mask: Bool[Tensor, "B N"] | None
    """True where a token is present; None when all are."""
    soft: Float[Tensor, "B H Q N"] | None = None
    """Weights before a hard choice; None where there was none."""
    heads: Float[Tensor, "H"] | None = None
    """How much each head counts, averaging 1; None when all count the same."""


Listener = Callable[[Heard], None]


class Attentive(nn.Module):
    """A module with attention weights. While somebody listens, it tells them at every pass.

    Telling changes nothing that is computed. A subclass calls `self.tell(...)` inside `forward`, if
    `self.listeners`.
    """

    queries = "tokens"
    """Who asks: "tokens" (Q = N, in their order), "readout", "asking tokens" (those of one key),
    "pooled tokens", "steps", "slots" or "inducing points"."""
    keys = "tokens"
    """What is read: "tokens", "channels", "inducing points"."""
    extra_keys: tuple[str, ...] = ()
    """Names of keys that follow the tokens on the last axis, such as a CLS token."""
    normalised_over = "keys"
    """"keys": rows sum to 1; "queries": the weights of each token do; "none": nothing does."""
    part = ""
    """Tells apart the modules of one layer, such as "time" and "space"."""
    asker = ""
    """Whose query a readout's is, such as "ego" or "learned query"."""
    heads: int
    """H."""

    def __init__(self):
        super().__init__()
        self.listeners: tuple[Listener, ...] = ()

    def tell(self, heard: Heard) -> None:
        """Hand the weights of a pass to everybody who listens."""
        weights, mask, soft, heads = heard
        quiet = Heard(
            weights.detach(),
            mask,
            None if soft is None else soft.detach(),
            None if heads is None else heads.detach(),
        )
        for listener in self.listeners:
            listener(quiet)
