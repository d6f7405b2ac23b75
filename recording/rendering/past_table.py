"""Objects of past steps: a row for each, with a bar for each step in which it was observed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attention_agents.recording.observation_images import Part, called, stem_of
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.colors import HEADING, Pen, font, heading
from attention_agents.recording.rendering.unplaced_tokens import MOST_ROWS, TokenBars, others
from attention_agents.recording.step import Step

LEAST_CELL = 6
"""Pixels of a step's bar, its gap included; a longer past is shown by its newest steps."""
NAME, CELLS = 0.38, 0.46
"""Parts of the width: for the names and the bars of a row; the rest is for its sum."""


class Seen(NamedTuple):
    """What has a row of the table: an object that is followed, or else a row of the observation."""

    name: str
    number: int
    """The object's identity, or the row of the observation."""
    followed: bool
    """Whether it is an object whose identity is known."""


class PastTable:
    """The entities of past steps as a table: objects by steps, oldest step first.

    An object whose identity is known keeps its row, whichever row of the observation it was in.
    Bars have a scale of their own, for the past may weigh little beside the present; it is said.
    Where there is no room for all, the objects with the largest sums are shown, and the newest
    steps; sums are over all steps.

    Args:
        parts: the tokens of each past step, oldest first.
        width: room, in pixels.
    """

    ROW = TokenBars.ROW

    def __init__(self, parts: list[Part], width: int):
        self.parts = parts
        self.shown = parts[-max(1, int(width * CELLS / LEAST_CELL)) :]
        """Steps that have room, oldest first."""
        most = most_objects(parts)
        self.rows = min(MOST_ROWS, most)
        self.height = HEADING + self.ROW * (1 + self.rows + (most > MOST_ROWS))

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        """Draw the rows; full length is the largest weight of the steps that are shown."""
        total = sum(float(weights[part.where].sum()) for part in self.parts)
        title = f"past steps of {self.parts[0].title}"
        heading(pen, x, y, width, title, f"weight, sum {total:.2f}")
        top = max(float(weights[part.where].max()) for part in self.shown)
        y += HEADING + self.ROW // 2
        self._ages(pen, x, y, width, top)
        objects = objects_of(self.parts, step)
        sums = {
            each: sum(float(weights[i]) for i in tokens.values())
            for each, tokens in objects.items()
        }
        order = sorted(objects, key=lambda each: -sums[each])
        for each in sorted(order[: self.rows], key=lambda each: in_order(each.name)):
            y += self.ROW
            pen.text(x, y, each.name, 13, width=width * NAME - 8)
            pen.text(x + width, y, f"{sums[each]:.3f}", 12, anchor="rm")
            own = {offset: float(weights[i]) for offset, i in objects[each].items()}
            self._bars(pen, x, y, width, own, top)
        rest = order[self.rows :]
        if rest:
            words = others(len(rest), sum(sums[each] for each in rest))
            pen.text(x, y + self.ROW, words, 13, colors.DIM)

    def _ages(self, pen: Pen, x: int, y: int, width: int, top: float) -> None:
        """Write how old each column is, and what a full bar is."""
        if top > 0:
            pen.text(x, y, f"full bar {top:.3f}", 12, colors.FAINT, width=width * NAME - 8)
        cell = width * CELLS / len(self.shown)
        every = labelled(self.shown[0].offset, cell)
        for place, part in enumerate(self.shown):
            if part.offset % every == 0:
                middle = x + width * NAME + (place + 0.5) * cell
                pen.text(middle, y, str(part.offset), 12, colors.DIM, anchor="mm")

    def _bars(
        self, pen: Pen, x: int, y: int, width: int, own: dict[int, float], top: float
    ) -> None:
        """Draw the weights of an object, by offset; no bar where it was not observed."""
        cell = width * CELLS / len(self.shown)
        for place, part in enumerate(self.shown):
            if part.offset in own:
                share = own[part.offset] / max(top, 1e-9)
                at = x + width * NAME + place * cell
                pen.bar(at, y, cell - 2, share, colors.bar_colour(share))


def past_entities(parts: list[Part]) -> list[list[Part]]:
    """Return the entities of past steps among some tokens, oldest first, those of each part of the
    observation together."""
    by_key: dict[str, list[Part]] = {}
    for part in parts:
        if part.group.past and part.group.kind == "entities":
            by_key.setdefault(part.group.key, []).append(part)
    return [sorted(each, key=lambda part: part.offset) for each in by_key.values()]


def objects_of(parts: list[Part], step: Step) -> dict[Seen, dict[int, int]]:
    """Return the objects of some past steps: which token each was at each offset.

    Tokens that were absent are left out.
    """
    objects: dict[Seen, dict[int, int]] = {}
    for part in parts:
        for row, name in enumerate(part.undated):
            i = part.where.start + row
            if step.present[i]:
                identity = -1 if step.places is None else int(step.places.ids[i])
                objects.setdefault(seen_as(name, identity, row), {})[part.offset] = i
    return objects


def seen_as(name: str, identity: int, row: int) -> Seen:
    """Return what an entity of a row of the observation is in the table.

    Args:
        name: of the row; without a number, such as "ego car", it tells by itself who is meant.
        identity: of the object, -1 where nobody knows it.
        row: of the observation.
    """
    stem = stem_of(name)
    if stem and identity >= 0:
        return Seen(called(name, identity), identity, True)
    return Seen(f"{stem}, row {name[len(stem) :].strip()}" if stem else name, row, False)


def most_objects(parts: list[Part]) -> int:
    """Return how many objects there can be: those with numbers may be others at each step."""
    rows = [each for part in parts for each in enumerate(part.undated)]
    numbered = [each for each in rows if stem_of(each[1])]
    return len(numbered) + len(set(rows) - set(numbered))


def in_order(name: str) -> tuple[str, int]:
    """Return what names are ordered by: "car 2" comes before "car 10"."""
    stem = stem_of(name)
    return (stem, int(name[len(stem) :])) if stem else (name, -1)


def labelled(oldest: int, room: float) -> int:
    """Return of how many columns one has room for its offset, such as every 5th."""
    wide = font(12).getlength(str(oldest)) + 4
    return next((n for n in (1, 2, 4, 5, 10, 20, 50, 100, 200, 500) if n * room >= wide), 1000)
