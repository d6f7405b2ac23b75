"""Readouts without attention, as controls."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.tokens import Tokens, present_mask


class Pool(Readout):
    """Pool the present tokens, and give a learned vector where there is none.

    Source: Zaheer et al. 2017, Deep sets, https://arxiv.org/abs/1703.06114.
    """

    is_attention_layer = False

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.empty_vector = nn.Parameter(torch.zeros(context.width))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        mask = present_mask(tokens)
        pooled = self.pool_tokens(tokens.values, mask[:, :, None])
        return torch.where(mask.any(1, keepdim=True), pooled, self.empty_vector)

    def pool_tokens(self, x: Float[Tensor, "B N D"], present: Tensor) -> Float[Tensor, "B D"]:
        """Return the pooled present tokens; anything finite where there is none."""
        raise NotImplementedError


@READOUTS.register("mean", "the mean of the tokens, no attention in the readout")
class MeanPool(Pool):
    """Take the mean of the present tokens."""

    def pool_tokens(self, x: Float[Tensor, "B N D"], present: Tensor) -> Float[Tensor, "B D"]:
        return torch.where(present, x, 0.0).sum(1) / present.sum(1).clamp(min=1)


@READOUTS.register("sum", "the sum of the tokens over sqrt(N), no attention in the readout")
class SumPool(Pool):
    """Add up the present tokens; divided by sqrt(N) of the layout, to keep their size."""

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.scale = context.num_tokens**-0.5

    def pool_tokens(self, x: Float[Tensor, "B N D"], present: Tensor) -> Float[Tensor, "B D"]:
        return torch.where(present, x, 0.0).sum(1) * self.scale


@READOUTS.register("max", "the largest value of each channel, no attention in the readout")
class MaxPool(Pool):
    """Take the largest value of each channel over the present tokens."""

    def pool_tokens(self, x: Float[Tensor, "B N D"], present: Tensor) -> Float[Tensor, "B D"]:
        return torch.where(present, x, torch.finfo(x.dtype).min).amax(1)
