"""Evidence on a picture: what speaks for the action and what against it, each in its own hue.

A token lays its evidence over its box. Where boxes overlap, a pixel gets the mean of the tokens
that see it, each counted by 1 / area, as in `rendering.heat`:

    mean[pixel] = sum_i(evidence_i / area_i) / sum_i(1 / area_i)    over tokens i that see it

It is 0, and nothing is mixed in, where tokens say nothing or none sees the pixel. For display a
share, the mean over the scale's end and at most 1, is mixed in by its hue alone, with opacity
`MAX_EVIDENCE_OPACITY * |share| ** EVIDENCE_OPACITY_POWER`. The picture below keeps its light and
`KEPT_COLOR` of its colors, so that these are not taken for evidence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from attention_agents.recording.rendering.heat import spread_over_boxes
from attention_agents.recording.scene.colors import AGAINST, FOR
from attention_agents.recording.scene.display import (
    EVIDENCE_OPACITY_POWER,
    KEPT_COLOR,
    MAX_EVIDENCE_OPACITY,
)


class SignedHeat(NamedTuple):
    """Evidence on a picture."""

    mean: np.ndarray
    """(height, width) float32, signed; 0 where no token sees the picture."""
    top: float
    """The magnitude that gets the full color, > 0."""


def compute_signed_heat(
    evidence: np.ndarray, boxes: np.ndarray, top: float, size: tuple[int, int]
) -> SignedHeat:
    """Spread evidence over boxes.

    Args:
        evidence: (N,), signed.
        boxes: (N, 4) x0, y0, x1, y1 in pixels of the picture; rows of NaN are left out. A pixel
            belongs to a box when its center lies in it.
        top: the magnitude that gets the full color.
        size: (height, width) of the picture.
    """
    density, evenly = spread_over_boxes(evidence, boxes, 1.0, size)
    mean = np.divide(density, evenly, out=np.zeros(size), where=evenly > 0)
    return SignedHeat(mean.astype(np.float32), top)


def draw_signed_heat(image: Image.Image, heat: SignedHeat) -> Image.Image:
    """Return an RGB picture with evidence mixed in; pixels without any are unchanged."""
    if not heat.mean.any():
        return image
    share = np.clip(heat.mean / heat.top, -1, 1)
    opacity = MAX_EVIDENCE_OPACITY * np.abs(share) ** EVIDENCE_OPACITY_POWER
    ink = np.where(share[..., None] > 0, np.array(FOR), np.array(AGAINST)).astype(np.uint8)
    mask = Image.fromarray(np.rint(255 * opacity).astype(np.uint8))
    return Image.composite(Image.fromarray(ink), image.convert("RGB"), mask)


def fade_colors(image: Image.Image) -> Image.Image:
    """Return an RGB picture with most of its colors taken out, and as light as it was."""
    image = image.convert("RGB")
    return Image.blend(image.convert("L").convert("RGB"), image, KEPT_COLOR)


def evidence_ramp(width: int, height: int, background: tuple[int, int, int]) -> Image.Image:
    """Return the scale of evidence as a picture: against at the left, nothing in the middle."""
    shares = np.broadcast_to(np.linspace(-1, 1, width, dtype=np.float32), (height, width))
    return draw_signed_heat(Image.new("RGB", (width, height), background), SignedHeat(shares, 1.0))
