"""Type, text and the small drawn parts that every picture of a recording shares."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from attention_agents.recording.files import atomic_write
from attention_agents.recording.header import Header
from attention_agents.recording.scene import colors

HEADING = 30
"""Height of a heading, in pixels."""
RAMP = (96, 8)
"""Width and height of the scale of heat, in pixels."""


@lru_cache(maxsize=16)
def load_font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own scalable font at a size in pixels."""
    return ImageFont.load_default(size)  # type: ignore[return-value]


def text_width(text: str, size: int) -> float:
    """Return the width of drawn text in pixels."""
    return load_font(size).getlength(text)


_DRAWABLE = frozenset(chr(code) for code in range(32, 127)) | set("±·…°")


def drawable_text(text: str) -> str:
    """Return text without line breaks and accents, "?" in place of what the font cannot draw."""
    spelled = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(" " if c.isspace() else c if c in _DRAWABLE else "?" for c in spelled)


def fit_text(text: str, width: float, size: int) -> str:
    """Return text of at most `width` pixels; an ellipsis stands where its middle was cut out."""
    text = drawable_text(text[:200])
    if text_width(text, size) <= width:
        return text
    for length in range(len(text) - 1, 0, -1):
        start = (2 * length + 2) // 3
        cut = f"{text[:start].rstrip()}…{text[len(text) - length + start :].lstrip()}"
        if text_width(cut, size) <= width:
            return cut
    return "…"


def wrap_text(text: str, width: float, size: int, max_lines: int = 2) -> tuple[str, ...]:
    """Return text as lines of at most `width` pixels, broken between words.

    Args:
        size: of the type, in pixels.
        max_lines: the last one holds all that is left, however long.
    """
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        full = text_width(drawable_text(longer), size) > width
        if lines[-1] and len(lines) < max_lines and full:
            lines.append(word)
        else:
            lines[-1] = longer
    return tuple(lines)


class Pen:
    """Draw text and bars on one picture."""

    def __init__(self, image: Image.Image):
        self.image = image
        self._draw = ImageDraw.Draw(image)

    def draw_text(
        self,
        x: float,
        y: float,
        text: str,
        size: int = 14,
        color: colors.Color = colors.TEXT,
        width: float = 1e9,
        anchor: str = "lm",
    ) -> float:
        """Draw one line of text and return its width.

        Args:
            x, y: where the anchor stands; "lm" is the middle of the left side.
            width: longer text is cut with an ellipsis.
        """
        text = fit_text(text, width, size)
        self._draw.text((x, y), text, color, load_font(size), anchor=anchor)
        return text_width(text, size)

    def draw_box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        fill: colors.Color | None = None,
        radius: int = 0,
    ) -> None:
        """Draw a box; nothing where it is thinner than half a pixel."""
        if x1 - x0 < 0.5 or y1 - y0 < 0.5:
            return
        left, top = round(x0), round(y0)
        right, bottom = max(round(x1) - 1, left), max(round(y1) - 1, top)
        radius = min(radius, (right - left) // 2, (bottom - top) // 2)
        self._draw.rounded_rectangle((left, top, right, bottom), radius, fill)

    def draw_bar(
        self, x: float, y: float, width: float, share: float, color: colors.Color, height: int = 8
    ) -> None:
        """Draw a horizontal bar, filled up to `share` of its width, centered on y."""
        top = y - height / 2
        self.draw_box(x, top, x + width, top + height, colors.TRACK, radius=2)
        filled = width * min(max(share, 0.0), 1.0)
        self.draw_box(x, top, x + filled, top + height, color, radius=2)

    def draw_signed_bar(
        self, x: float, y: float, width: float, share: float, color: colors.Color, height: int = 8
    ) -> None:
        """Draw a horizontal bar that grows from its middle, to the right where `share` (-1 to 1) is
        above 0, centered on y."""
        top, middle = y - height / 2, x + width / 2
        self.draw_box(x, top, x + width, top + height, colors.TRACK, radius=2)
        end = middle + min(max(share, -1.0), 1.0) * width / 2
        self.draw_box(min(middle, end), top, max(middle, end), top + height, color, radius=1)
        self.draw_box(middle - 0.5, top - 2, middle + 0.5, top + height + 2, colors.FAINT)

    def draw_ramp(self, x: int, y: int) -> None:
        """Draw the scale of heat, centered on y."""
        ramp = Image.fromarray(colors.heat_table()[None]).resize(RAMP)
        self.image.paste(ramp, (x, y - RAMP[1] // 2))

    def draw_heading(self, x: int, y: int, width: int, name: str, note: str) -> None:
        """Draw the heading of a part: its name, what its numbers are, and a thin rule."""
        used = self.draw_text(x, y + 8, name.upper(), 12, colors.DIM, width=width * 0.6)
        room = width - used - 12
        self.draw_text(x + width, y + 8, note, 12, colors.FAINT, width=room, anchor="rm")
        self.draw_box(x, y + 19, x + width, y + 20, colors.TRACK)


class SheetPage:
    """A page of several pictures of an episode: a title, which map is shown, and room below.

    Args:
        size: (width, height) in pixels.
        header: of the recording.
        lines: which map is shown, in words.
        room: width that these words leave free.
        noun: what is shown.
    """

    MARGIN, TITLE = 26, 84
    """Pixels: round the page, and the height of the title."""

    def __init__(
        self,
        size: tuple[int, int],
        header: Header,
        lines: Sequence[str],
        room: float,
        noun: str = "Attention",
    ):
        self.image = Image.new("RGB", size, colors.BACKGROUND)
        self.pen = Pen(self.image)
        x, width = self.MARGIN, size[0] - 2 * self.MARGIN
        used = self.pen.draw_text(x, 30, header.env_id, 22, width=width * 0.5)
        self.pen.draw_text(
            x + used + 12, 32, header.algo.upper(), 15, colors.DIM, width=width * 0.2
        )
        shown = f"{noun}: " + ", ".join(lines)
        self.pen.draw_text(x, 60, shown, 14, colors.DIM, width=width - room)

    def save_png(self, path: Path) -> Path:
        """Write the page as a PNG that appears when it is whole.

        Raises:
            ValueError: the file cannot be written.
        """
        with atomic_write(path) as file:
            self.image.save(file, "PNG", optimize=True)
        return path
