"""One part of an observation as gated features: numbers, pictures, or cells of categories.

Each part is the network that Stable-Baselines3 or the field uses for such observations, with an
attention gate at the place where tokens still stand where they are in the observation. `tokens`
hands on what stands there before anything weighs it: whoever looks in, hooks it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.envs.tokens.specs import Cells, Patches
from attention_agents.policies.gate.blocks_gate import GatePlan

JOINT_TABLE = 512
"""Combinations of categories up to which every combination has a row of its own."""
CELL_WIDTH = 16
"""Numbers that a cell of categories becomes."""


class GatedConvolutions(nn.Module):
    """Gate the cells of the last convolution, then flatten them into one linear layer and a ReLU.

    With an even gate this is SB3's `NatureCNN`, where the convolutions are those of the Nature DQN,
    and the network of MinAtar's authors, where there is one convolution.

    Source: Mnih et al. 2015, Human-level control through deep reinforcement learning, methods;
        Young and Tian 2019, MinAtar, section 4, https://arxiv.org/abs/1903.03176.
    """

    def __init__(self, spec: Patches, features_dim: int, plan: GatePlan):
        super().__init__()
        self.features_dim, self.channels_first = features_dim, spec.channels_first
        layers: list[nn.Module] = []
        channels = spec.channels
        for conv in spec.convs:
            layers += [nn.Conv2d(channels, *conv), nn.ReLU()]
            channels = conv.channels
        self.convolutions = nn.Sequential(*layers)
        cells = len(spec.token_groups("")[0])
        self.linear = nn.Sequential(nn.Linear(channels * cells, features_dim), nn.ReLU())
        self.tokens = nn.Identity()
        self.gate = plan.build(TokenLayout(spec.token_groups("")), channels)

    def forward(self, obs: Float[Tensor, "B ..."]) -> Float[Tensor, "_ F"]:
        if obs.dim() == 3:
            obs = obs[:, None]  # (B, 1, height, width)
        elif not self.channels_first:
            obs = obs.permute(0, 3, 1, 2)  # (B, C, height, width)
        return self.features_from_tokens(self.tokens(self.convolutions(obs).flatten(2)))

    def features_from_tokens(self, tokens: Float[Tensor, "B C N"]) -> Float[Tensor, "B F"]:
        """Return the features that cells give, channels first."""
        return self.linear(self.gate(tokens).flatten(1))


class GatedTable(nn.Module):
    """Gate cells of categories, each a row of a learned table, then one linear layer and a ReLU.

    Few combinations of a cell's categories have a row each; of many, the rows of the single
    categories are added.
    """

    starts: Tensor

    def __init__(self, spec: Cells, features_dim: int, plan: GatePlan):
        super().__init__()
        self.features_dim = features_dim
        sizes = spec.categories
        joint = math.prod(sizes) <= JOINT_TABLE
        rows = math.prod(sizes) if joint else sum(sizes)
        starts = _place_values(sizes) if joint else _offsets(sizes)
        self.joint = joint
        self.register_buffer("starts", torch.tensor(starts), persistent=False)
        self.table = nn.Parameter(
            torch.randn(rows, CELL_WIDTH) * (1 if joint else len(sizes) ** -0.5)
        )
        cells = spec.rows * spec.cols
        self.linear = nn.Sequential(nn.Linear(CELL_WIDTH * cells, features_dim), nn.ReLU())
        self.tokens = nn.Identity()
        self.gate = plan.build(TokenLayout(spec.token_groups("")), CELL_WIDTH)

    def forward(self, obs: Float[Tensor, "B N C"]) -> Float[Tensor, "_ F"]:
        categories = obs.long()
        if self.joint:
            cells = self.table[(categories * self.starts).sum(-1)]  # (B, N, E)
        else:
            cells = self.table[categories + self.starts].sum(2)  # (B, N, E)
        return self.features_from_tokens(self.tokens(cells.transpose(1, 2)))

    def features_from_tokens(self, tokens: Float[Tensor, "B C N"]) -> Float[Tensor, "B F"]:
        """Return the features that cells give, channels first."""
        return self.linear(self.gate(tokens).flatten(1))


def _place_values(sizes: Sequence[int]) -> list[int]:
    """Return the weight of each category in the number of a combination, as digits have."""
    return [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]


def _offsets(sizes: Sequence[int]) -> list[int]:
    """Return where the rows of each category begin in a table of all."""
    return list(itertools.accumulate(sizes, initial=0))[:-1]
