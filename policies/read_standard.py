"""What a readout gives at the start, measured: its mean over states, and how far it varies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

CENTER, SPREAD = "standard.center", "standard.spread"
"""How the names of its tensors end in a state dict."""
LEAST = 1e-6
"""A read that varies less depends on no state."""


class ReadStandard(nn.Module):
    """Take off what a read has in common over states, and bring the rest to unit size.

    `(read - center) / spread`. A mean over many tokens differs from state to state by 1 / sqrt(N)
    of what it is: one token that differs drowns. Both numbers are measured once, on random states,
    before training; with center 0 and spread 1, as in files from before there was a standard, a
    read stays as it is, to the bit. The norm that follows keeps features at unit size for any
    number of tokens.

    Source: Salimans and Kingma 2016, Weight normalization, section 3, data-dependent
        initialization, https://arxiv.org/abs/1602.07868. Differs: one spread for all channels;
        neither number is learned; states are drawn at random from the observation space.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("spread", torch.ones(()))
        self.register_load_state_dict_pre_hook(_fill_on_load)

    def forward(self, read: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        return (read - self.center) / self.spread

    @torch.no_grad()
    def measure(self, reads: Float[Tensor, "S D"]) -> None:
        """Set both numbers by the reads of S >= 2 states."""
        spread = reads.var(0).mean().sqrt()
        if spread.isfinite() and spread > LEAST:
            self.center.copy_(reads.mean(0))
            self.spread.copy_(spread)


def without_standard(
    state_dict: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return a state dict in which reads that it has no standard for stay as they are.

    Args:
        state_dict: from a file, perhaps from before there was a standard.
        expected: names and tensors that the module has.
    """
    missing = [name for name in expected if name not in state_dict]
    standards = [name for name in missing if name.endswith((CENTER, SPREAD))]
    return dict(state_dict) | {name: neutral(name, expected[name]) for name in standards}


def neutral(name: str, like: Tensor) -> Tensor:
    """Return the center or spread that changes nothing."""
    return torch.zeros_like(like) if name.endswith(CENTER) else torch.ones_like(like)


def _fill_on_load(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, buffer in module.named_buffers():
        key = prefix + name
        state_dict.setdefault(key, neutral(f"standard.{name}", buffer))
