"""Where the tokens of a layout stand, in rows, columns and steps. Static, and free of torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout

KINDS = {"history": "steps of a history"}
"""What tokens are called in a sentence, where the name of their kind is no plural."""


@dataclass(frozen=True)
class Geometry:
    """Where N tokens stand.

    >>> from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
    >>> grid = TokenGroup("cells", ("a", "b"), "image", grid=(1, 2), offsets=(-3, -3))
    >>> turn = TokenGroup("features", ("direction",), "direction")
    >>> here = Geometry.of(TokenLayout((grid, turn)))
    >>> here.coordinates.tolist()
    [[0.0, 0.0, -3.0], [0.0, 1.0, -3.0], [nan, nan, nan]]
    >>> here.group.tolist(), here.grid.tolist(), here.step.tolist()
    ([0, 0, 1], [0, 0, -1], [-3, -3, 0])
    """

    coordinates: Float[np.ndarray, "N 3"]
    """Row and column in cells of its own grid, and steps from the present, <= 0; NaN where the
    layout does not say."""
    group: Int[np.ndarray, "N"]
    """Which group of the layout it belongs to."""
    grid: Int[np.ndarray, "N"]
    """Which grid it stands on, counted from 0; all frames of one picture share theirs. -1 off
    grids."""
    spot: Int[np.ndarray, "N"]
    """Which place it keeps from step to step: the i-th tokens of all steps of one key share it."""

    @classmethod
    def of(cls, layout: TokenLayout | None) -> Geometry:
        """Read the coordinates of all tokens from their layout; None has no tokens."""
        groups = () if layout is None else layout.groups
        parts = [np.zeros((0, 3)), *(_coordinates(group) for group in groups)]
        grids, spots, seen = {}, {}, Counter()
        grid, spot = [], []
        for group in groups:
            place = None if group.grid is None else grids.setdefault(_grid(group), len(grids))
            grid += [-1 if place is None else place] * len(group)
            for offset in group.offsets or [0] * len(group):
                spot.append(spots.setdefault((group.key, seen[group.key, offset]), len(spots)))
                seen[group.key, offset] += 1
        return cls(
            np.concatenate(parts),
            np.repeat(np.arange(len(groups)), [len(group) for group in groups]),
            np.array(grid, int),
            np.array(spot, int),
        )

    @property
    def row(self) -> Float[np.ndarray, "N"]:
        return self.coordinates[:, 0]

    @property
    def col(self) -> Float[np.ndarray, "N"]:
        return self.coordinates[:, 1]

    @property
    def time(self) -> Float[np.ndarray, "N"]:
        return self.coordinates[:, 2]

    @property
    def grids(self) -> range:
        """The numbers of its grids."""
        return range(self.grid.max(initial=-1) + 1)

    @property
    def timed(self) -> Bool[np.ndarray, "N"]:
        """Whether the layout gives a step."""
        return ~np.isnan(self.time)

    @property
    def step(self) -> Int[np.ndarray, "N"]:
        """Steps from the present; what has none of its own is of the present."""
        return np.nan_to_num(self.time).astype(int)

    @property
    def same_grid(self) -> Bool[np.ndarray, "N N"]:
        """Whether two tokens stand on one grid, in whichever frame."""
        return (self.grid >= 0) & (self.grid[:, None] == self.grid)


def called(layout: TokenLayout | None) -> str:
    """Return what the tokens of a layout are, in the words of error messages.

    >>> from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
    >>> called(TokenLayout((TokenGroup("features", ("x",)), TokenGroup("history", ("t",)))))
    'features and steps of a history'
    """
    if layout is None:
        return "no tokens of the observation"
    return " and ".join(dict.fromkeys(KINDS.get(group.kind, group.kind) for group in layout.groups))


def _coordinates(group: TokenGroup) -> Float[np.ndarray, "N 3"]:
    coordinates = np.full((len(group), 3), np.nan)
    if group.grid is not None:
        coordinates[:, 0], coordinates[:, 1] = divmod(np.arange(len(group)), group.grid[1])
    if group.offsets is not None:
        coordinates[:, 2] = group.offsets
    return coordinates


def _grid(group: TokenGroup) -> tuple[str, tuple[int, int] | None]:
    return group.key, group.grid
