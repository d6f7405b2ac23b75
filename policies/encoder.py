"""From N tokens to one vector: self-attention blocks, then a readout.

With a query readout the last layer computes only the query's row, so `layers=1` costs O(N).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from policies.attention import Projection, QueryAttention, SelfAttention

READOUTS = ("query", "ego", "mean", "max")
FFN_RATIO = 2
"""Hidden width of the feed-forward layers, in token widths."""


class FeedForward(nn.Module):
    """Apply `output(gelu(inner(x)))` to each token by itself."""

    def __init__(self, width: int, gain: float = 1.0):
        super().__init__()
        self.inner = Projection(width, FFN_RATIO * width, gain=2**0.5)
        self.output = Projection(FFN_RATIO * width, width, gain)

    def forward(self, x: Float[Tensor, "*shape D"]) -> Float[Tensor, "*shape D"]:
        return self.output(F.gelu(self.inner(x)))


class Block(nn.Module):
    """Add to each token what it reads from the others, then what it makes of that (pre-norm).

    Source: Xiong et al. 2020, On layer normalization in the transformer architecture, https://arxiv.org/abs/2002.04745.
    """

    def __init__(self, width: int, heads: int, gain: float):
        super().__init__()
        self.attention_norm, self.ffn_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, gain)
        self.ffn = FeedForward(width, gain)

    def forward(
        self, tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B N D"]:
        tokens = tokens + self.attention(self.attention_norm(tokens), mask)
        return tokens + self.ffn(self.ffn_norm(tokens))


class QueryReadout(nn.Module):
    """Read the tokens with one query: a learned vector, or the row of the agent's own token.

    Args:
        ego: index of the token that asks, a row of zeros where it is absent; None for a learned
            query.
    """

    def __init__(self, width: int, heads: int, gain: float, ego: int | None = None):
        super().__init__()
        self.ego = ego
        self.learned = nn.Parameter(torch.randn(width)) if ego is None else None
        self.query_norm, self.token_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ffn_norm = nn.LayerNorm(width)
        self.attention = QueryAttention(width, heads, gain)
        self.ffn = FeedForward(width, gain)

    def forward(
        self, tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B D"]:
        if self.learned is None:
            row = tokens[:, self.ego]  # (B, D)
            if mask is not None:
                row = torch.where(mask[:, self.ego, None], row, 0.0)
        else:
            row = self.learned.expand(tokens.shape[0], -1)
        row = row + self.attention(self.query_norm(row), self.token_norm(tokens), mask)
        return row + self.ffn(self.ffn_norm(row))


class PoolReadout(nn.Module):
    """Take the mean or the maximum of the present tokens, and a learned vector where there is none.

    This is the honest control without attention in the readout.

    Source: Zaheer et al. 2017, Deep sets, https://arxiv.org/abs/1703.06114.
    """

    def __init__(self, width: int, pool: str):
        super().__init__()
        self.pool = pool
        self.nothing = nn.Parameter(torch.zeros(width))

    def forward(
        self, tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B D"]:
        if mask is None:
            return tokens.mean(1) if self.pool == "mean" else tokens.amax(1)
        present = mask[:, :, None]
        if self.pool == "mean":
            total = torch.where(present, tokens, 0.0).sum(1)
            pooled = total / mask.sum(1, keepdim=True).clamp(min=1)
        else:
            pooled = torch.where(present, tokens, torch.finfo(tokens.dtype).min).amax(1)
        return torch.where(mask.any(1, keepdim=True), pooled, self.nothing)


class Encoder(nn.Module):
    """Turn tokens into one feature vector with `layers` attention layers.

    A query readout is itself the last attention layer; a pooling readout follows `layers` blocks.

    Args:
        width: D, a multiple of heads.
        heads: H.
        layers: L >= 1.
        readout: one of `READOUTS`.
        ego: index of the agent's own token, for the ego readout.

    Raises:
        ValueError: a count below 1, width not a multiple of heads, an unknown readout, or an ego
            readout without an ego token.
    """

    def __init__(self, width: int, heads: int, layers: int, readout: str, ego: int | None = None):
        super().__init__()
        for name, value in (("width", width), ("heads", heads), ("layers", layers)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if width % heads:
            raise ValueError(
                f"width must be a multiple of heads, got width={width}, heads={heads}; "
                f"try width={heads * max(1, round(width / heads))}"
            )
        if readout not in READOUTS:
            raise ValueError(f"readout must be one of {', '.join(READOUTS)}, got {readout!r}")
        if readout == "ego" and ego is None:
            raise ValueError(
                "readout 'ego' needs a token of the agent itself, and this observation has none; "
                "use readout='query'"
            )
        asks = readout in ("query", "ego")
        gain = (2 * layers) ** -0.5  # keeps the residual stream at unit size, as in GPT-2
        self.blocks = nn.ModuleList(Block(width, heads, gain) for _ in range(layers - asks))
        if asks:
            self.readout = QueryReadout(width, heads, gain, ego if readout == "ego" else None)
        else:
            self.readout = PoolReadout(width, readout)
        self.norm = nn.LayerNorm(width)

    def attentions(self) -> list[SelfAttention | QueryAttention]:
        """Return the attention modules, first layer first."""
        return [m for m in self.modules() if isinstance(m, (SelfAttention, QueryAttention))]

    def forward(
        self, tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B D"]:
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.norm(self.readout(tokens, mask))
