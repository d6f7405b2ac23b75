"""Relative positions: a learned bias for how far, and in which direction, a token is."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.positions.position_bias import PositionBias
from attention_agents.policies.attention.token_geometry import Geometry, describe_tokens
from attention_agents.policies.registries import POSITION_BIASES

NEAR = 0.01
"""Distance, in units of the environment, well below which entities count as in one place."""
FAR = 1e6
"""Distance, in units of the environment, beyond which entities count as equally far."""
TINY = 1e-12
"""Added to squared distances: the slope of the root of 0 is infinite."""


@POSITION_BIASES.register(
    "relative", "a learned bias by offset on grids and in time, or by distance"
)
class RelativePositionBias(PositionBias):
    """Add what each head has learned of the offset from the query's token to each token.

    `table_h[row_n - row_q, col_n - col_q]` on each grid, `table_h[step_n - step_q]` in time, both
    where both exist, and between entities a function of their distance, see `DistanceBias`; of a
    history, of where each stood in the observation of its own step. A pair
    that shares none of these adds 0; what the others add is learned relative to that. All begin
    at 0, as if there were no positions.

    Source: Liu et al. 2021, Swin Transformer, section 3.2, https://arxiv.org/abs/2103.14030; Shaw
        et al. 2018, Self-attention with relative position representations,
        https://arxiv.org/abs/1803.02155, for time.
    Differs: from Shaw, a number per offset and head in place of a vector, and offsets are not
        clipped.

    Raises:
        ValueError: tokens stand neither on a grid, nor in time, nor are they entities; or entities
            are all there is, and they come without places.
    """

    needs_query_tokens = True

    def __init__(self, context: LayerContext):
        super().__init__(context)
        geometry = Geometry.of(context.layout)
        query_tokens = np.array(context.query_tokens or (), int)
        offsets = [grid_offsets(geometry, grid) for grid in geometry.grid_ids]
        if geometry.has_time.any():
            offsets.append(step_offsets(geometry))
        self.tables = nn.ModuleList(
            OffsetTable(context.heads, numbers, query_tokens) for numbers in offsets
        )
        kinds = [group.kind for group in context.layout.groups] if context.layout else []
        entity = np.array([kinds[group] == "entities" for group in geometry.group], bool)
        self.distance = DistanceBias(context.heads, entity, query_tokens) if entity.any() else None
        if not self.tables and self.distance is None:
            raise ValueError(
                "positions='relative' needs tokens on a grid, in time, or entities, and these are "
                f"{describe_tokens(context.layout)}; use positions='none'"
            )
        if not self.tables and not context.has_positions:
            raise missing_positions_error()
        if not len(query_tokens):
            raise ValueError("positions='relative' needs queries that are tokens, got none")

    def forward(self, places: Float[Tensor, "B N 2"] | None) -> Float[Tensor, "#B H Q N"]:
        parts = [table()[None] for table in self.tables]  # each (1, H, Q, N)
        if self.distance is not None and places is not None:
            parts.append(self.distance(places))
        if not parts:
            raise missing_positions_error()
        return functools.reduce(torch.add, parts)


class OffsetTable(nn.Module):
    """Look up a learned bias per head and offset.

    Args:
        heads: H.
        offsets: the number of each pair's offset; -1 where a pair has none, and so a bias of 0.
        askers: which token stands behind each of the Q queries.
    """

    index: Tensor

    def __init__(
        self, heads: int, offsets: Int[np.ndarray, "N N"], query_tokens: Int[np.ndarray, "Q"]
    ):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, int(offsets.max()) + 1))
        index = torch.from_numpy(offsets[query_tokens] + 1)
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Float[Tensor, "H Q N"]:
        padded = F.pad(self.table, (1, 0))  # the bias of no offset in front
        return padded[:, self.index]


class DistanceBias(nn.Module):
    """Weigh how far entities stand from each other, and in which direction, head by head.

    `bias_h = weight_h . (1, x, y, r, x^2, y^2, r^2, dx / d, dy / d)`, with `d` the distance, and x,
    y, r its parts and itself on a log scale: `sign(d) log(1 + |d| / NEAR) / log(1 + 1 / NEAR)`. So
    a head can prefer what is near, at some distance, level with the query's token, or to one side
    of it, and other units do little more than shift it. It depends on differences alone: moving all
    entities alike changes nothing. Where either is no entity, or has no place (NaN), the
    bias is 0.

    Source: Liu et al. 2022, Swin Transformer V2, section 3.3 (log-spaced continuous position
        bias), https://arxiv.org/abs/2111.09883.
    Differs: between entities anywhere in place of cells in a window; distance and direction are
        given besides; it is linear in these numbers and their squares, where Swin has a hidden
        layer, which for 49 entities would cost several times the attention itself.

    Args:
        heads: H.
        entity: which of the N tokens are entities.
        askers: which token stands behind each of the Q queries.
    """

    entity: Tensor
    query_tokens: Tensor

    def __init__(
        self, heads: int, entity: Bool[np.ndarray, "N"], query_tokens: Int[np.ndarray, "Q"]
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, 9))
        self.register_buffer("entity", torch.from_numpy(entity), persistent=False)
        self.register_buffer("query_tokens", torch.from_numpy(query_tokens), persistent=False)

    def forward(self, places: Float[Tensor, "B N 2"]) -> Float[Tensor, "B H Q N"]:
        is_placed = self.entity & places.isfinite().all(-1)  # (B, N)
        places = torch.where(is_placed[..., None], places, 0.0).movedim(2, 0)  # (2, B, N)
        offsets = places[:, :, None] - places[:, :, self.query_tokens, None]  # (2, B, Q, N)
        both_placed = is_placed[:, None] & is_placed[:, self.query_tokens, None]  # (B, Q, N)
        # (9, B, Q, N); where all 9 inputs are 0, so is the bias
        inputs = torch.where(both_placed, distance_features(offsets), 0.0)
        bias = (self.weight @ inputs.flatten(1)).unflatten(1, both_placed.shape)  # (H, B, Q, N)
        return bias.transpose(0, 1)


def distance_features(offsets: Float[Tensor, "2 B Q N"]) -> Float[Tensor, "9 B Q N"]:
    """Return 1, then parts and distance on a log scale, their squares, and the direction."""
    offsets = offsets.clamp(-FAR, FAR)
    d = (offsets.square().sum(0, keepdim=True) + TINY).sqrt()  # (1, B, Q, N)
    parts = torch.cat([offsets, d])  # (3, B, Q, N)
    parts = parts.sign() * torch.log1p(parts.abs() / NEAR) / math.log1p(1 / NEAR)
    return torch.cat([torch.ones_like(d), parts, parts.square(), offsets / d])


def missing_positions_error() -> ValueError:
    """Return the error of entities that do not say where they stand."""
    return ValueError(
        "positions='relative' needs to know where entities stand, and this observation does not "
        "say; use positions='none', or a TokenBox that says which columns hold x and y, with "
        "Entities(position=(x, y)): tables of a padded Sequence or Graph never do"
    )


def grid_offsets(geometry: Geometry, grid: int) -> Int[np.ndarray, "N N"]:
    """Number the (row, column) offsets on one grid; -1 for pairs that are not both on it."""
    on = geometry.grid == grid
    row, col = (
        np.nan_to_num(geometry.row_index).astype(int),
        np.nan_to_num(geometry.column_index).astype(int),
    )
    rows, cols = row[on].max() + 1, col[on].max() + 1
    down = row - row[:, None] + rows - 1  # (N, N), 0 to 2 rows - 2
    right = col - col[:, None] + cols - 1  # (N, N), 0 to 2 cols - 2
    return np.where(on & on[:, None], down * (2 * cols - 1) + right, -1)


def step_offsets(geometry: Geometry) -> Int[np.ndarray, "N N"]:
    """Number the offsets in time; -1 for pairs that do not both have a step."""
    later = geometry.step_offset - geometry.step_offset[:, None]
    return np.where(geometry.has_time & geometry.has_time[:, None], later + later.max(), -1)
