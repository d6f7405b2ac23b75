"""The end of an encoder: N tokens in, one vector out."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.tokens import Tokens


class Readout(nn.Module):
    """Make one vector of all tokens.

    A subclass gives `forward`. Where no token is present, it gives a learned vector.

    Raises:
        ValueError: the tokens are not of the kind that this needs.
    """

    is_attention_layer = True
    """Whether it counts as the last of `layers`."""

    takes_query_source = False
    """Whether `context.query_source` means something to it."""

    def __init__(self, context: LayerContext):
        super().__init__()

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        raise NotImplementedError
