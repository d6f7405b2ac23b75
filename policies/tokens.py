"""What attention reads: tokens, which of them are present, and where they stand."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Tokens(NamedTuple):
    """The tokens of an observation, or of one part of it."""

    values: Float[Tensor, "B N D"]
    mask: Bool[Tensor, "B N"] | None
    """True where a token is present; None when all always are."""
    places: Float[Tensor, "B N 2"] | None = None
    """x, y of each token in the environment's own units, for distances between entities, NaN for a
    token without; None where no token has any beside what the layout knows."""


def present_mask(tokens: Tokens) -> Bool[Tensor, "B N"]:
    """Return True where a token is present."""
    if tokens.mask is not None:
        return tokens.mask
    return tokens.values.new_ones(tokens.values.shape[:2], dtype=torch.bool)
