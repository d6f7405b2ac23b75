"""Relative positions: a learned bias for how far, and in which direction, a token is."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.positions import POSITIONS, Positions
from attention_agents.policies.attention.token_geometry import Geometry, called

NEAR = 0.01
"""Distance, in units of the environment, well below which entities count as in one place."""
FAR = 1e6
"""Distance, in units of the environment, beyond which entities count as equally far."""
TINY = 1e-12
"""Added to squared distances: the slope of the root of 0 is infinite."""


@POSITIONS.register("relative", "a learned bias by offset on grids and in time, or by distance")
class Relative(Positions):
    """Add what each head has learned of the offset from asker to token.

    `table_h[row_n - row_q, col_n - col_q]` on each grid, `table_h[step_n - step_q]` in time, both
    where both exist, and between entities a function of their distance, see `Distance`; of a
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

    needs_askers = True

    def __init__(self, site: Site):
        super().__init__(site)
        here = Geometry.of(site.layout)
        askers = np.array(site.askers or (), int)
        offsets = [grid_offsets(here, grid) for grid in here.grids]
        if here.timed.any():
            offsets.append(time_offsets(here))
        self.tables = nn.ModuleList(OffsetTable(site.heads, each, askers) for each in offsets)
        kinds = [group.kind for group in site.layout.groups] if site.layout else []
        entity = np.array([kinds[group] == "entities" for group in here.group], bool)
        self.distance = Distance(site.heads, entity, askers) if entity.any() else None
        if not self.tables and self.distance is None:
            raise ValueError(
                "positions='relative' needs tokens on a grid, in time, or entities, and these are "
                f"{called(site.layout)}; use positions='none'"
            )
        if not self.tables and not site.placed:
            raise placeless()
        if not len(askers):
            raise ValueError("positions='relative' needs queries that are tokens, got none")

    def forward(self, places: Float[Tensor, "B N 2"] | None) -> Float[Tensor, "#B H Q N"]:
        parts = [table()[None] for table in self.tables]  # each (1, H, Q, N)
        if self.distance is not None and places is not None:
            parts.append(self.distance(places))
        if not parts:
            raise placeless()
        return functools.reduce(torch.add, parts)


class OffsetTable(nn.Module):
    """Look up a learned bias per head and offset.

    Args:
        heads: H.
        offsets: the number of each pair's offset; -1 where a pair has none, and so a bias of 0.
        askers: which token stands behind each of the Q queries.
    """

    index: Tensor

    def __init__(self, heads: int, offsets: Int[np.ndarray, "N N"], askers: Int[np.ndarray, "Q"]):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, int(offsets.max()) + 1))
        index = torch.from_numpy(offsets[askers] + 1)
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Float[Tensor, "H Q N"]:
        padded = F.pad(self.table, (1, 0))  # the bias of no offset in front
        return padded[:, self.index]


class Distance(nn.Module):
    """Weigh how far entities stand from each other, and in which direction, head by head.

    `bias_h = weight_h . (1, x, y, r, x^2, y^2, r^2, dx / d, dy / d)`, with `d` the distance, and x,
    y, r its parts and itself on a log scale: `sign(d) log(1 + |d| / NEAR) / log(1 + 1 / NEAR)`. So
    a head can prefer what is near, at some distance, level with the asker, or to one side of it,
    and other units do little more than shift it. It depends on differences alone: moving all
    entities alike changes nothing. Where asker or token is no entity, or has no place (NaN), the
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
    askers: Tensor

    def __init__(self, heads: int, entity: Bool[np.ndarray, "N"], askers: Int[np.ndarray, "Q"]):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, 9))
        self.register_buffer("entity", torch.from_numpy(entity), persistent=False)
        self.register_buffer("askers", torch.from_numpy(askers), persistent=False)

    def forward(self, places: Float[Tensor, "B N 2"]) -> Float[Tensor, "B H Q N"]:
        known = self.entity & places.isfinite().all(-1)  # (B, N)
        places = torch.where(known[..., None], places, 0.0).movedim(2, 0)  # (2, B, N)
        apart = places[:, :, None] - places[:, :, self.askers, None]  # (2, B, Q, N)
        both = known[:, None] & known[:, self.askers, None]  # (B, Q, N)
        inputs = torch.where(
            both, seen(apart), 0.0
        )  # (9, B, Q, N); where all are 0, so is the bias
        bias = (self.weight @ inputs.flatten(1)).unflatten(1, both.shape)  # (H, B, Q, N)
        return bias.transpose(0, 1)


def seen(apart: Float[Tensor, "2 B Q N"]) -> Float[Tensor, "9 B Q N"]:
    """Return 1, then parts and distance on a log scale, their squares, and the direction."""
    apart = apart.clamp(-FAR, FAR)
    d = (apart.square().sum(0, keepdim=True) + TINY).sqrt()
    parts = torch.cat([apart, d])
    parts = parts.sign() * torch.log1p(parts.abs() / NEAR) / math.log1p(1 / NEAR)
    return torch.cat([torch.ones_like(d), parts, parts.square(), apart / d])


def placeless() -> ValueError:
    """Return the error of entities that do not say where they stand."""
    return ValueError(
        "positions='relative' needs to know where entities stand, and this observation does not "
        "say; use positions='none', or a TokenBox that says which columns hold x and y, with "
        "Entities(position=(x, y)): tables of a padded Sequence or Graph never do"
    )


def grid_offsets(here: Geometry, grid: int) -> Int[np.ndarray, "N N"]:
    """Number the (row, column) offsets on one grid; -1 for pairs that are not both on it."""
    on = here.grid == grid
    row, col = np.nan_to_num(here.row).astype(int), np.nan_to_num(here.col).astype(int)
    rows, cols = row[on].max() + 1, col[on].max() + 1
    down = row - row[:, None] + rows - 1
    right = col - col[:, None] + cols - 1
    return np.where(on & on[:, None], down * (2 * cols - 1) + right, -1)


def time_offsets(here: Geometry) -> Int[np.ndarray, "N N"]:
    """Number the offsets in time; -1 for pairs that do not both have a step."""
    later = here.step - here.step[:, None]
    return np.where(here.timed & here.timed[:, None], later + later.max(), -1)
