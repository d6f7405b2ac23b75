"""Scores that are linear in the key: scaled dot product, dot product and general."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.scores.score import Bilinear
from attention_agents.policies.registries import SCORES


@SCORES.register("scaled-dot-product", "q.k / sqrt(K)")
class ScaledDotProduct(Bilinear):
    """`q @ k.T / sqrt(K)`, with K the width of a head.

    Source: Vaswani et al. 2017, Attention is all you need, section 3.2.1, https://arxiv.org/abs/1706.03762.
    """


@SCORES.register("dot", "q.k, without a scale")
class Dot(Bilinear):
    """`q @ k.T`, which starts with a spread of sqrt(K): weights start sharper the wider a head is.

    Source: Luong, Pham and Manning 2015, section 3.1, https://arxiv.org/abs/1508.04025. Differs: q
        and k are a head's projections, not the hidden states themselves.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.scale = 1.0


@SCORES.register("general", "q W k, with a learned W per head")
class General(Bilinear):
    """`(q @ matrix) @ k.T`, with a matrix (K, K) per head; its spread starts at 1.

    Source: Luong, Pham and Manning 2015, section 3.1, https://arxiv.org/abs/1508.04025. Differs: q
        and k are a head's projections, not the hidden states themselves. So it can say no more than
        the dot product of the same projections, but learns by other steps.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        H, K = context.heads, context.head_width
        self.scale = 1.0
        self.matrix = nn.Parameter(torch.randn(H, K, K) / K)

    def project_query(self, q: Float[Tensor, "B H Q K"]) -> Float[Tensor, "B H Q K"]:
        return q @ self.matrix
