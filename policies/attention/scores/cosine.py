"""The cosine score: the angle between query and key, whatever their lengths."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.scores.score import Score
from attention_agents.policies.registries import SCORES


@SCORES.register("cosine", "the angle between q and k, times a learned strength per head")
class Cosine(Score):
    """`strength * unit(q) @ unit(k).T`, where `unit_vectors(x) = x / sqrt(x @ x + 1e-6)`.

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

    def __init__(self, context: LayerContext):
        super().__init__(context)
        H, K = context.heads, context.head_width
        if K < 2:
            raise ValueError(
                "score 'cosine' needs heads of width 2 or more, as two numbers have no angle; "
                f"got width={context.width}, heads={H}; use a larger width or fewer heads"
            )
        self.raw_strength = nn.Parameter(torch.full((H,), math.log(math.expm1(K**0.5))))

    def forward(
        self, q: Float[Tensor, "B H Q K"], k: Float[Tensor, "B H N K"]
    ) -> Float[Tensor, "B H Q N"]:
        strength = F.softplus(self.raw_strength)[:, None, None]  # (H, 1, 1)
        return strength * unit_vectors(q) @ unit_vectors(k).transpose(-2, -1)


def unit_vectors(x: Float[Tensor, "*shape K"]) -> Float[Tensor, "*shape K"]:
    """Return vectors of length 1; those near 0 stay near 0."""
    return x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt()
