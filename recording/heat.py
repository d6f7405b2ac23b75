"""Attention as heat on a picture.

Heat at a pixel is the sum over tokens of `weight * [pixel in box] / area of box`, so that the heat
of a token adds up to its weight wherever fields overlap. For display it is divided by its largest
value on the picture, coloured by `palette.heat_table`, and mixed in with opacity
`MOST_OPAQUE * share ** 0.75`: what nobody attends to keeps its own colours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from recording import palette

MOST_OPAQUE = 0.68


class Heat(NamedTuple):
    """Attention on a picture."""

    density: np.ndarray
    """(height, width) float32, weight per pixel."""
    covered: int
    """Pixels that lie in at least one box."""

    @property
    def peak(self) -> float:
        """The largest density over that of the same weight spread evenly over the boxes."""
        total = float(self.density.sum())
        return float(self.density.max()) * self.covered / total if total > 0 else 0.0


def heat_of(weights: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> Heat:
    """Spread weights over their boxes.

    Args:
        weights: (N,).
        boxes: (N, 4) x0, y0, x1, y1 in pixels of the picture; rows of NaN are left out. A pixel
            belongs to a box when its centre lies in it.
        size: (height, width) of the picture.
    """
    height, width = size
    density, covered = np.zeros(size, np.float32), np.zeros(size, bool)
    for weight, box in zip(weights, boxes, strict=True):
        if not np.isfinite(box).all():
            continue
        x0, y0, x1, y1 = box.tolist()
        across, down = _pixels(x0, x1, width), _pixels(y0, y1, height)
        area = max((x1 - x0) * (y1 - y0), 1e-9)
        density[down, across] += weight / area
        covered[down, across] = True
    return Heat(density, int(covered.sum()))


def draw_heat(image: Image.Image, heat: Heat) -> Image.Image:
    """Return an RGB picture with heat mixed in; pixels without heat are unchanged."""
    top = float(heat.density.max(initial=0.0))
    if top <= 0:
        return image
    levels = Image.fromarray(np.rint(heat.density * (255 / top)).astype(np.uint8))
    opacity = levels.point([round(255 * MOST_OPAQUE * (i / 255) ** 0.75) for i in range(256)])
    levels.putpalette(palette.heat_table().tobytes())
    return Image.composite(levels.convert("RGB"), image, opacity)


def _pixels(low: float, high: float, size: int) -> slice:
    """Return the pixels whose centres lie in [low, high)."""
    first, end = int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))
    return slice(min(max(first, 0), size), min(max(end, 0), size))
