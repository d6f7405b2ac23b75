"""What attention reads: tokens, which of them are there, and where they stand."""

from __future__ import annotations

from typing import NamedTuple

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
