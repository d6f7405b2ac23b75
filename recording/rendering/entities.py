"""Attention to objects: a box round each entity, and a line to it from the one that asks."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.colors import Pen

LABELLED = 0.05
"""Entities with at least this share of the largest weight are named."""


def draw_entities(
    image: Image.Image, weights: np.ndarray, boxes: np.ndarray, names: list[str], asks: int | None
) -> Image.Image:
    """Return the picture with a box round each entity and a line to it from the one that asks.

    Width, opacity and colour grow with the weight, as a share of the largest; names go to the most
    attended first and never over one another. Entities without a box are left out.

    Args:
        boxes: (N, 4) in pixels of the picture.
        asks: which entity it is whose attention this is; None where it is none of them, and
            there are no lines.
    """
    shares = weights / max(float(weights.max(initial=0.0)), 1e-9)
    placed = [i for i in np.argsort(shares) if np.isfinite(boxes[i]).all()]
    glass = _Glass(image.size)
    for i in placed:
        if asks in placed and i != asks:
            glass.line(_middle(boxes[asks]), _middle(boxes[i]), float(shares[i]))
    for i in placed:
        glass.outline(boxes[i], float(shares[i]), colors.TEXT if i == asks else None)
    image = glass.over(image)
    named = [i for i in reversed(placed) if shares[i] >= LABELLED]
    _name_entities(image, named, weights, boxes, names)
    return image


def _middle(box: np.ndarray) -> tuple[float, float]:
    return float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2


class _Glass:
    """A transparent layer, drawn large and shrunk, so that slanted lines are smooth."""

    FINER = 3

    def __init__(self, size: tuple[int, int]):
        self._image = Image.new("RGBA", (size[0] * self.FINER, size[1] * self.FINER))
        self._draw = ImageDraw.Draw(self._image)

    def line(self, start: tuple[float, float], end: tuple[float, float], share: float) -> None:
        points = [(x * self.FINER, y * self.FINER) for x, y in (start, end)]
        self._draw.line(points, self._ink(share), round((1 + 4 * share) * self.FINER))

    def outline(self, box: np.ndarray, share: float, colour: colors.Colour | None) -> None:
        width = 2 + 2 * share
        wider = box + np.array((-width, -width, width, width))
        x0, y0, x1, y1 = (wider * self.FINER).tolist()
        ink = (*colour, 255) if colour else self._ink(max(share, 0.25))
        self._draw.rectangle((x0, y0, x1, y1), outline=ink, width=round(width * self.FINER))

    def over(self, image: Image.Image) -> Image.Image:
        layer = self._image.reduce(self.FINER)
        return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")

    def _ink(self, share: float) -> tuple[int, int, int, int]:
        return (*colors.bar_colour(share), round(60 + 195 * share))


def _name_entities(
    image: Image.Image, order: list[int], weights: np.ndarray, boxes: np.ndarray, names: list[str]
) -> None:
    pen, size, taken = Pen(image), 13, [tuple(boxes[i].tolist()) for i in order]
    for i in order:
        text = f"{names[i]}  {weights[i]:.2f}"
        width, height = colors.font(size).getlength(text) + 10, 18
        x0, y0, x1, y1 = boxes[i].tolist()
        left = min(max((x0 + x1 - width) / 2, 0), image.width - width)
        spots = [(left, y0 - height - 7), (left, y1 + 7), (x1 + 7, (y0 + y1 - height) / 2)]
        for x, y in [*spots, (x0 - width - 7, (y0 + y1 - height) / 2)]:
            spot = (x, y, x + width, y + height)
            inside = x >= 0 and y >= 0 and spot[2] <= image.width and spot[3] <= image.height
            if inside and not any(_overlap(spot, other) for other in taken):
                taken.append(spot)
                pen.box(*spot, fill=colors.BACKGROUND, radius=4)
                pen.text(x + 5, y + height / 2, text, size)
                break


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
