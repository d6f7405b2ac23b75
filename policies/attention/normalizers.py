"""From scores to weights."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.registry import Registry

NORMALISERS: Registry[type[Normaliser]] = Registry("normaliser")


class Normaliser(nn.Module):
    """Turn scores into weights of 0 or more over the visible tokens.

    A subclass gives `forward`. What is not visible weighs exactly 0, a row in which nothing is
    visible is all 0, and neither gradient nor value of a score that is not visible gets through.
    """

    normalised_over = "keys"
    """"keys": rows sum to 1; "none": each stands for itself, from 0 to 1 (till heads mix)."""

    def __init__(self, site: Site):
        super().__init__()

    def forward(
        self, scores: Float[Tensor, "B H Q N"], visible: Bool[Tensor, "#B #H #Q N"] | None
    ) -> Float[Tensor, "B H Q N"]:
        raise NotImplementedError


@NORMALISERS.register("softmax", "every visible token gets some weight; rows sum to 1")
class Softmax(Normaliser):
    """`exp(scores) / exp(scores).sum(-1)`."""

    def forward(
        self, scores: Float[Tensor, "B H Q N"], visible: Bool[Tensor, "#B #H #Q N"] | None
    ) -> Float[Tensor, "B H Q N"]:
        if visible is None:
            return scores.softmax(-1)
        some = visible.any(-1, keepdim=True)
        scores = scores.masked_fill(~visible, -torch.inf)
        return torch.where(some, scores.masked_fill(~some, 0.0).softmax(-1), 0.0)


@NORMALISERS.register("sigmoid", "a gate from 0 to 1 for each token; rows sum to anything")
class Sigmoid(Normaliser):
    """`1 / (1 + exp(-(scores + bias)))`, with a learned bias per head.

    Tokens do not compete: a query may read all of them, or none. The bias starts at -log(N), so
    that a row of N visible tokens starts near a total of 1. It is needed here, and not beside a
    softmax, because a shift of all scores does not cancel.

    Source: Ramapuram et al. 2024, Theory, analysis, and best practices for sigmoid self-attention,
        section 2, https://arxiv.org/abs/2409.04431. Differs: the bias is learned, one per head.
    """

    normalised_over = "none"

    def __init__(self, site: Site):
        super().__init__(site)
        self.bias = nn.Parameter(torch.full((site.heads,), -math.log(site.keys)))

    def forward(
        self, scores: Float[Tensor, "B H Q N"], visible: Bool[Tensor, "#B #H #Q N"] | None
    ) -> Float[Tensor, "B H Q N"]:
        scores = scores + self.bias[:, None, None]
        if visible is not None:
            scores = scores.masked_fill(~visible, -torch.inf)
        return scores.sigmoid()
