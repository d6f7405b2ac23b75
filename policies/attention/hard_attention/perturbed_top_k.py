"""Perturbed top-k: the best tokens are read evenly, and the gradient is that of a noisy choice.

What is read never depends on the noise: it is the best choice for the scores as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_agents.policies.attention.hard_attention.hard_attention import (
    HardAttention,
    check_softmax,
    mask_invisible,
    top_k_mask,
)
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.registries import HARD_ATTENTIONS

NOISE = 0.5
"""Standard deviation of the noise of perturbed top-k, in units of scores, which start at 1."""
SAMPLES = 8
"""Draws of noise for one gradient of perturbed top-k."""


@HARD_ATTENTIONS.register(
    "perturbed-top-k", "the `top_k` best tokens are read evenly, learned by noise"
)
class PerturbedTopK(HardAttention):
    """Read the `top_k` tokens with the largest scores evenly, of equal scores the first.

    `weights = chosen / chosen.sum(-1)`. Their gradient is that of their mean under noise, estimated
    from 8 draws, with Z standard normal and sigma 0.5:
    `mean((grad . (weights(scores + sigma * Z) - weights(scores))) * Z) / sigma`.

    Noise is drawn on the way back, in either mode, so only where a gradient is wanted. The choice
    is made 8 times more there, so that this suits readouts more than self-attention.

    Raises:
        ValueError: the normalizer is not softmax, or top_k takes in all tokens.

    Source: Berthet et al. 2020, Learning with differentiable perturbed optimizers,
        https://arxiv.org/abs/2002.08676; Cordonnier et al. 2021, Differentiable patch selection for
        image recognition, https://arxiv.org/abs/2104.03059. Differs: what is read is the choice
        without noise, in training too; its weights are taken off before the mean, which changes no
        expectation and lowers the variance; one row of weights for all that is chosen, where
        Cordonnier has a row for each.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.top_k = context.attention.top_k
        check_softmax(
            context,
            "perturbed-top-k",
            "reads what it chooses evenly, so that {} would change nothing",
        )
        if self.top_k >= context.num_tokens:
            raise ValueError(
                "hard_attention='perturbed-top-k' reads what it chooses evenly, so that its top_k "
                "must be below the number of tokens, got "
                f"top_k={self.top_k} of {context.num_tokens} tokens; lower top_k, or use "
                "hard_attention='top-k'"
            )

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B #H #Q N"] | None,
    ) -> Float[Tensor, "B H Q N"]:
        weights = _EvenChoice.apply(mask_invisible(scores, visible), self.top_k, NOISE, SAMPLES)
        assert isinstance(weights, Tensor)
        return weights


class _EvenChoice(torch.autograd.Function):
    """The forward and backward pass of `PerturbedTopK`; scores of -inf are never chosen."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, top_k: int, sigma: float, samples: int) -> Tensor:
        weights = even_weights(scores, top_k)
        ctx.save_for_backward(scores, weights)
        ctx.top_k, ctx.sigma, ctx.samples = top_k, sigma, samples
        return weights

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        scores, weights = ctx.saved_tensors
        total = torch.zeros_like(scores)  # (B, H, Q, N)
        # Drawn at once: a compiler may take several equal draws for one.
        noises = torch.randn((ctx.samples, *scores.shape), dtype=scores.dtype, device=scores.device)
        for noise in noises:
            # how far this draw changes the choice; the choice without noise that is subtracted is a
            # control variate, as noise has mean 0
            change = even_weights(scores + ctx.sigma * noise, ctx.top_k) - weights
            total += (grads[0] * change).sum(
                -1, keepdim=True
            ) * noise  # (B, H, Q, 1) * (B, H, Q, N)
        return total / (ctx.samples * ctx.sigma), None, None, None


def even_weights(scores: Tensor, top_k: int) -> Tensor:
    """Return equal weights for the best scores that are no -inf, 0 for all others."""
    chosen = (top_k_mask(scores, top_k) & (scores > -torch.inf)).to(scores.dtype)
    return chosen / chosen.sum(-1, keepdim=True).clamp(min=1)
