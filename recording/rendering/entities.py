"""Attention to objects: a box round each entity, and a line to it from the query entity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from attention_agents.recording.rendering.drawing import Pen, text_width
from attention_agents.recording.rendering.paint import WEIGHTS, Paint
from attention_agents.recording.scene.colors import BACKGROUND, TEXT, Color
from attention_agents.recording.scene.display import MIN_LABEL_SHARE


def draw_entities(
    image: Image.Image,
    weights: np.ndarray,
    boxes: np.ndarray,
    names: Sequence[str],
    query: int | None,
    paint: Paint = WEIGHTS,
) -> Image.Image:
    """Return the picture with a box round each entity and a line to it from the query entity.

    Width, opacity and color grow with the weight, as a share of the largest; names go to the most
    attended first and never over one another. Entities without a box are left out.

    Args:
        boxes: (N, 4) in pixels of the picture.
        query: which entity attends; None where it is none of them, and there are no lines.
        paint: of the weights.
    """
    top = paint.top(weights)
    shares = np.array([paint.share(float(weight), top) for weight in weights])
    placed = [i for i in np.argsort(np.abs(shares)) if np.isfinite(boxes[i]).all()]
    layer = SupersampledLayer(image.size, paint)
    for i in placed:
        if query in placed and i != query:
            layer.draw_line(_middle(boxes[query]), _middle(boxes[i]), float(shares[i]))
    for i in placed:
        layer.draw_outline(boxes[i], float(shares[i]), TEXT if i == query else None)
    image = layer.blend_over(image)
    named = [i for i in reversed(placed) if abs(shares[i]) >= MIN_LABEL_SHARE]
    texts = [
        f"{name}  {paint.format(weight, 2)}"
        for name, weight in zip(names, weights.tolist(), strict=False)
    ]
    _name_entities(image, named, boxes, texts)
    return image


def _middle(box: np.ndarray) -> tuple[float, float]:
    return float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2


class SupersampledLayer:
    """A transparent layer, drawn large and shrunk, so that slanted lines are smooth."""

    SCALE = 3

    def __init__(self, size: tuple[int, int], paint: Paint = WEIGHTS):
        self._paint = paint
        self._image = Image.new("RGBA", (size[0] * self.SCALE, size[1] * self.SCALE))
        self._draw = ImageDraw.Draw(self._image)

    def draw_line(self, start: tuple[float, float], end: tuple[float, float], share: float) -> None:
        points = [(x * self.SCALE, y * self.SCALE) for x, y in (start, end)]
        self._draw.line(points, self._ink(share), round((1 + 4 * share) * self.SCALE))

    def draw_outline(self, box: np.ndarray, share: float, color: Color | None) -> None:
        width = 2 + 2 * abs(share)
        wider = box + np.array((-width, -width, width, width))
        x0, y0, x1, y1 = (wider * self.SCALE).tolist()
        ink = (
            (*color, 255)
            if color
            else self._ink(max(share, 0.25) if share >= 0 else min(share, -0.25))
        )
        self._draw.rectangle((x0, y0, x1, y1), outline=ink, width=round(width * self.SCALE))

    def blend_over(self, image: Image.Image) -> Image.Image:
        pixels = self._image.reduce(self.SCALE)
        return Image.alpha_composite(image.convert("RGBA"), pixels).convert("RGB")

    def _ink(self, share: float) -> tuple[int, int, int, int]:
        return (*self._paint.color(share), round(60 + 195 * abs(share)))


def _name_entities(
    image: Image.Image,
    order: list[int],
    boxes: np.ndarray,
    texts: Sequence[str],
) -> None:
    pen, size, occupied = Pen(image), 13, [tuple(boxes[i].tolist()) for i in order]
    for i in order:
        text = texts[i]
        width, height = text_width(text, size) + 10, 18
        x0, y0, x1, y1 = boxes[i].tolist()
        label_x = min(max((x0 + x1 - width) / 2, 0), image.width - width)
        spots = [(label_x, y0 - height - 7), (label_x, y1 + 7), (x1 + 7, (y0 + y1 - height) / 2)]
        for x, y in [*spots, (x0 - width - 7, (y0 + y1 - height) / 2)]:
            spot = (x, y, x + width, y + height)
            inside = x >= 0 and y >= 0 and spot[2] <= image.width and spot[3] <= image.height
            if inside and not any(_overlap(spot, box) for box in occupied):
                occupied.append(spot)
                pen.draw_box(*spot, fill=BACKGROUND, radius=4)
                pen.draw_text(x + 5, y + height / 2, text, size)
                break


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
