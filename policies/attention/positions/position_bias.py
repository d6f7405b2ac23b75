"""What every position bias is."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext


class PositionBias(nn.Module):
    """Add a bias to scores, from the places of the query's token and of the others.

    A subclass gives `forward`.

    Raises:
        ValueError: the tokens or the queries have no places.
    """

    needs_query_tokens = False
    """Whether queries must be tokens, with a place of their own."""

    def __init__(self, context: LayerContext):
        super().__init__()

    def forward(self, places: Float[Tensor, "B N 2"] | None) -> Float[Tensor, "#B #H Q N"] | None:
        """Return what is added to the scores, all finite; None for nothing.

        Args:
            places: x and y of each token, in the environment's own units; None where tokens have
                none beside those of the layout.
        """
        raise NotImplementedError
