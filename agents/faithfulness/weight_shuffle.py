"""A policy whose weights were shuffled: the control that an honest map must beat."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from attention_agents.envs.random_streams import derive_seed


@contextmanager
def shuffled_weights(policy: nn.Module, seed: int) -> Iterator[None]:
    """Shuffle the numbers within each parameter of a policy, and put all back at the end.

    Parameters keep their mean and their spread; what they had learned is gone.

    Args:
        seed: of the generator that shuffles.

    Source: Adebayo et al. 2018, Sanity checks for saliency maps, section 3,
        https://arxiv.org/abs/1810.03292. Differs: parameters are shuffled, not drawn anew, so that
        nothing must be known of how each was initialized.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "weight shuffle"))
    parameters = list(policy.parameters())
    originals = [parameter.detach().clone() for parameter in parameters]
    try:
        with torch.no_grad():
            for parameter in parameters:
                order = torch.randperm(parameter.numel(), generator=generator)
                flat = parameter.flatten()[order.to(parameter.device)]
                parameter.copy_(flat.view_as(parameter))
        yield
    finally:
        with torch.no_grad():
            for parameter, original in zip(parameters, originals, strict=True):
                parameter.copy_(original)
