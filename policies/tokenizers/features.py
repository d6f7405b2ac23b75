"""Numbers and choices of a vector as tokens."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.envs.tokens.specs import Categories, Features
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.tokens import Tokens


class FeatureTokenizer(nn.Module):
    """Make each number a token: `name_i + output(tanh(slope_i * x_i + shift_i))`.

    Source: Gorishniy et al. 2022, On embeddings for numerical features in tabular deep learning,
        section 3, https://arxiv.org/abs/2203.05556. Differs: tanh units with learned slope and
        shift in place of fixed bins, since the range of an observation is often unknown.
    """

    def __init__(self, spec: Features, width: int):
        super().__init__()
        N = len(spec.names)
        self.slope = nn.Parameter(torch.randn(N, width))
        self.shift = nn.Parameter(torch.randn(N, width))
        self.name = nn.Parameter(torch.randn(N, width))
        self.output = Projection(width, width, gain=math.sqrt(2))

    def forward(self, obs: Float[Tensor, "B ..."]) -> Tokens:
        x = obs.flatten(1)[:, :, None]  # (B, N, 1)
        return Tokens(self.name + self.output(torch.tanh(x * self.slope + self.shift)), None)


class CategoryTokenizer(nn.Module):
    """Make each choice of a one-hot vector a token: the embedding of the chosen category."""

    def __init__(self, spec: Categories, width: int):
        super().__init__()
        self.sizes = spec.sizes
        self.embeddings = nn.ParameterList(torch.randn(size, width) for size in spec.sizes)

    def forward(self, obs: Float[Tensor, "B ..."]) -> Tokens:
        parts = obs.flatten(1).split(self.sizes, dim=1)
        tokens = [part @ table for part, table in zip(parts, self.embeddings, strict=True)]
        return Tokens(torch.stack(tokens, 1), None)
