"""How faithful the maps of a recording are, as a page shows it: a verdict, a table, and curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from attention_agents.recording.map_spec import LONGEST_TEXT

COLUMNS: dict[str, tuple[str, str]] = {
    "deletion": ("deletion", ".3f"),
    "insertion": ("insertion", ".3f"),
    "over random": ("gain", "+.3f"),
    "over shuffled": ("over_shuffled", "+.3f"),
    "shuffled over random": ("sanity", "+.3f"),
    "rank correlation": ("correlation", "+.2f"),
    "heaviest flip": ("flips", ".0%"),
    "hits truth": ("hit", ".0%"),
    "mass on truth": ("mass", ".0%"),
}
"""Headings, each with an estimate of a summary and how its numbers are written."""
CURVES = ("deletion_curve", "insertion_curve")
MAX_MAPS, MAX_POINTS = 40, 101


def verdict_facts(summary: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what a page shows of the scores of a recording; None where there are none.

    A summary may come from any program: what it lacks, or holds of another kind, is left out.
    """
    if summary is None:
        return None
    maps = [entry for entry in summary["maps"][:MAX_MAPS] if isinstance(entry, dict)]
    headings = [name for name in COLUMNS if any(_format_cell(entry, name) for entry in maps)]
    return {
        "verdict": summary["verdict"],
        "rule": _clip_text(summary.get("rule"), 4 * LONGEST_TEXT),
        "headings": headings,
        "maps": [
            {
                "name": _clip_text(entry.get("name")),
                "drawn": entry.get("name") == summary.get("drawn"),
                "verdict": _clip_text(entry.get("verdict")),
                "cells": [_format_cell(entry, name) for name in headings],
                "curves": [_parse_curve(entry.get(name)) for name in CURVES],
            }
            for entry in maps
        ],
    }


def _format_cell(entry: Mapping[str, Any], heading: str) -> str:
    """Write an estimate with its interval; "" where it was not made."""
    name, form = COLUMNS[heading]
    estimate = None if (name, entry.get("family")) == ("gain", "random") else entry.get(name)
    if not isinstance(estimate, dict):
        return ""
    numbers = [estimate.get(end) for end in ("mean", "low", "high")]
    if not all(_is_finite(number) for number in numbers):
        return ""
    mean, low, high = (format(number, form) for number in numbers)
    return f"{mean} ({low} to {high})"


def _parse_curve(curve: Any) -> list[float]:
    """Return a curve from share 0 to share 1, of evenly spread values; [] where there is none."""
    if not isinstance(curve, list) or not 2 <= len(curve) <= MAX_POINTS:
        return []
    return [float(np.clip(y, 0, 1)) for y in curve] if all(map(_is_finite, curve)) else []


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)


def _clip_text(value: Any, max_length: int = LONGEST_TEXT) -> str:
    return value[:max_length] if isinstance(value, str) else ""
