"""Top-k: the largest weights are read, with the gradient of soft attention."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_agents.policies.attention.hard_attention.hard_attention import (
    HardAttention,
    straight_through,
    top_k_mask,
)
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.registries import HARD_ATTENTIONS, NORMALIZERS


@HARD_ATTENTIONS.register("top-k", "the `top_k` largest weights are read, the others are 0")
class TopK(HardAttention):
    """Keep the `top_k` largest weights, scaled up to the total of their row.

    `weights = largest * soft.sum(-1) / largest.sum(-1)`, with the gradient of `soft`
    (straight-through), so that a token that is not read can still come to be. Of equal weights the
    first count. Where no more tokens are visible than `top_k`, this is soft attention. Gates (a
    normalizer whose rows have no norm) are not scaled.

    Source: Zhao et al. 2019, Explicit sparse transformer, https://arxiv.org/abs/1912.11637; Bengio,
        Léonard and Courville 2013, https://arxiv.org/abs/1308.3432, for the straight-through
        gradient. Differs: Zhao lets no gradient through to the other tokens.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.top_k = context.attention.top_k
        self.gates = NORMALIZERS[context.attention.normalizer].normalized_over == "none"

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B #H #Q N"] | None,
    ) -> Float[Tensor, "B H Q N"]:
        largest = torch.where(top_k_mask(soft, self.top_k), soft, 0.0)
        if not self.gates:
            total = largest.sum(-1, keepdim=True).clamp(min=torch.finfo(largest.dtype).tiny)
            largest = largest * (soft.sum(-1, keepdim=True) / total)
        return straight_through(largest, soft)
