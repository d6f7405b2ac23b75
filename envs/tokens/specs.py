"""Token specs: how one part of an observation is cut into tokens, one for each kind.

A spec says which shapes it fits and which groups of tokens it gives. `envs.tokens.spaces` chooses
one from a space, `policies.tokenizers` has a tokenizer for each. Their annotations are also what
`spec_from_json` accepts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, get_args

from attention_agents.envs.tokens.json_reader import (
    Count,
    Index,
    error_context,
    read_object,
    split_kind,
)
from attention_agents.envs.tokens.layout import (
    Conv,
    TokenGroup,
    add_age,
    format_age,
    receptive_boxes,
)

MAX_BYTE = 255.0
"""Of a picture of bytes; Stable-Baselines3 divides pictures by it, but not rows of numbers."""


@dataclass(frozen=True)
class Features:
    """Every number of a vector is a token of its own."""

    names: tuple[str, ...]

    def fits_shape(self, shape: tuple[int, ...]) -> bool:
        return len(self.names) == math.prod(shape)

    def token_groups(self, key: str) -> tuple[TokenGroup, ...]:
        return (TokenGroup("features", _prefix_names(key, self.names), key),)


@dataclass(frozen=True)
class Categories:
    """Every choice of a Discrete or MultiDiscrete is a token (SB3 hands it over one-hot)."""

    sizes: tuple[Count, ...]
    names: tuple[str, ...]

    def fits_shape(self, shape: tuple[int, ...]) -> bool:
        return len(self.names) == len(self.sizes) == math.prod(shape)

    def token_groups(self, key: str) -> tuple[TokenGroup, ...]:
        return (TokenGroup("features", _prefix_names(key, self.names), key),)


@dataclass(frozen=True)
class Entities:
    """Every row of a (N, F) table is an object: a vehicle, a unit, a sensor."""

    count: Count
    features: tuple[str, ...]
    """F column names."""
    presence: Index | None = None
    """Column that is 1 where the row holds an object, else 0; None: all rows count."""
    ego: Index | None = None
    """Row of the agent itself, or None."""
    label: str = "entity"
    position: tuple[Index, Index] | None = None
    """Columns of x and y, for relative positions between entities; None where there are none."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the observation."""
        return self.count, len(self.features)

    def fits_shape(self, shape: tuple[int, ...]) -> bool:
        rows, columns = self.shape
        valid = all(0 <= c < columns for c in (self.presence or 0, *(self.position or ())))
        return valid and 0 <= (self.ego or 0) < rows and shape == self.shape

    def token_groups(self, key: str) -> tuple[TokenGroup, ...]:
        names = (
            f"ego {self.label}" if i == self.ego else f"{self.label} {i}" for i in range(self.count)
        )
        return (TokenGroup("entities", tuple(names), key, ego=self.ego),)


@dataclass(frozen=True)
class Cells:
    """Every cell of a grid is a token: (rows * cols, C) categories, or planes of numbers."""

    rows: Count
    cols: Count
    categories: tuple[Count, ...] = ()
    """Number of categories of each of the C channels; empty when the channels are plain numbers."""
    channels: Index = 0
    """C, for planes of plain numbers; 0 with `categories`."""
    channels_first: bool = False
    """Planes are (C, rows, cols), not (rows, cols, C)."""
    words: tuple[tuple[str, ...], ...] = ()
    """What each category of each channel is called; the first channel says what is there, such as
    "key", the others how it is, such as "yellow". Empty where it is unknown."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the observation."""
        if self.categories:
            return (self.rows * self.cols, len(self.categories))
        return _picture_shape(self.rows, self.cols, self.channels, self.channels_first)

    def fits_shape(self, shape: tuple[int, ...]) -> bool:
        return shape == self.shape

    def token_groups(self, key: str) -> tuple[TokenGroup, ...]:
        cells = [(row, col) for row in range(self.rows) for col in range(self.cols)]
        group = TokenGroup(
            "cells",
            tuple(f"row {row} col {col}" for row, col in cells),
            key,
            grid=(self.rows, self.cols),
            boxes=tuple((float(c), float(r), float(c + 1), float(r + 1)) for r, c in cells),
            picture=(self.rows, self.cols),
            words=self.words or None,
        )
        return (group,)


@dataclass(frozen=True)
class Patches:
    """Every output of a convolutional stem is a token, standing where its receptive field lies."""

    height: Count
    width: Count
    channels: Count
    convs: tuple[Conv, ...]
    channels_first: bool = True

    def __post_init__(self) -> None:
        if not self.convs:
            raise ValueError("patches need at least one convolution, got convs=()")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the observation; a gray picture may lack the axis of its channel."""
        return _picture_shape(self.height, self.width, self.channels, self.channels_first)

    def fits_shape(self, shape: tuple[int, ...]) -> bool:
        gray = self.channels == 1 and shape == (self.height, self.width)
        return shape == self.shape or gray

    def token_groups(self, key: str) -> tuple[TokenGroup, ...]:
        grid, boxes = receptive_boxes(self.height, self.width, self.convs)
        names = tuple(f"patch {row},{col}" for row in range(grid[0]) for col in range(grid[1]))
        return (TokenGroup("patches", names, key, grid, boxes, (self.height, self.width)),)


FramePart = Patches | Cells | Entities
"""What a frame of several can be made of."""


@dataclass(frozen=True)
class History:
    """Every past step is a token: rows of (presence, F numbers), oldest first, the present last."""

    steps: Count
    features: Count
    """F, without the presence column, which is column 0."""
    names: tuple[str, ...] = ()
    """Of the F numbers of a step; empty where they have none."""

    def fits_shape(self, shape: tuple[int, ...]) -> bool:
        return len(self.names) in (0, self.features) and shape == (self.steps, 1 + self.features)

    def token_groups(self, key: str) -> tuple[TokenGroup, ...]:
        offsets = tuple(range(1 - self.steps, 1))
        names = tuple("present" if t == 0 else format_age(t) for t in offsets)
        return (TokenGroup("history", names, key, offsets=offsets),)


@dataclass(frozen=True)
class Frames:
    """Every patch, cell or entity of every past frame is a token: T frames of N tokens.

    Rows of (presence, the frame's P numbers in C order), oldest first, the present last. One group
    of tokens per frame.
    """

    steps: Count
    """T, the present included."""
    part: Annotated[FramePart, _read_frame_part]
    """How one frame is cut."""
    of_bytes: bool = False
    """Pictures of 0 to 255, which Stable-Baselines3 would scale to 0 to 1 were they not rows."""

    def fits_shape(self, shape: tuple[int, ...]) -> bool:
        row = 1 + math.prod(self.part.shape)
        scales = not (self.of_bytes and isinstance(self.part, Entities))
        return shape == (self.steps, row) and scales and self.part.fits_shape(self.part.shape)

    def token_groups(self, key: str) -> tuple[TokenGroup, ...]:
        (frame,) = self.part.token_groups(key)
        frame = replace(frame, frame=self.part.shape)
        return tuple(_add_group_age(frame, t) for t in range(1 - self.steps, 1))


TokenSpec = Features | Categories | Entities | Cells | Patches | History | Frames

ADDED_LATER = {
    Cells: ("channels_first", "words"),
    Entities: ("position",),
    History: ("names",),
}
"""Fields that older files lack."""


def spec_to_json(spec: TokenSpec) -> dict[str, Any]:
    """Return plain dicts, lists, numbers and strings; `spec_from_json` reads them back."""
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return {"kind": _kind(type(spec)), **{name: _plain(value) for name, value in values.items()}}


def spec_from_json(data: Any, name: str = "tokens", kinds: Any = TokenSpec) -> TokenSpec:
    """Read what `spec_to_json` wrote.

    Args:
        data: the parsed JSON.
        name: of the value, for errors.
        kinds: union of the specs that may stand here.

    Raises:
        ValueError: an unknown kind, or a field too many, too few or of the wrong type.
    """
    classes = {_kind(cls): cls for cls in get_args(kinds)}
    kind, values = split_kind(data, classes, name)
    with error_context(f"{kind} tokens"):
        return read_object(classes[kind], values, ADDED_LATER.get(classes[kind], ()))


def _read_frame_part(data: Any, name: str) -> TokenSpec:
    return spec_from_json(data, name, FramePart)


def _kind(cls: type) -> str:
    return cls.__name__.lower()


def _plain(value: Any) -> Any:
    if isinstance(value, FramePart):
        return spec_to_json(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _add_group_age(frame: TokenGroup, t: int) -> TokenGroup:
    """Return the tokens of a frame as those of t <= 0 steps from the present.

    The agent itself is one of the present frame.
    """
    names = tuple(add_age(name, t) for name in frame.names)
    ego = frame.ego if t == 0 else None
    return replace(frame, names=names, offsets=(t,) * len(frame), ego=ego)


def _picture_shape(height: int, width: int, channels: int, first: bool) -> tuple[int, ...]:
    return (channels, height, width) if first else (height, width, channels)


def _prefix_names(key: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Tell apart the numbers of several parts of a Dict: "speed", or "arm x0", "arm x1"."""
    if not key:
        return names
    return (key,) if len(names) == 1 else tuple(f"{key} {name}" for name in names)
