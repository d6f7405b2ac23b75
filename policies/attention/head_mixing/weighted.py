"""Weighted heads: what each head has read counts by a learned weight."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.head_mixing.head_mixing import HeadMixing
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.registries import HEAD_MIXINGS


@HEAD_MIXINGS.register("weighted", "what each head has read counts by a learned weight")
class WeightedHeads(HeadMixing):
    """Multiply what head h has read by `H * softmax(importance)[h]`, before the projection.

    Source: Ahmed et al. 2017, Weighted transformer network for machine translation, section 3,
        https://arxiv.org/abs/1711.02132.
    Differs: only its first weights (kappa); those after the feed-forward layer (alpha) are left
        out. They average 1 in place of 1 / H, so that at the start nothing changes.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.importance = nn.Parameter(torch.zeros(context.heads))

    def head_weights(self) -> Float[Tensor, "H"]:
        return len(self.importance) * self.importance.softmax(0)
