"""A layer of an encoder: tokens in, tokens out."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.tokens import Tokens

FFN_RATIO = 2
"""Hidden width of the feed-forward layers, in token widths."""


class Block(nn.Module):
    """Change each token by what the others are.

    A subclass gives `forward`, and ends its branches with a gain of `context.gain`, which keeps the
    residual stream at unit size.

    Raises:
        ValueError: the tokens are not of the kind that this needs.
    """

    def __init__(self, context: LayerContext):
        super().__init__()

    def forward(self, tokens: Tokens) -> Tokens:
        raise NotImplementedError


class FeedForward(nn.Module):
    """Apply `output(gelu(inner(x)))` to each token by itself."""

    def __init__(self, context: LayerContext):
        super().__init__()
        self.inner = Projection(context.width, FFN_RATIO * context.width, gain=2**0.5)
        self.output = Projection(FFN_RATIO * context.width, context.width, context.gain)

    def forward(self, x: Float[Tensor, "*shape D"]) -> Float[Tensor, "*shape D"]:
        return self.output(F.gelu(self.inner(x)))
