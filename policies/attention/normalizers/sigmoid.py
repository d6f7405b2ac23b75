"""Sigmoid gates: tokens do not compete."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.normalizers.normalizer import Normalizer
from attention_agents.policies.registries import NORMALIZERS


@NORMALIZERS.register("sigmoid", "a gate from 0 to 1 for each token; rows sum to anything")
class Sigmoid(Normalizer):
    """`1 / (1 + exp(-(scores + bias)))`, with a learned bias per head.

    Tokens do not compete: a query may read all of them, or none. The bias starts at -log(N), so
    that a row of N visible tokens starts near a total of 1. It is needed here, and not beside a
    softmax, because a shift of all scores does not cancel.

    Source: Ramapuram et al. 2024, Theory, analysis, and best practices for sigmoid self-attention,
        section 2, https://arxiv.org/abs/2409.04431. Differs: the bias is learned, one per head.
    """

    normalized_over = "none"

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.bias = nn.Parameter(torch.full((context.heads,), -math.log(context.num_tokens)))

    def forward(
        self, scores: Float[Tensor, "B H Q N"], visible: Bool[Tensor, "#B #H #Q N"] | None
    ) -> Float[Tensor, "B H Q N"]:
        scores = scores + self.bias[:, None, None]
        if visible is not None:
            scores = scores.masked_fill(~visible, -torch.inf)
        return scores.sigmoid()
