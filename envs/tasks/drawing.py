"""Simple shapes on a frame, with numpy alone."""

from __future__ import annotations

import numpy as np

Color = tuple[int, int, int]

BACKGROUND, FLOOR, AGENT, DARK = (24, 26, 33), (70, 74, 86), (245, 245, 245), (12, 12, 14)
HUES = (
    *((230, 60, 70), (70, 130, 240), (240, 190, 50), (80, 190, 110)),
    *((180, 90, 220), (60, 200, 210), (240, 130, 50), (240, 140, 190)),
)
"""Colors that are easy to tell apart."""


def blank_frame(height: int, width: int) -> np.ndarray:
    """Return an empty frame, (height, width, 3) uint8."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def fill_box(frame: np.ndarray, x: int, y: int, width: int, height: int, color: Color) -> None:
    frame[y : y + height, x : x + width] = color


def fill_disk(frame: np.ndarray, x: float, y: float, radius: float, color: Color) -> None:
    """Fill the pixels whose centers are within `radius` of x, y."""
    rows, cols = np.ogrid[: frame.shape[0], : frame.shape[1]]
    frame[(cols + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2] = color


def mix_colors(low: Color, high: Color, share: float) -> Color:
    """Return the color at a share of the way from one to another."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return red, green, blue
