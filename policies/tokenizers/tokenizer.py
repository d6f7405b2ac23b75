"""What every tokenizer gives: tokens, and which of them are there."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor


class Tokens(NamedTuple):
    """The tokens of one part of the observation."""

    values: Float[Tensor, "B N D"]
    mask: Bool[Tensor, "B N"] | None
    """True where a token is present; None when all always are."""
