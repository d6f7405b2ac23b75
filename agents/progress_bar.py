"""How far a piece of work is, told on stderr where somebody looks."""

from __future__ import annotations

import sys

from tqdm import tqdm


def bar(title: str, total: int | None, wanted: bool) -> tqdm:
    """Return a bar of steps; it is silent unless wanted and stderr is a terminal."""
    quiet = not (wanted and sys.stderr.isatty())
    return tqdm(desc=title, total=total, unit=" steps", leave=False, disable=quiet)
