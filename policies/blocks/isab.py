"""Set attention in O(N M): tokens read each other through M inducing points."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention import (
    Bilinear,
    MultiHead,
    Projection,
    QueryAttention,
    Site,
    attend,
)
from attention_agents.policies.blocks.block import BLOCKS, Block
from attention_agents.policies.blocks.sab import PostNorm
from attention_agents.policies.tokens import Tokens


class Gathering(QueryAttention):
    """Let M inducing points read the tokens."""

    part = "in"

    def __init__(self, site: Site):
        super().__init__(replace(site, askers=None), "inducing points")


class Spreading(MultiHead):
    """Let every token read M inducing points, which stand nowhere and are always present."""

    keys, part = "inducing points", "out"

    def __init__(self, site: Site):
        anywhere = replace(site.mechanism, where="global", positions="none")
        super().__init__(
            replace(site, keys=site.points, layout=None, askers=None, mechanism=anywhere)
        )
        self.query = Projection(site.width, site.width)
        self.inputs = Projection(site.width, 2 * site.width)

    def values(
        self, x: Float[Tensor, "B N D"], points: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B H M K"]:
        inputs = self.inputs(points).unflatten(-1, (2, self.heads, -1))  # (B, M, 2, H, K)
        return inputs[:, :, 1].transpose(1, 2)

    def forward(
        self, x: Float[Tensor, "B N D"], points: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B N D"]:
        H, weighing = self.heads, self.weighing
        q = self.query(x).unflatten(-1, (H, -1)).transpose(1, 2)  # (B, H, N, K)
        k, v = self.inputs(points).unflatten(-1, (2, H, -1)).permute(2, 0, 3, 1, 4)
        if weighing.fused and isinstance(weighing.score, Bilinear):
            scale = weighing.score.scale / weighing.temperature
            read = attend(weighing.score.query(q), k, v, None, scale)
            if self.listeners:
                with torch.no_grad():
                    self.told(weighing(weighing.score(q, k), None, None), None)
        else:
            weighed = weighing(weighing.score(q, k), None, None)
            read = weighed.weights @ v
            if self.listeners:
                self.told(weighed, None)
        return self.combined(read, None)  # read (B, H, N, K)


@BLOCKS.register("isab", "set attention through `points` inducing points, norms last, O(N points)")
class ISAB(Block):
    """`ISAB(x) = MAB(x, MAB(points, x))`: M learned points read the tokens, then tokens read them.

    It costs O(N M) with M = `site.points`. The mechanism weighs in both. Its `where` and
    `positions` fall away where they need two who stand somewhere, for inducing points do not;
    `predicted` bounds what the points read.

    Source: Lee et al. 2019, Set Transformer, equations 9 and 10, https://arxiv.org/abs/1810.00825.
    Differs: the feed-forward layers have an inner layer, with a gelu.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        self.points = nn.Parameter(torch.randn(1, site.points, site.width))
        self.gathering, self.gathered = Gathering(site), PostNorm(site)
        self.spreading, self.spread = Spreading(site), PostNorm(site)

    def forward(self, tokens: Tokens) -> Tokens:
        x = tokens.values
        points = self.points.expand(x.shape[0], -1, -1)  # (B, M, D)
        points = self.gathered(points, self.gathering(points, tokens))
        read = self.spreading(x, points)
        return tokens._replace(values=self.spread(x, read))


def composed(
    out_weights: Float[Tensor, "B H N M"], in_weights: Float[Tensor, "B H M N"]
) -> Float[Tensor, "B H N N"]:
    """Compose the maps of an ISAB block to one from tokens to tokens: `out_weights @ in_weights`.

    A derived map: head by head, it says through how much weight a token could reach another. Rows
    sum to 1 where those of both maps do. What the points already held, and the feed-forward layer
    between the two readings, are not in it.
    """
    return out_weights @ in_weights
