"""Where the tokens of a layout stand, in rows, columns and steps. Static, and free of torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout

PLURALS = {"history": "steps of a history"}
"""What tokens are called in a sentence, where the name of their kind is no plural."""


@dataclass(frozen=True)
class Geometry:
    """Where N tokens stand.

    >>> from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
    >>> grid = TokenGroup("cells", ("a", "b"), "image", grid=(1, 2), offsets=(-3, -3))
    >>> turn = TokenGroup("features", ("direction",), "direction")
    >>> geometry = Geometry.of(TokenLayout((grid, turn)))
    >>> geometry.coordinates.tolist()
    [[0.0, 0.0, -3.0], [0.0, 1.0, -3.0], [nan, nan, nan]]
    >>> geometry.group.tolist(), geometry.grid.tolist(), geometry.step_offset.tolist()
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
    track: Int[np.ndarray, "N"]
    """Which place it keeps from step to step: the i-th tokens of all steps of one key share it."""

    @classmethod
    def of(cls, layout: TokenLayout | None) -> Geometry:
        """Read the coordinates of all tokens from their layout; None has no tokens."""
        groups = () if layout is None else layout.groups
        parts = [np.zeros((0, 3)), *(_coordinates(group) for group in groups)]
        grids, tracks, counts = {}, {}, Counter()
        grid, track = [], []
        for group in groups:
            number = -1
            if group.grid is not None:
                number = grids.setdefault((group.key, group.grid), len(grids))
            grid += [number] * len(group)
            for offset in group.offsets or [0] * len(group):
                place = (group.key, counts[group.key, offset])
                track.append(tracks.setdefault(place, len(tracks)))
                counts[group.key, offset] += 1
        return cls(
            np.concatenate(parts),
            np.repeat(np.arange(len(groups)), [len(group) for group in groups]),
            np.array(grid, int),
            np.array(track, int),
        )

    @property
    def row_index(self) -> Float[np.ndarray, "N"]:
        return self.coordinates[:, 0]

    @property
    def column_index(self) -> Float[np.ndarray, "N"]:
        return self.coordinates[:, 1]

    @property
    def time_offset(self) -> Float[np.ndarray, "N"]:
        return self.coordinates[:, 2]

    @property
    def grid_ids(self) -> range:
        """The numbers of its grids."""
        return range(self.grid.max(initial=-1) + 1)

    @property
    def has_time(self) -> Bool[np.ndarray, "N"]:
        """Whether the layout gives a step."""
        return ~np.isnan(self.time_offset)

    @property
    def step_offset(self) -> Int[np.ndarray, "N"]:
        """Steps from the present; what has none of its own is of the present."""
        return np.nan_to_num(self.time_offset).astype(int)

    @property
    def same_grid(self) -> Bool[np.ndarray, "N N"]:
        """Whether two tokens stand on one grid, in whichever frame."""
        return (self.grid >= 0) & (self.grid[:, None] == self.grid)


def describe_tokens(layout: TokenLayout | None) -> str:
    """Return what the tokens of a layout are, in the words of error messages.

    >>> from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
    >>> groups = TokenGroup("features", ("x",)), TokenGroup("history", ("t",))
    >>> describe_tokens(TokenLayout(groups))
    'features and steps of a history'
    """
    if layout is None:
        return "no tokens of the observation"
    kinds = (PLURALS.get(group.kind, group.kind) for group in layout.groups)
    return " and ".join(dict.fromkeys(kinds))


def _coordinates(group: TokenGroup) -> Float[np.ndarray, "N 3"]:
    coordinates = np.full((len(group), 3), np.nan)
    if group.grid is not None:
        coordinates[:, 0], coordinates[:, 1] = divmod(np.arange(len(group)), group.grid[1])
    if group.offsets is not None:
        coordinates[:, 2] = group.offsets
    return coordinates
