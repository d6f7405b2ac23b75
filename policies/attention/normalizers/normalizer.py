"""What every normalizer is: from scores to weights."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext


class Normalizer(nn.Module):
    """Turn scores into weights of 0 or more over the visible tokens.

    A subclass gives `forward`. What is not visible weighs exactly 0, a row in which nothing is
    visible is all 0, and neither gradient nor value of a score that is not visible gets through.
    """

    normalized_over = "keys"
    """"keys": rows sum to 1; "none": each stands for itself, from 0 to 1 (till heads mix)."""

    def __init__(self, context: LayerContext):
        super().__init__()

    def forward(
        self, scores: Float[Tensor, "B H Q N"], visible: Bool[Tensor, "#B #H #Q N"] | None
    ) -> Float[Tensor, "B H Q N"]:
        raise NotImplementedError
