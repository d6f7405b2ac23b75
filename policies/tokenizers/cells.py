"""Cells of a grid as tokens."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.envs.tokens.specs import Cells
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.tokens import Tokens

SMALL_TABLE = 128
"""Categories in all, up to which a product is quicker than a look-up."""


class CellTokenizer(nn.Module):
    """Make each cell a token: what is in it, plus where it is.

    Contents are embedded categories or projected planes of numbers.

    Args:
        spec: with categories, observations are (B, rows * cols, C) category indices; without,
            (B, rows, cols, C) or (B, C, rows, cols) numbers.
    """

    def __init__(self, spec: Cells, width: int):
        super().__init__()
        self.place = nn.Parameter(torch.randn(spec.rows * spec.cols, width))
        if spec.categories:
            self.content: nn.Module = CategoryContent(spec.categories, width)
        else:
            self.content = PlaneContent(spec.channels, width, spec.channels_first)

    def forward(self, obs: Float[Tensor, "B ..."]) -> Tokens:
        return Tokens(self.content(obs) + self.place, None)


class CategoryContent(nn.Module):
    """Add up the embeddings of a cell's C categories (object, color, state).

    Small tables are read by a product with a row of ones and zeros: quicker than a look-up, and it
    has the second derivative that TRPO asks for.
    """

    starts: Tensor

    def __init__(self, categories: tuple[int, ...], width: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(sum(categories), width) * len(categories) ** -0.5)
        starts = list(itertools.accumulate(categories, initial=0))[:-1]
        self.register_buffer("starts", torch.tensor(starts), persistent=False)

    def forward(self, obs: Float[Tensor, "B N C"]) -> Float[Tensor, "B N D"]:
        B, N, C = obs.shape
        rows = (obs.long() + self.starts).view(B * N, C)
        if len(self.table) > SMALL_TABLE:
            return nn.functional.embedding(rows, self.table).sum(1).view(B, N, -1)  # (B, N, D)
        ones = self.table.new_ones(1).expand(rows.shape)
        chosen = self.table.new_zeros(B * N, len(self.table)).scatter_add(1, rows, ones)
        return (chosen @ self.table).view(B, N, -1)  # (B, N, D)


class PlaneContent(nn.Module):
    """Project a cell's C numbers."""

    def __init__(self, channels: int, width: int, channels_first: bool):
        super().__init__()
        self.channels_first = channels_first
        self.project = Projection(channels, width)

    def forward(self, obs: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B N D"]:
        if self.channels_first:
            obs = obs.permute(0, 2, 3, 1)  # (B, rows, cols, C)
        return self.project(obs).flatten(1, 2)
