"""Objects of past steps: a row for each, with a bar for each step in which it was observed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attention_agents.recording.observation_images import GroupSlice
from attention_agents.recording.rendering.drawing import HEADING, Pen, text_width
from attention_agents.recording.rendering.paint import WEIGHTS, Paint
from attention_agents.recording.rendering.unplaced_tokens import TokenBars
from attention_agents.recording.scene.colors import DIM, FAINT
from attention_agents.recording.scene.display import format_rest, label_interval
from attention_agents.recording.scene.past_objects import past_objects, row_count
from attention_agents.recording.step import Step

MIN_CELL = 6
"""Pixels of a step's bar, its gap included; a longer past is shown by its newest steps."""
NOTHING = 1e-9
"""Weights up to this size are none."""
NAME, CELLS = 0.38, 0.46
"""Parts of the width: for the names and the bars of a row; the rest is for its sum."""


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

    def __init__(self, parts: Sequence[GroupSlice], width: int, paint: Paint = WEIGHTS):
        self.parts, self.paint = tuple(parts), paint
        self.shown = self.parts[-max(1, int(width * CELLS / MIN_CELL)) :]
        """Steps that have room, oldest first."""
        self.rows, objects = row_count(self.parts)
        self.height = HEADING + self.ROW * (1 + self.rows + (objects > self.rows))

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        """Draw the rows; full length is the largest weight of the steps that are shown."""
        past = np.concatenate([weights[part.token_slice] for part in self.parts])
        title = f"past steps of {self.parts[0].title}"
        pen.draw_heading(x, y, width, title, self.paint.describe_sum(past))
        shown = np.concatenate([weights[part.token_slice] for part in self.shown])
        top = self.paint.top(shown)
        y += HEADING + self.ROW // 2
        self._draw_offsets(pen, x, y, width, top)
        objects = past_objects(self.parts, step)
        sums = {row: sum(float(weights[i]) for i in objects[row].values()) for row in objects}
        order = sorted(objects, key=lambda row: -abs(sums[row]))
        for row in sorted(order[: self.rows], key=lambda row: row.rank):
            y += self.ROW
            pen.draw_text(x, y, row.name, 13, width=width * NAME - 8)
            pen.draw_text(x + width, y, self.paint.format(sums[row]), 12, anchor="rm")
            by_offset = {offset: float(weights[i]) for offset, i in objects[row].items()}
            self._draw_bars(pen, x, y, width, by_offset, top)
        rest = order[self.rows :]
        if rest:
            text = format_rest(len(rest), self.paint.format(sum(sums[row] for row in rest)))
            pen.draw_text(x, y + self.ROW, text, 13, DIM)

    def _draw_offsets(self, pen: Pen, x: int, y: int, width: int, top: float) -> None:
        """Write how old each column is, and what a full bar is."""
        if top > NOTHING:
            text = f"full bar {self.paint.format(top)}"
            pen.draw_text(x, y, text, 12, FAINT, width=width * NAME - 8)
        cell, oldest = width * CELLS / len(self.shown), self.shown[0].offset
        interval = label_interval(cell, text_width(str(oldest), 12) + 4)
        for column, part in enumerate(self.shown):
            if part.offset % interval == 0:
                middle = x + width * NAME + (column + 0.5) * cell
                pen.draw_text(middle, y, str(part.offset), 12, DIM, anchor="mm")

    def _draw_bars(
        self, pen: Pen, x: int, y: int, width: int, by_offset: dict[int, float], top: float
    ) -> None:
        """Draw the weights of an object; no bar where it was not observed."""
        cell = width * CELLS / len(self.shown)
        for column, part in enumerate(self.shown):
            if part.offset in by_offset:
                share = self.paint.share(by_offset[part.offset], top)
                x0 = x + width * NAME + column * cell
                self.paint.draw_bar(pen, x0, y, cell - 2, share)
