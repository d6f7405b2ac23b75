"""Readouts without attention: the honest controls."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention import Site
from attention_agents.policies.readouts.readout import READOUTS, Readout
from attention_agents.policies.tokens import Tokens


class Pool(Readout):
    """Pool the present tokens, and give a learned vector where there is none.

    Source: Zaheer et al. 2017, Deep sets, https://arxiv.org/abs/1703.06114.
    """

    attends = False

    def __init__(self, site: Site):
        super().__init__(site)
        self.nothing = nn.Parameter(torch.zeros(site.width))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        mask = tokens.mask
        if mask is None:
            mask = tokens.values.new_ones(tokens.values.shape[:2], dtype=torch.bool)
        pooled = self.pooled(tokens.values, mask[:, :, None])
        return torch.where(mask.any(1, keepdim=True), pooled, self.nothing)

    def pooled(self, x: Float[Tensor, "B N D"], present: Tensor) -> Float[Tensor, "B D"]:
        """Return the pooled present tokens; anything finite where there is none."""
        raise NotImplementedError


@READOUTS.register("mean", "the mean of the tokens, no attention in the readout")
class Mean(Pool):
    """Take the mean of the present tokens."""

    def pooled(self, x: Float[Tensor, "B N D"], present: Tensor) -> Float[Tensor, "B D"]:
        return torch.where(present, x, 0.0).sum(1) / present.sum(1).clamp(min=1)


@READOUTS.register("sum", "the sum of the tokens over sqrt(N), no attention in the readout")
class Sum(Pool):
    """Add up the present tokens; divided by sqrt(N) of the layout, to keep their size."""

    def __init__(self, site: Site):
        super().__init__(site)
        self.scale = site.keys**-0.5

    def pooled(self, x: Float[Tensor, "B N D"], present: Tensor) -> Float[Tensor, "B D"]:
        return torch.where(present, x, 0.0).sum(1) * self.scale


@READOUTS.register("max", "the largest value of each channel, no attention in the readout")
class Max(Pool):
    """Take the largest value of each channel over the present tokens."""

    def pooled(self, x: Float[Tensor, "B N D"], present: Tensor) -> Float[Tensor, "B D"]:
        return torch.where(present, x, torch.finfo(x.dtype).min).amax(1)
