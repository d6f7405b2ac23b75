"""A linear map that keeps its own initialization."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Projection(nn.Module):
    """Apply `x @ weight.T + bias`, and keep its own initialization.

    It is no `nn.Linear` on purpose: Stable-Baselines3's `ortho_init` re-initializes every Linear of
    a features extractor with gain sqrt(2), which is meant for ReLU layers and not for attention.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.normal_(self.weight, std=gain / math.sqrt(inputs))

    def forward(self, x: Float[Tensor, "*shape inputs"]) -> Float[Tensor, "*shape outputs"]:
        return F.linear(x, self.weight, self.bias)
