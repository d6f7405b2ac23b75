"""A layer of an encoder: tokens in, tokens out."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention import Projection, Registry, Site
from attention_agents.policies.tokens import Tokens

BLOCKS: Registry[type[Block]] = Registry("block")
FFN_RATIO = 2
"""Hidden width of the feed-forward layers, in token widths."""


class Block(nn.Module):
    """Change each token by what the others are.

    A subclass gives `forward`, and ends its branches with a gain of `site.gain`, which keeps the
    residual stream at unit size.

    Raises:
        ValueError: the tokens are not of the kind that this needs.
    """

    def __init__(self, site: Site):
        super().__init__()

    def forward(self, tokens: Tokens) -> Tokens:
        raise NotImplementedError


class FeedForward(nn.Module):
    """Apply `output(gelu(inner(x)))` to each token by itself."""

    def __init__(self, site: Site):
        super().__init__()
        self.inner = Projection(site.width, FFN_RATIO * site.width, gain=2**0.5)
        self.output = Projection(FFN_RATIO * site.width, site.width, site.gain)

    def forward(self, x: Float[Tensor, "*shape D"]) -> Float[Tensor, "*shape D"]:
        return self.output(F.gelu(self.inner(x)))
