"""What every mixing of heads is."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext


class HeadMixing(nn.Module):
    """Let heads exchange scores or weights, or weigh what each has read.

    A subclass overrides what it changes. One that changes scores or weights is not read by the
    fused kernel, which knows neither.
    """

    changes_weights = False
    """Whether a subclass overrides `mix_scores` or `mix_weights`; rows then no longer sum to 1."""

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        cls.changes_weights = (
            cls.mix_scores is not HeadMixing.mix_scores
            or cls.mix_weights is not HeadMixing.mix_weights
        )

    def __init__(self, context: LayerContext):
        super().__init__()

    def mix_scores(self, scores: Float[Tensor, "B H Q N"]) -> Float[Tensor, "B H Q N"]:
        """Mix scores over heads, before the normalizer."""
        return scores

    def mix_weights(self, weights: Float[Tensor, "B H Q N"]) -> Float[Tensor, "B H Q N"]:
        """Mix weights over heads, after the normalizer."""
        return weights

    def head_weights(self) -> Float[Tensor, "H"] | None:
        """Return how much each head's read counts, averaging 1; None when all count the same."""
        return None
