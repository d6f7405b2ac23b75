"""What the maps of a recording are worth, as a page says it: a sentence, a table, and curves."""

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
    "top 3 flip": ("flips", ".0%"),
    "hits truth": ("hit", ".0%"),
    "mass on truth": ("mass", ".0%"),
}
"""Headings, each with an estimate of a summary and how its numbers are written."""
CURVES = ("deletion_curve", "insertion_curve")
MOST_MAPS, MOST_POINTS = 40, 101


def worth_facts(summary: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what a page says of the scores of a recording; None where there are none.

    A summary may have been written by anybody: what it lacks, or holds of another kind, is left
    out.
    """
    if summary is None:
        return None
    maps = [one for one in summary["maps"][:MOST_MAPS] if isinstance(one, dict)]
    headings = [name for name in COLUMNS if any(_cell(one, name) for one in maps)]
    return {
        "verdict": summary["verdict"],
        "rule": _text(summary.get("rule"), 4 * LONGEST_TEXT),
        "headings": headings,
        "maps": [
            {
                "name": _text(one.get("name")),
                "drawn": one.get("name") == summary.get("drawn"),
                "verdict": _text(one.get("verdict")),
                "cells": [_cell(one, name) for name in headings],
                "curves": [_curve(one.get(name)) for name in CURVES],
            }
            for one in maps
        ],
    }


def _cell(one: Mapping[str, Any], heading: str) -> str:
    """Write an estimate with its interval; "" where it was not made."""
    name, form = COLUMNS[heading]
    found = None if (name, one.get("family")) == ("gain", "random") else one.get(name)
    numbers = [found.get(end) for end in ("mean", "low", "high")] if isinstance(found, dict) else []
    if not numbers or not all(_finite(number) for number in numbers):
        return ""
    mean, low, high = (format(number, form) for number in numbers)
    return f"{mean} ({low} to {high})"


def _curve(found: Any) -> list[float]:
    """Return a curve from share 0 to share 1, of evenly spread values; [] where there is none."""
    if not isinstance(found, list) or not 2 <= len(found) <= MOST_POINTS:
        return []
    return [float(np.clip(y, 0, 1)) for y in found] if all(map(_finite, found)) else []


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)


def _text(value: Any, most: int = LONGEST_TEXT) -> str:
    return value[:most] if isinstance(value, str) else ""
