"""How well each key answers each query.

A head's queries and keys are projections of layer-normed tokens whose components start at unit
size, so `q @ k.T` starts with a spread of sqrt(K). Scores start with a spread of about 1 over the
tokens: smaller, and every token weighs the same whatever it is; larger, and one token takes all the
weight and the softmax passes on no gradient.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.registry import Registry

SCORES: Registry[type[Score]] = Registry("score")


class Score(nn.Module):
    """Compare queries with keys, head by head.

    A subclass gives `forward`; its own parameters have a slice per head.

    Raises:
        ValueError: the tokens are not of the kind that this needs.
    """

    def __init__(self, site: Site):
        super().__init__()
        self.scale = site.head_width**-0.5

    def forward(
        self, q: Float[Tensor, "B H Q K"], k: Float[Tensor, "B H N K"]
    ) -> Float[Tensor, "B H Q N"]:
        raise NotImplementedError


class Bilinear(Score):
    """A score that is linear in the key: `scale * query(q) @ k.T`.

    Such scores run through the fused kernel, and a readout absorbs its key projection into the
    query.
    """

    def query(self, q: Float[Tensor, "B H Q K"]) -> Float[Tensor, "B H Q K"]:
        """Return what is compared with the keys by a dot product."""
        return q

    def forward(
        self, q: Float[Tensor, "B H Q K"], k: Float[Tensor, "B H N K"]
    ) -> Float[Tensor, "B H Q N"]:
        return self.scale * self.query(q) @ k.transpose(-2, -1)


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

    def __init__(self, site: Site):
        super().__init__(site)
        self.scale = 1.0


@SCORES.register("general", "q W k, with a learned W per head")
class General(Bilinear):
    """`(q @ matrix) @ k.T`, with a matrix (K, K) per head; its spread starts at 1.

    Source: Luong, Pham and Manning 2015, section 3.1, https://arxiv.org/abs/1508.04025. Differs: q
        and k are a head's projections, not the hidden states themselves. So it can say no more than
        the dot product of the same projections, but learns by other steps.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        H, K = site.heads, site.head_width
        self.scale = 1.0
        self.matrix = nn.Parameter(torch.randn(H, K, K) / K)

    def query(self, q: Float[Tensor, "B H Q K"]) -> Float[Tensor, "B H Q K"]:
        return q @ self.matrix


@SCORES.register("cosine", "the angle between q and k, times a learned strength per head")
class Cosine(Score):
    """`strength * unit(q) @ unit(k).T`, where `unit(x) = x / sqrt(x @ x + 1e-6)`.

    The strength is a softplus, so above 0, and starts at sqrt(K), because the cosine of two random
    vectors has a spread of 1 / sqrt(K). No score exceeds it, however large tokens grow.

    Raises:
        ValueError: heads are 1 wide.

    Source: Graves, Wayne and Danihelka 2014, Neural Turing machines, section 3.3.1,
        https://arxiv.org/abs/1410.5401; Liu et al. 2022, Swin transformer V2, section 3.2,
        https://arxiv.org/abs/2111.09883, with one strength per head. Differs: the strength does not
        depend on the query, as in the latter; the constant under the root keeps the gradient of a
        key of zeros finite.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        H, K = site.heads, site.head_width
        if K < 2:
            raise ValueError(
                "score 'cosine' needs heads of width 2 or more, as two numbers have no angle; "
                f"got width={site.width}, heads={H}; use a larger width or fewer heads"
            )
        self.raw_strength = nn.Parameter(torch.full((H,), math.log(math.expm1(K**0.5))))

    def forward(
        self, q: Float[Tensor, "B H Q K"], k: Float[Tensor, "B H N K"]
    ) -> Float[Tensor, "B H Q N"]:
        strength = F.softplus(self.raw_strength)[:, None, None]  # (H, 1, 1)
        return strength * unit(q) @ unit(k).transpose(-2, -1)


def unit(x: Float[Tensor, "*shape K"]) -> Float[Tensor, "*shape K"]:
    """Return vectors of length 1; those near 0 stay near 0."""
    return x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt()
