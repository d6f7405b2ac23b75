"""Attention as heat on a picture: how many times more than an even spread a pixel gets.

A token lays its weight evenly over its box, and the fields of a convolutional stem overlap, so that
the middle of a picture gets more of any attention than its border. Heat is therefore the lift over
an even spread, which is laid over the same boxes:

    heat[pixel] = sum_i(weight_i / area_i) / sum_i(even / area_i)    over tokens i that see it

with `even` the weight of every token were all present ones attended alike. It is 1 wherever
attention is even, and 0 where no token sees the picture.

For display a share, heat over the larger of its greatest value and `MIN_HEAT_TOP`, is colored by
`heat_table` and mixed in with opacity `MAX_HEAT_OPACITY * share ** HEAT_OPACITY_POWER`: what nobody
attends to keeps its own colors, and attention that is nearly even is a faint veil.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from attention_agents.recording.scene.colors import heat_table
from attention_agents.recording.scene.display import (
    HEAT_OPACITY_POWER,
    MAX_HEAT_OPACITY,
    MIN_HEAT_TOP,
)


class Heat(NamedTuple):
    """Attention on a picture."""

    lift: np.ndarray
    """(height, width) float32, times an even spread; 0 where no token sees the picture."""

    @property
    def top(self) -> float:
        """The lift that gets the hottest color."""
        return max(float(self.lift.max(initial=0.0)), MIN_HEAT_TOP)


def compute_heat(
    weights: np.ndarray, boxes: np.ndarray, even: float, size: tuple[int, int]
) -> Heat:
    """Spread weights over their boxes, and compare with an even spread.

    Args:
        weights: (N,).
        boxes: (N, 4) x0, y0, x1, y1 in pixels of the picture; rows of NaN are left out. A pixel
            belongs to a box when its center lies in it.
        even: what every weight would be if attention were even, see `even_weight`.
        size: (height, width) of the picture.
    """
    density, evenly = spread_over_boxes(weights, boxes, even, size)
    lift = np.divide(density, evenly, out=np.zeros(size), where=evenly > 0)
    return Heat(lift.astype(np.float32))


def spread_over_boxes(
    weights: np.ndarray, boxes: np.ndarray, even: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what weights lay on each pixel, and what each would if it were `even`.

    Both are (height, width) float64 per pixel; the arguments are those of `compute_heat`.
    """
    height, width = size
    density, evenly = np.zeros(size), np.zeros(size)
    for weight, box in zip(weights, boxes, strict=True):
        if not np.isfinite(box).all():
            continue
        x0, y0, x1, y1 = box.tolist()
        columns, rows = _pixels(x0, x1, width), _pixels(y0, y1, height)
        area = max((x1 - x0) * (y1 - y0), 1e-9)
        density[rows, columns] += float(weight) / area
        evenly[rows, columns] += even / area
    return density, evenly


def even_weight(weights: np.ndarray, present: np.ndarray) -> float:
    """Return what each present token would weigh if all of them weighed the same.

    Args:
        weights: (N,) of all tokens, on the picture or not.
        present: (N,) bool.
    """
    return float(weights.sum(dtype=np.float64)) / max(int(present.sum()), 1)


def draw_heat(image: Image.Image, heat: Heat) -> Image.Image:
    """Return an RGB picture with heat mixed in; pixels without heat are unchanged."""
    if not heat.lift.any():
        return image
    levels = Image.fromarray(np.rint(heat.lift * (255 / heat.top)).astype(np.uint8))
    opacity = levels.point(
        [round(255 * MAX_HEAT_OPACITY * (i / 255) ** HEAT_OPACITY_POWER) for i in range(256)]
    )
    levels.putpalette(heat_table().tobytes())
    return Image.composite(levels.convert("RGB"), image, opacity)


def _pixels(low: float, high: float, size: int) -> slice:
    """Return the pixels whose centers lie in [low, high)."""
    first, end = int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))
    return slice(min(max(first, 0), size), min(max(end, 0), size))
