"""What each token is: its kind, its name and its place. Static, and free of torch.

Tokenizers in `policies/` build tokens in the order of the token layout, and `recording/` draws them
from it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from attention_agents.envs.tokens.json_reader import Count, Index, read_value

TokenKind = Literal["patches", "cells", "entities", "features", "history"]
PixelBox = tuple[float, float, float, float]  # x0, y0, x1, y1; x to the right, y down


class Conv(NamedTuple):
    """One convolution of an image stem, square in kernel, stride and padding (pixels)."""

    channels: Count
    kernel: Count
    stride: Count = 1
    padding: Index = 0


@dataclass(frozen=True)
class TokenGroup:
    """The N tokens that one part of the observation gives."""

    kind: TokenKind
    names: tuple[str, ...]
    """One name per token, length N."""
    key: str = ""
    """Key of the part in a Dict observation; empty when the observation is one array."""
    grid: tuple[int, int] | None = None
    """(rows, cols) when the tokens form a grid, in row-major order."""
    boxes: tuple[PixelBox, ...] | None = None
    """Where each token reads, in observation pixels or cells; None off a picture."""
    picture: tuple[int, int] | None = None
    """(height, width) of the picture that `boxes` are measured in."""
    offsets: tuple[int, ...] | None = None
    """Steps back in time, <= 0, 0 is the present; None for tokens of the present step."""
    ego: int | None = None
    """Which token is the agent itself; None where none is."""
    frame: tuple[int, ...] | None = None
    """Shape of the frame that the tokens were cut from, where the observation holds several, each
    as rows of (presence, its numbers); None elsewhere."""
    words: tuple[tuple[str, ...], ...] | None = None
    """What each category of each channel of a token is called; the first channel says what is
    there. None where it is unknown, or where tokens are no categories."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(TokenKind):
            raise ValueError(f"kind must be one of {get_args(TokenKind)}, got {self.kind!r}")
        if not self.names:
            raise ValueError(f"a token group needs at least one token, got none for {self.key!r}")
        for field in ("boxes", "offsets"):
            value = getattr(self, field)
            if value is not None and len(value) != len(self.names):
                raise ValueError(
                    f"{field} must have one entry per token, "
                    f"got {len(value)} for {len(self.names)} tokens"
                )
        if self.ego is not None and not 0 <= self.ego < len(self.names):
            raise ValueError(f"ego must be one of {len(self.names)} tokens, got {self.ego}")
        if self.grid is not None and self.grid[0] * self.grid[1] != len(self.names):
            raise ValueError(f"grid {self.grid} does not hold {len(self.names)} tokens")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def past(self) -> bool:
        """Whether none of its tokens is of the present step."""
        return self.offsets is not None and max(self.offsets) < 0


@dataclass(frozen=True)
class TokenLayout:
    """All tokens of one observation: the groups in the order in which the encoder reads them."""

    groups: tuple[TokenGroup, ...]

    def __len__(self) -> int:
        return sum(len(group) for group in self.groups)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for group in self.groups for name in group.names)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each group lies among the N tokens."""
        ends = np.cumsum([len(group) for group in self.groups]).tolist()
        return tuple(slice(end - len(g), end) for end, g in zip(ends, self.groups, strict=True))

    def to_json(self) -> list[dict[str, Any]]:
        """Return plain lists and dicts; `from_json` reads them back to an equal layout."""
        return [asdict(group) for group in self.groups]

    @classmethod
    def from_json(cls, groups: list[dict[str, Any]]) -> TokenLayout:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a group lacks a field, or breaks a rule of `TokenGroup`.
        """

        read = read_value(groups, tuple[TokenGroup, ...], "layout")
        return cls(tuple(map(_update_names, read)))


def format_age(t: int) -> str:
    """Return how far t < 0 steps from the present are, "-1 step" or "-2 steps"."""
    return f"{t} step" if t == -1 else f"{t} steps"


def add_age(name: str, t: int) -> str:
    """Return the name of a token of t <= 0 steps from the present, from its name at present."""
    return name if t == 0 else f"{name}, {format_age(t)}"


def strip_age(name: str, t: int) -> str:
    """Return the name at present, from the one that `add_age` returned."""
    return name if t == 0 else name.removesuffix(f", {format_age(t)}")


def _update_names(group: TokenGroup) -> TokenGroup:
    """Return a group with names as they are now: older files say "-1 steps"."""
    offsets, old_age = group.offsets or (0,) * len(group), f"{format_age(-1)}s"
    pairs = zip(group.names, offsets, strict=True)
    names = (name[:-1] if t == -1 and name.endswith(old_age) else name for name, t in pairs)
    return replace(group, names=tuple(names))


class TokenPlaces(NamedTuple):
    """Where the N tokens stand on the rendered frame of one step."""

    boxes: np.ndarray
    """(N, 4) float32, x0, y0, x1, y1 in frame pixels; NaN for a token not on the frame."""
    ids: np.ndarray
    """(N,) int64, an identity that stays with an object between steps; -1 where there is none."""

    @classmethod
    def unknown(cls, count: int) -> TokenPlaces:
        """Return places for `count` tokens none of which stands on the frame."""
        return cls(np.full((count, 4), np.nan, np.float32), np.full(count, -1, np.int64))


def receptive_boxes(
    height: int, width: int, convs: tuple[Conv, ...]
) -> tuple[tuple[int, int], tuple[PixelBox, ...]]:
    """Return the output grid of a stack of convolutions and the input box that each output sees.

    Going up the stack, with jump j (input pixels between neighbours) and field r:
    `r += (kernel - 1) * j`, `start -= padding * j`, `j *= stride`. Boxes are cut at the border.

    Args:
        height, width: size of the input, in pixels.
        convs: the stack, first layer first.

    Returns:
        ((rows, cols), boxes): boxes in row-major order, in input pixels.

    Raises:
        ValueError: the input is smaller than the stack needs.

    Source: Dumoulin and Visin 2016, A guide to convolution arithmetic, section 4,
        https://arxiv.org/abs/1603.07285.
    """
    rows, cols, jump, field, start = height, width, 1, 1, 0
    for conv in convs:
        rows = (rows + 2 * conv.padding - conv.kernel) // conv.stride + 1
        cols = (cols + 2 * conv.padding - conv.kernel) // conv.stride + 1
        field += (conv.kernel - 1) * jump
        start -= conv.padding * jump
        jump *= conv.stride
    if rows < 1 or cols < 1:
        raise ValueError(f"a picture of {height}x{width} pixels is too small for the stem {convs}")

    def intervals(count: int, size: int) -> list[tuple[float, float]]:
        lows = [start + i * jump for i in range(count)]
        return [(float(max(low, 0)), float(min(low + field, size))) for low in lows]

    boxes = (
        (x0, y0, x1, y1) for y0, y1 in intervals(rows, height) for x0, x1 in intervals(cols, width)
    )
    return (rows, cols), tuple(boxes)
