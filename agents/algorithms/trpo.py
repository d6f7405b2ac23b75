"""TRPO for policies with attention in them. Needs the extra `contrib`."""

from __future__ import annotations

import sb3_contrib
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


class TRPO(sb3_contrib.TRPO):
    """Trust region policy optimization, whose natural gradient reaches the whole encoder.

    A step solves `(H + damping) s = g`, with `g` the gradient of the surrogate objective and `H s`
    a derivative of the gradient of the KL divergence.

    Source: Schulman et al. 2015, Trust region policy optimization, appendix C,
        https://arxiv.org/abs/1502.05477; the rest is sb3-contrib's.
    Differs: sb3-contrib takes parameters with "value" in their name for the critic's, and an
        attention layer has such ones; here the gradient itself tells which are the actor's.
        The fused attention kernels have no second derivative, so gradients go the plain way.
    """

    def train(self) -> None:
        with sdpa_kernel(SDPBackend.MATH):
            super().train()

    def _compute_actor_grad(
        self, kl_div: Tensor, policy_objective: Tensor
    ) -> tuple[list[nn.Parameter], Tensor, Tensor, list[tuple[int, ...]]]:
        """Return the actor's parameters, both gradients as vectors, and the parameters' shapes."""
        trainable = [param for param in self.policy.parameters() if param.requires_grad]
        grads = torch.autograd.grad(kl_div, trainable, create_graph=True, allow_unused=True)
        actor = {p: grad for p, grad in zip(trainable, grads, strict=True) if grad is not None}
        params = list(actor)
        objective = torch.autograd.grad(
            policy_objective, params, retain_graph=True, materialize_grads=True
        )
        shapes: list[tuple[int, ...]] = [tuple(param.shape) for param in params]
        return (
            params,
            _flatten_gradients(objective),
            _flatten_gradients(tuple(actor.values())),
            shapes,
        )

    def hessian_vector_product(
        self,
        params: list[nn.Parameter],
        grad_kl: Tensor,
        vector: Tensor,
        retain_graph: bool = True,
    ) -> Tensor:
        """Return `(H + damping) vector`, with H the Hessian of the KL divergence."""
        product = torch.autograd.grad(
            grad_kl @ vector, params, retain_graph=retain_graph, materialize_grads=True
        )
        return _flatten_gradients(product) + self.cg_damping * vector


def _flatten_gradients(grads: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([grad.reshape(-1) for grad in grads])
