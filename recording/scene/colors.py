"""The colors that every picture of a recording shares."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from attention_agents.recording.scene.display import MIN_BAR_SHADE

Color = tuple[int, int, int]

BACKGROUND: Color = (18, 20, 24)
PANEL: Color = (27, 30, 36)
TRACK: Color = (44, 49, 58)
TEXT: Color = (233, 236, 240)
DIM: Color = (152, 160, 171)
FAINT: Color = (96, 104, 116)
BAR: Color = (110, 124, 145)
CHOSEN: Color = (86, 204, 196)
GOOD: Color = (126, 211, 125)
BAD: Color = (240, 113, 103)
FOR: Color = (64, 156, 255)
AGAINST: Color = (255, 146, 31)
"""Evidence for and against: blue and orange, which people who see few colors tell apart; about as
light as each other, and to be seen on dark and on bright pictures."""

_HEAT = (
    *("1b0051", "3d0069", "640174", "8e0374", "b61368", "d83254"),
    *("f35435", "fe7f1d", "feab3d", "ffd05c", "fff465"),
)
"""Eleven colors at even steps of OKLab lightness, 0.22 to 0.95, the hue going from violet over red
to yellow: also read right in print without color, and by people who see few colors."""


@lru_cache(maxsize=1)
def heat_table() -> np.ndarray:
    """Return the (256, 3) uint8 colors of weights 0 to 1, dark to bright."""
    anchors = np.array([list(bytes.fromhex(color)) for color in _HEAT], float)
    positions = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(positions, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, -1)).astype(np.uint8)


def heat_color(share: float) -> Color:
    """Return the color of a weight as a share (0 to 1) of the largest."""
    red, green, blue = heat_table()[round(255 * min(max(share, 0.0), 1.0))].tolist()
    return red, green, blue


def bar_color(share: float) -> Color:
    """Return the color of a bar or line: as `heat_color`, but never too dark to see."""
    return heat_color(MIN_BAR_SHADE + (1 - MIN_BAR_SHADE) * share)


def evidence_color(evidence: float) -> Color:
    """Return the hue of evidence: for where it is above 0, against where it is below."""
    return FOR if evidence > 0 else AGAINST


def reward_color(reward: float, zero: Color) -> Color:
    """Return the color of a reward; `zero` where there is none."""
    return GOOD if reward > 0 else BAD if reward < 0 else zero
