"""Hard attention that learns from noise: Gumbel, and perturbed top-k.

What is read never depends on the noise: it is the best choice for the scores as they are. Only the
gradient is that of a choice under noise.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_agents.policies.attention.hard_attention import (
    SELECTIONS,
    Selection,
    largest,
    straight_through,
)
from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.normalizers import NORMALISERS, Softmax

NOISE = 0.5
"""Standard deviation of the noise of perturbed top-k, in units of scores, which start at 1."""
SAMPLES = 8
"""Draws of noise for one gradient of perturbed top-k."""


@SELECTIONS.register("gumbel", "the best token alone is read, and learned by Gumbel noise")
class Gumbel(Selection):
    """Read the token with the largest score, of equal ones the first.

    The gradient is that of `softmax(scores + noise)` with standard Gumbel noise, a sample from
    `softmax(scores)` relaxed at temperature 1 (straight-through). Noise is drawn in training mode,
    and only while a gradient is wanted; in evaluation mode the gradient is that of
    `softmax(scores)`.

    Raises:
        ValueError: the normaliser is not softmax.

    Source: Jang, Gu and Poole 2016, section 2.2, https://arxiv.org/abs/1611.01144; Maddison, Mnih
        and Teh 2016, https://arxiv.org/abs/1611.00712. Differs: what is read is the best choice
        without noise; the temperature of the mechanism divides the scores, not the noise.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        _refuse_other_than_softmax(
            site, "gumbel", "draws from softmax(scores), and a draw from {} is another matter"
        )
        self.softmax = Softmax(site)

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B #H #Q N"] | None,
    ) -> Float[Tensor, "B H Q N"]:
        best = _seen(scores, visible).argmax(-1, keepdim=True)
        hard = torch.zeros_like(soft).scatter(-1, best, 1.0)
        if visible is not None:
            hard = torch.where(visible, hard, 0.0)
        if self.training and scores.requires_grad and torch.is_grad_enabled():
            soft = self.softmax(scores + _gumbel_like(scores), visible)
        return straight_through(hard, soft)


@SELECTIONS.register(
    "perturbed-top-k", "the `budget` best tokens are read evenly, learned by noise"
)
class PerturbedTopK(Selection):
    """Read the `budget` tokens with the largest scores evenly, of equal scores the first.

    `weights = chosen / chosen.sum(-1)`. Their gradient is that of their mean under noise, estimated
    from 8 draws, with Z standard normal and sigma 0.5:
    `mean((grad . (weights(scores + sigma * Z) - weights(scores))) * Z) / sigma`.

    Noise is drawn on the way back, in either mode, so only where a gradient is wanted. The choice
    is made 8 times more there, so that this suits readouts more than self-attention.

    Raises:
        ValueError: the normaliser is not softmax, or the budget takes in all tokens.

    Source: Berthet et al. 2020, Learning with differentiable perturbed optimizers,
        https://arxiv.org/abs/2002.08676; Cordonnier et al. 2021, Differentiable patch selection for
        image recognition, https://arxiv.org/abs/2104.03059. Differs: what is read is the choice
        without noise, in training too; its weights are taken off before the mean, which changes no
        expectation and lowers the variance; one row of weights for all that is chosen, where
        Cordonnier has a row for each.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        self.budget = site.mechanism.budget
        _refuse_other_than_softmax(
            site, "perturbed-top-k", "reads what it chooses evenly, so that {} would change nothing"
        )
        if self.budget >= site.keys:
            raise ValueError(
                "hard='perturbed-top-k' reads what it chooses evenly, so that its budget must be "
                f"below the number of tokens, got budget={self.budget} of {site.keys} tokens; "
                "lower the budget, or use hard='top-k'"
            )

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B #H #Q N"] | None,
    ) -> Float[Tensor, "B H Q N"]:
        weights = _EvenChoice.apply(_seen(scores, visible), self.budget, NOISE, SAMPLES)
        assert isinstance(weights, Tensor)
        return weights


class _EvenChoice(torch.autograd.Function):
    """The forward and backward pass of `PerturbedTopK`; scores of -inf are never chosen."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, budget: int, sigma: float, samples: int) -> Tensor:
        weights = _even(scores, budget)
        ctx.save_for_backward(scores, weights)
        ctx.budget, ctx.sigma, ctx.samples = budget, sigma, samples
        return weights

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        scores, weights = ctx.saved_tensors
        total = torch.zeros_like(scores)
        # Drawn at once: a compiler may take several equal draws for one.
        drawn = torch.randn((ctx.samples, *scores.shape), dtype=scores.dtype, device=scores.device)
        for noise in drawn:
            moved = _even(scores + ctx.sigma * noise, ctx.budget) - weights
            total += (grads[0] * moved).sum(-1, keepdim=True) * noise
        return total / (ctx.samples * ctx.sigma), None, None, None


def _even(scores: Tensor, budget: int) -> Tensor:
    """Return equal weights for the best scores that are no -inf, 0 for all others."""
    chosen = (largest(scores, budget) & (scores > -torch.inf)).to(scores.dtype)
    return chosen / chosen.sum(-1, keepdim=True).clamp(min=1)


def _seen(scores: Tensor, visible: Tensor | None) -> Tensor:
    return scores if visible is None else scores.masked_fill(~visible, -torch.inf)


def _gumbel_like(scores: Tensor) -> Tensor:
    """Draw standard Gumbel noise; 0 is kept out of the logarithm."""
    tiny = torch.finfo(scores.dtype).tiny
    return -(-torch.rand_like(scores).clamp(min=tiny).log()).log()


def _refuse_other_than_softmax(site: Site, name: str, reason: str) -> None:
    word = site.mechanism.normaliser
    if NORMALISERS[word] is not Softmax:
        raise ValueError(
            f"hard={name!r} {reason.format(word)}; use normaliser='softmax', or hard='top-k'"
        )
