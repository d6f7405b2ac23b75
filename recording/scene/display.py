"""How things are shown, as numbers and words that film, terminal and page share."""

from __future__ import annotations

from typing import Any

import numpy as np

from attention_agents.recording.evidence_view import UNDEFINED

MIN_HEAT_TOP = 3.0
"""The scale of heat never ends below this many times an even spread."""
MAX_HEAT_OPACITY = 0.68
HEAT_OPACITY_POWER = 0.75
"""Heat of a share of the top is mixed in with opacity `MAX_HEAT_OPACITY * share ** power`."""
MAX_EVIDENCE_OPACITY, EVIDENCE_OPACITY_POWER = 0.8, 0.5
"""Evidence of a share of its scale is mixed in with opacity
`MAX_EVIDENCE_OPACITY * |share| ** EVIDENCE_OPACITY_POWER`."""
KEPT_COLOR = 0.25
"""Share of its colors that a picture keeps under evidence, whose two hues are to be told apart."""
MIN_BAR_SHADE = 0.35
"""Bars and lines begin at this share of the scale of heat, so that none is too dark to see."""
MIN_LABEL_SHARE = 0.05
"""Entities with at least this share of the largest weight are named."""
MAX_ROWS = 24
"""A list of more tokens, objects or actions is cut to the largest."""
MAX_FRAMED_STEPS = 16
"""A longer history has no room for frames and is shown as bars alone."""
MIN_Q_SHARE = 0.04
"""Length of the bar of the lowest Q value, as a share of that of the highest."""
OFFSET_INTERVALS = (1, 2, 4, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Of a row of steps every so many-th is labeled, where there is no room for all."""
DISTRIBUTION_LABELS = {
    "probabilities": "probability",
    "q_values": "Q value, from least to most",
    "gaussian": "mean ± std",
}
DIGITS, LARGE_NUMBER, SMALL_NUMBER = 3, 1e6, 1e-4
"""Significant digits of a number, and from where on it is written with an exponent."""


def display_facts() -> dict[str, Any]:
    """Return the constants that a page needs, as JSON."""
    return {
        "min_heat_top": MIN_HEAT_TOP,
        "max_heat_opacity": MAX_HEAT_OPACITY,
        "heat_opacity_power": HEAT_OPACITY_POWER,
        "undefined_evidence": UNDEFINED,
        "max_evidence_opacity": MAX_EVIDENCE_OPACITY,
        "kept_color": KEPT_COLOR,
        "evidence_opacity_power": EVIDENCE_OPACITY_POWER,
        "min_bar_shade": MIN_BAR_SHADE,
        "min_label_share": MIN_LABEL_SHARE,
        "max_rows": MAX_ROWS,
        "max_framed_steps": MAX_FRAMED_STEPS,
        "min_q_share": MIN_Q_SHARE,
        "offset_intervals": OFFSET_INTERVALS,
        "distribution_labels": DISTRIBUTION_LABELS,
        "number": {"digits": DIGITS, "large": LARGE_NUMBER, "small": SMALL_NUMBER},
    }


def format_number(value: float, digits: int = DIGITS) -> str:
    """Return a number in at most about eight characters: 0.0312, 17.2, -4120, 3.1e+07."""
    if not np.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < LARGE_NUMBER:
        return str(int(value))
    if abs(value) >= LARGE_NUMBER or abs(value) < SMALL_NUMBER:
        return f"{value:.1e}"
    before = len(str(int(abs(value))))
    return f"{value:.{max(0, digits - before + (before == 1))}f}"


def format_rest(count: int, weight: str) -> str:
    """Return the words for tokens or objects that there is no room for."""
    return f"1 other, {weight}" if count == 1 else f"{count} others, together {weight}"


def label_interval(room: float, label_width: float) -> int:
    """Return how many steps apart labels of a width stand, so that they do not touch.

    Args:
        room: width of one step, in the unit of `label_width`.
    """
    fitting = (n for n in OFFSET_INTERVALS if n * room >= label_width)
    return next(fitting, OFFSET_INTERVALS[-1])
