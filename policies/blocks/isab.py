"""Set attention in O(N M): tokens read each other through M inducing points."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.multi_head import MultiHead, QueryAttention
from attention_agents.policies.blocks.block import Block
from attention_agents.policies.blocks.sab import PostNorm
from attention_agents.policies.registries import BLOCKS
from attention_agents.policies.tokens import Tokens


class PointAttention(QueryAttention):
    """Let M inducing points read the tokens."""

    part = "in"

    def __init__(self, context: LayerContext):
        super().__init__(replace(context, query_tokens=None), "inducing points")


class TokenAttention(MultiHead):
    """Let every token read M inducing points, which stand nowhere and are always present."""

    keys, part = "inducing points", "out"

    def __init__(self, context: LayerContext):
        without_places = replace(context.attention, visibility="global", positions="none")
        super().__init__(
            replace(
                context,
                num_tokens=context.num_queries,
                layout=None,
                query_tokens=None,
                attention=without_places,
            )
        )
        self.query = Projection(context.width, context.width)
        self.inputs = Projection(context.width, 2 * context.width)

    def project_values(
        self, x: Float[Tensor, "B N D"], points: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B H M K"]:
        inputs = self.inputs(points).unflatten(-1, (2, self.heads, -1))  # (B, M, 2, H, K)
        return inputs[:, :, 1].transpose(1, 2)

    def forward(
        self, x: Float[Tensor, "B N D"], points: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B N D"]:
        H = self.heads
        q = self.query(x).unflatten(-1, (H, -1)).transpose(1, 2)  # (B, H, N, K)
        kv = self.inputs(points).unflatten(-1, (2, H, -1))  # (B, M, 2, H, K)
        k, v = kv.permute(2, 0, 3, 1, 4)  # each (B, H, M, K)
        return self.read_tokens(q, k, v, None, None)


@BLOCKS.register(
    "isab", "set attention through `num_queries` inducing points, norms last, O(N num_queries)"
)
class ISAB(Block):
    """`ISAB(x) = MAB(x, MAB(points, x))`: M learned points read the tokens, then tokens read them.

    It costs O(N M) with M = `context.num_queries`. The attention config holds for both. Its
    `visibility` and `positions` fall away where they need two places, for inducing points have
    none; `predicted` bounds what the points read.

    Source: Lee et al. 2019, Set Transformer, equations 9 and 10, https://arxiv.org/abs/1810.00825.
    Differs: the feed-forward layers have an inner layer, with a gelu.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.points = nn.Parameter(torch.randn(1, context.num_queries, context.width))
        self.gathering, self.gathered = PointAttention(context), PostNorm(context)
        self.spreading, self.spread = TokenAttention(context), PostNorm(context)

    def forward(self, tokens: Tokens) -> Tokens:
        x = tokens.values
        points = self.points.expand(x.shape[0], -1, -1)  # (B, M, D)
        points = self.gathered(points, self.gathering(points, tokens))
        read = self.spreading(x, points)
        return tokens._replace(values=self.spread(x, read))


def compose_maps(
    out_weights: Float[Tensor, "B H N M"], in_weights: Float[Tensor, "B H M N"]
) -> Float[Tensor, "B H N N"]:
    """Compose the maps of an ISAB block to one from tokens to tokens: `out_weights @ in_weights`.

    A derived map: head by head, it says through how much weight a token could reach another. Rows
    sum to 1 where those of both maps do. What the points already held, and the feed-forward layer
    between the two readings, are not in it.
    """
    return out_weights @ in_weights
