"""The colours, the type and the small drawn parts that every picture of a recording shares."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HEADING = 30
"""Height of a heading, in pixels."""

Colour = tuple[int, int, int]

BACKGROUND: Colour = (18, 20, 24)
PANEL: Colour = (27, 30, 36)
TRACK: Colour = (44, 49, 58)
TEXT: Colour = (233, 236, 240)
DIM: Colour = (152, 160, 171)
FAINT: Colour = (96, 104, 116)
BAR: Colour = (110, 124, 145)
CHOSEN: Colour = (86, 204, 196)
GOOD: Colour = (126, 211, 125)
BAD: Colour = (240, 113, 103)

_HEAT = (
    *("1b0051", "3d0069", "640174", "8e0374", "b61368", "d83254"),
    *("f35435", "fe7f1d", "feab3d", "ffd05c", "fff465"),
)
"""Eleven colours at even steps of OKLab lightness, 0.22 to 0.95, the hue going from violet over red
to yellow: also read right in print without colour, and by people who see few colours."""

CATEGORIES: tuple[Colour, ...] = (
    *((38, 43, 51), (104, 112, 124), (242, 190, 84), (86, 180, 233), (0, 158, 115)),
    *((213, 94, 0), (204, 121, 167), (240, 228, 66), (120, 94, 240), (160, 215, 120)),
    *((250, 150, 130), (130, 200, 200)),
)
"""Colours without an order, for the categories and feature planes of a grid; the first is empty."""


@lru_cache(maxsize=1)
def heat_table() -> np.ndarray:
    """Return the (256, 3) uint8 colours of weights 0 to 1, dark to bright."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in _HEAT], float)
    at = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, -1)).astype(np.uint8)


def heat_colour(share: float) -> Colour:
    """Return the colour of a weight as a share (0 to 1) of the largest."""
    red, green, blue = heat_table()[round(255 * min(max(share, 0.0), 1.0))].tolist()
    return red, green, blue


def bar_colour(share: float) -> Colour:
    """Return the colour of a bar or line: as `heat_colour`, but never too dark to see."""
    return heat_colour(0.35 + 0.65 * share)


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own scalable font at a size in pixels."""
    return ImageFont.load_default(size)  # type: ignore[return-value]


_DRAWN = frozenset(chr(code) for code in range(32, 127)) | set("±·…°")


def plain(text: str) -> str:
    """Return text without line breaks and accents, "?" in place of what the font cannot draw."""
    spelled = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(" " if c.isspace() else c if c in _DRAWN else "?" for c in spelled)


def fit(text: str, width: float, size: int) -> str:
    """Return text of at most `width` pixels; an ellipsis stands where its middle was cut out."""
    text = plain(text[:200])
    if font(size).getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        start = (2 * kept + 2) // 3
        cut = f"{text[:start].rstrip()}…{text[len(text) - kept + start :].lstrip()}"
        if font(size).getlength(cut) <= width:
            return cut
    return "…"


class Pen:
    """Draw text and bars on one picture."""

    def __init__(self, image: Image.Image):
        self.image = image
        self._draw = ImageDraw.Draw(image)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: int = 14,
        colour: Colour = TEXT,
        width: float = 1e9,
        anchor: str = "lm",
    ) -> float:
        """Draw one line of text and return its width.

        Args:
            x, y: where the anchor stands; "lm" is the middle of the left side.
            width: longer text is cut with an ellipsis.
        """
        text = fit(text, width, size)
        self._draw.text((x, y), text, colour, font(size), anchor=anchor)
        return font(size).getlength(text)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        fill: Colour | None = None,
        outline: Colour | None = None,
        radius: int = 0,
    ) -> None:
        """Draw a box; nothing where it is thinner than half a pixel."""
        if x1 - x0 < 0.5 or y1 - y0 < 0.5:
            return
        left, top = round(x0), round(y0)
        right, foot = max(round(x1) - 1, left), max(round(y1) - 1, top)
        radius = min(radius, (right - left) // 2, (foot - top) // 2)
        self._draw.rounded_rectangle((left, top, right, foot), radius, fill, outline)

    def bar(
        self, x: float, y: float, width: float, share: float, colour: Colour, height: int = 8
    ) -> None:
        """Draw a horizontal bar, filled up to `share` of its width, centred on y."""
        top = y - height / 2
        self.box(x, top, x + width, top + height, TRACK, radius=2)
        filled = width * min(max(share, 0.0), 1.0)
        self.box(x, top, x + filled, top + height, colour, radius=2)


def heading(pen: Pen, x: int, y: int, width: int, name: str, right: str) -> None:
    """Draw the heading of a part: its name, what its numbers are, and a thin rule."""
    used = pen.text(x, y + 8, name.upper(), 12, DIM, width=width * 0.6)
    pen.text(x + width, y + 8, right, 12, FAINT, width=width - used - 12, anchor="rm")
    pen.box(x, y + 19, x + width, y + 20, TRACK)


def number(value: float, digits: int = 3) -> str:
    """Return a number in at most about eight characters: 0.0312, 17.2, -4120, 3.1e+07."""
    if not np.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        return f"{value:.1e}"
    before = len(str(int(abs(value))))
    return f"{value:.{max(0, digits - before + (before == 1))}f}"
