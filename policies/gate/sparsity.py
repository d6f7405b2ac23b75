"""A loss inside a layer: attention is drawn to few tokens while the agent learns."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

SMALLEST = 1e-12
"""Shares below this count as this, without gradient."""


def add_loss(x: Float[Tensor, "*shape"], loss: Float[Tensor, ""]) -> Float[Tensor, "*shape"]:
    """Return x as it is; on the way back, the gradient of `loss` is added to that of its inputs.

    So a layer adds a term of its own to whatever its output is trained for, once each time that a
    loss of this output goes back.

    Raises:
        RuntimeError: on the way back, where second derivatives are asked for, as TRPO does.
    """
    handed_on = _AddLoss.apply(x, loss)
    assert isinstance(handed_on, Tensor)
    return handed_on


class _AddLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, loss: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "sparsity adds a gradient of its own, which second derivatives, such as TRPO's, "
                "would take for the policy's; use sparsity=0, or another algorithm, such as PPO"
            )
        return grads[0], grads[0].new_ones(())


def mean_entropy(weights: Float[Tensor, "B H N"]) -> Float[Tensor, ""]:
    """Return the mean entropy of rows of weights, in nats, each divided by its sum.

    It is log N where all N tokens weigh the same and 0 where one has all the weight; a row of zeros
    counts 0.
    """
    weights = weights.clamp(min=0)
    shares = weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    shares = shares.clamp(min=SMALLEST)  # entropy has no slope at 0
    return torch.special.entr(shares).sum(-1).mean()
