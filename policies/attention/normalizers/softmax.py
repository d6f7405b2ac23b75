"""Softmax: every visible token gets some weight."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_agents.policies.attention.normalizers.normalizer import Normalizer
from attention_agents.policies.registries import NORMALIZERS


@NORMALIZERS.register("softmax", "every visible token gets some weight; rows sum to 1")
class Softmax(Normalizer):
    """`exp(scores) / exp(scores).sum(-1)`."""

    def forward(
        self, scores: Float[Tensor, "B H Q N"], visible: Bool[Tensor, "#B #H #Q N"] | None
    ) -> Float[Tensor, "B H Q N"]:
        if visible is None:
            return scores.softmax(-1)
        sees_any = visible.any(-1, keepdim=True)  # (B, H, Q, 1)
        scores = scores.masked_fill(~visible, -torch.inf)
        # a row of -inf alone would be 0/0, gradient included: it is made finite, then dropped
        return torch.where(sees_any, scores.masked_fill(~sees_any, 0.0).softmax(-1), 0.0)
