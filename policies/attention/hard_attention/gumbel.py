"""Gumbel: the best token alone is read, and the gradient is that of a draw.

What is read never depends on the noise: it is the best choice for the scores as they are.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_agents.policies.attention.hard_attention.hard_attention import (
    HardAttention,
    check_softmax,
    mask_invisible,
    straight_through,
)
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.normalizers.softmax import Softmax
from attention_agents.policies.registries import HARD_ATTENTIONS


@HARD_ATTENTIONS.register("gumbel", "the best token alone is read, and learned by Gumbel noise")
class Gumbel(HardAttention):
    """Read the token with the largest score, of equal ones the first.

    The gradient is that of `softmax(scores + noise)` with standard Gumbel noise, a sample from
    `softmax(scores)` relaxed at temperature 1 (straight-through). Noise is drawn in training mode,
    and only while a gradient is wanted; in evaluation mode the gradient is that of
    `softmax(scores)`.

    Raises:
        ValueError: the normalizer is not softmax.

    Source: Jang, Gu and Poole 2016, section 2.2, https://arxiv.org/abs/1611.01144; Maddison, Mnih
        and Teh 2016, https://arxiv.org/abs/1611.00712. Differs: what is read is the best choice
        without noise; the temperature of the mechanism divides the scores, not the noise.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        check_softmax(
            context, "gumbel", "draws from softmax(scores), and a draw from {} is another matter"
        )
        self.softmax = Softmax(context)

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B #H #Q N"] | None,
    ) -> Float[Tensor, "B H Q N"]:
        best = mask_invisible(scores, visible).argmax(-1, keepdim=True)
        hard = torch.zeros_like(soft).scatter(-1, best, 1.0)
        if visible is not None:
            hard = torch.where(visible, hard, 0.0)
        if self.training and scores.requires_grad and torch.is_grad_enabled():
            soft = self.softmax(scores + gumbel_like(scores), visible)
        return straight_through(hard, soft)


def gumbel_like(scores: Tensor) -> Tensor:
    """Draw standard Gumbel noise; 0 is kept out of the logarithm."""
    tiny = torch.finfo(scores.dtype).tiny
    return -(-torch.rand_like(scores).clamp(min=tiny).log()).log()
