"""Objects of past steps: a row for each, with a bar for each step in which it was observed."""

from __future__ import annotations

import numpy as np

from recording import palette
from recording.beside import MOST_ROWS, TokenBars, others
from recording.format import Step
from recording.observed import Part, stem_of
from recording.palette import HEADING, Pen, font, heading

LEAST_CELL = 6
"""Pixels of a step's bar, its gap included; a longer past is shown by its newest steps."""
NAME, CELLS, SUM = 0.38, 0.46, 0.16
"""Parts of the width: for the names, the bars and the sum of a row."""


class PastTable:
    """The entities of past steps as a table: objects by steps, oldest step first.

    An object whose identity is known keeps its row, whichever row of the observation it was in.
    Bars have the scale of the other tokens. Where there is no room for all, the objects with the
    largest sums are shown, and the newest steps; sums are over all steps.

    Args:
        parts: the tokens of each past step, oldest first.
        width: room, in pixels.
    """

    ROW = TokenBars.ROW

    def __init__(self, parts: list[Part], width: int):
        self.parts = parts
        self.shown = parts[-max(1, int(width * CELLS / LEAST_CELL)) :]
        """Steps that have room, oldest first."""
        self.rows = min(MOST_ROWS, max(len(part.group) for part in parts))
        self.height = HEADING + self.ROW * (self.rows + 2)

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        total = sum(float(weights[part.where].sum()) for part in self.parts)
        heading(pen, x, y, width, past_title(self.parts), f"weight, sum {total:.2f}")
        y += HEADING + self.ROW // 2
        left, cell = x + width * NAME, width * CELLS / len(self.shown)
        every = labelled(self.shown[0].offset, cell)
        for place, part in enumerate(self.shown):
            if part.offset % every == 0:
                middle = left + (place + 0.5) * cell
                pen.text(middle, y, str(part.offset), 12, palette.DIM, anchor="mm")
        top = max(float(weights.max(initial=0.0)), 1e-9)
        objects = objects_of(self.parts, step)
        sums = {
            name: sum(float(weights[i]) for i in seen.values()) for name, seen in objects.items()
        }
        order = sorted(objects, key=lambda name: -sums[name])
        for name in sorted(order[: self.rows], key=in_order):
            y += self.ROW
            pen.text(x, y, name, 13, width=width * NAME - 8)
            pen.text(x + width, y, f"{sums[name]:.3f}", 12, anchor="rm")
            for place, part in enumerate(self.shown):
                i = objects[name].get(part.offset)
                share = 0.0 if i is None else float(weights[i]) / top
                if i is not None:
                    at = left + place * cell
                    pen.bar(at, y, cell - 2, share, palette.bar_colour(share))
        rest = order[self.rows :]
        if rest:
            words = others(len(rest), sum(sums[name] for name in rest))
            pen.text(x, y + self.ROW, words, 13, palette.DIM)


def past_entities(parts: list[Part]) -> list[list[Part]]:
    """Return the entities of past steps among some tokens, oldest first, those of each part of the
    observation together."""
    by_key: dict[str, list[Part]] = {}
    for part in parts:
        if part.group.past and part.group.kind == "entities":
            by_key.setdefault(part.group.key, []).append(part)
    return [sorted(each, key=lambda part: part.offset) for each in by_key.values()]


def past_title(parts: list[Part]) -> str:
    """Return what the entities of past steps are called together."""
    return f"past steps of {parts[0].title}"


def objects_of(parts: list[Part], step: Step) -> dict[str, dict[int, int]]:
    """Return the objects of some past steps: by name, which token it was at each offset.

    Tokens that were absent are left out.
    """
    objects: dict[str, dict[int, int]] = {}
    for part in parts:
        for i, name in enumerate(part.names_at(step, dated=False), start=part.where.start):
            if step.present[i]:
                objects.setdefault(name, {})[part.offset] = i
    return objects


def in_order(name: str) -> tuple[str, int]:
    """Return what names are ordered by: "car 2" comes before "car 10"."""
    stem = stem_of(name)
    return (stem, int(name[len(stem) :])) if stem else (name, -1)


def labelled(oldest: int, room: float) -> int:
    """Return of how many columns one has room for its offset, such as every 5th."""
    wide = font(12).getlength(str(oldest)) + 4
    return next((n for n in (1, 2, 4, 5, 10, 20, 50, 100, 200, 500) if n * room >= wide), 1000)
