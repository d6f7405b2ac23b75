"""What every score is.

A head's queries and keys are projections of layer-normed tokens whose components start at unit
size, so `q @ k.T` starts with a spread of sqrt(K). Scores start with a spread of about 1 over the
tokens: smaller, and every token weighs the same whatever it is; larger, and one token takes all the
weight and the softmax passes on no gradient.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext


class Score(nn.Module):
    """Compare queries with keys, head by head.

    A subclass gives `forward`; its own parameters have a slice per head.

    Raises:
        ValueError: the tokens are not of the kind that this needs.
    """

    def __init__(self, context: LayerContext):
        super().__init__()
        self.scale = context.head_width**-0.5

    def forward(
        self, q: Float[Tensor, "B H Q K"], k: Float[Tensor, "B H N K"]
    ) -> Float[Tensor, "B H Q N"]:
        raise NotImplementedError


class Bilinear(Score):
    """A score that is linear in the key: `scale * project_query(q) @ k.T`.

    Such scores run through the fused kernel, and a readout absorbs its key projection into the
    query.
    """

    def project_query(self, q: Float[Tensor, "B H Q K"]) -> Float[Tensor, "B H Q K"]:
        """Return what is compared with the keys by a dot product."""
        return q

    def forward(
        self, q: Float[Tensor, "B H Q K"], k: Float[Tensor, "B H N K"]
    ) -> Float[Tensor, "B H Q N"]:
        return self.scale * self.project_query(q) @ k.transpose(-2, -1)
