"""Tokens without a place on the frame: named bars, the observation's own grid, a strip of time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from attention_agents.recording.observation_images import GroupSlice, enlarge_image
from attention_agents.recording.rendering.drawing import HEADING, Pen, text_width
from attention_agents.recording.rendering.paint import WEIGHTS, Paint
from attention_agents.recording.scene import display
from attention_agents.recording.scene.colors import DIM, FAINT, PANEL, TEXT
from attention_agents.recording.step import Step

MIN_STRIP_BAR = 5
"""A bar of a strip is at least so many pixels wide, its gap included."""


class TokenBars:
    """The tokens of one group as named bars: name, what was observed, weight."""

    ROW = 22

    def __init__(self, part: GroupSlice, paint: Paint = WEIGHTS):
        self.part, self.paint = part, paint
        N = len(part.group)
        self.height = HEADING + self.ROW * (min(N, display.MAX_ROWS) + (N > display.MAX_ROWS))

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        """Draw the bars; full length is the largest weight of any token of the step."""
        part_weights = weights[self.part.token_slice]
        top = self.paint.top(weights)
        note = self.paint.describe_sum(part_weights)
        pen.draw_heading(x, y, width, self.part.title, note)
        rows, hidden = np.arange(len(part_weights)), max(len(part_weights) - display.MAX_ROWS, 0)
        if hidden:
            rows = np.argsort(-np.abs(part_weights), kind="stable")[: display.MAX_ROWS]
        y += HEADING + self.ROW // 2
        for i in rows.tolist():
            self._draw_row(pen, x, y, width, i, step, float(part_weights[i]), top)
            y += self.ROW
        if hidden:
            rest = float(part_weights.sum() - part_weights[rows].sum())
            pen.draw_text(x, y, display.format_rest(hidden, self.paint.format(rest)), 13, DIM)

    def _draw_row(
        self, pen: Pen, x: int, y: int, width: int, i: int, step: Step, weight: float, top: float
    ) -> None:
        present = step.present[self.part.token_slice][i]
        color = TEXT if present else FAINT
        pen.draw_text(x, y, self.part.names_at(step)[i], 13, color, width=width * 0.38)
        if not present:
            pen.draw_text(x + width, y, "absent", 12, FAINT, anchor="rm")
            return
        pen.draw_text(x + width * 0.58, y, self._observed_text(i, step), 12, DIM, anchor="rm")
        self.paint.draw_bar(pen, x + width * 0.62, y, width * 0.22, self.paint.share(weight, top))
        pen.draw_text(x + width, y, self.paint.format(weight), 12, color, anchor="rm")

    def _observed_text(self, i: int, step: Step) -> str:
        values = np.ravel(step.observation[self.part.group.key])
        return (
            display.format_number(float(values[i])) if len(values) == len(self.part.group) else ""
        )


class TokenGrid:
    """The observed picture of a token group that has no place on the frame, drawn small.

    Args:
        part: the tokens.
        width: room, in pixels.
    """

    def __init__(self, part: GroupSlice, width: int, paint: Paint = WEIGHTS):
        self.part, self.paint = part, paint
        rows, cols = part.group.picture or (1, 1)
        factor = width / max(rows, cols)
        self.factor = int(factor) if factor >= 1 else factor
        self.height = HEADING + round(rows * self.factor)

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        """Draw the observed picture with the heat on it."""
        part_weights = weights[self.part.token_slice]
        note = self.paint.describe_sum(part_weights)
        pen.draw_heading(x, y, width, self.part.title, note)
        picture = self.part.observation_image(step)
        if picture is None:
            return
        image = enlarge_image(picture, self.factor)
        boxes, size = self.part.picture_boxes(step), (image.height, image.width)
        boxes = boxes * np.float32(self.factor)
        heat = self.paint.heat(weights, boxes, step, self.part.token_slice, size)
        pen.image.paste(heat.draw(image), (x, y + HEADING))


class TimeStrip:
    """The tokens of a history as the frames of their steps, with a bar each.

    A long history is shown as bars alone, and a longer one than has room by its newest steps.

    Args:
        part: the tokens.
        frame: (height, width) of a frame.
        width: room, in pixels.
    """

    THUMB, BAR, FOOT = 64, 34, 38

    def __init__(
        self, part: GroupSlice, frame: tuple[int, int], width: int, paint: Paint = WEIGHTS
    ):
        self.part, self.paint = part, paint
        offsets = part.group.offsets or tuple(range(1 - len(part.group), 1))
        self.shown = np.argsort(offsets, kind="stable")[-(width // MIN_STRIP_BAR) :].tolist()
        """Tokens that have room, oldest first."""
        self.offsets = [offsets[i] for i in self.shown]
        self.step = width / len(self.shown)
        self.framed = len(offsets) <= display.MAX_FRAMED_STEPS
        self.frame_count = -min(offsets) if self.framed else 0
        """How many past frames it shows."""
        self.thumb = round(self.step) - 1
        if self.framed:
            self.thumb = min(round(self.step) - 4, round(self.THUMB * frame[1] / frame[0]))
        self.height = self.BAR + self.FOOT + (self.THUMB + 6 if self.framed else 0)
        self.interval = display.label_interval(self.step, text_width(str(min(offsets)), 12) + 4)
        """Labels stand so many steps apart."""

    def draw(
        self, pen: Pen, x: int, y: int, step: Step, weights: np.ndarray, past: Sequence[np.ndarray]
    ) -> None:
        """Draw the past steps, oldest first; absent ones stay empty."""
        top = self.paint.top(weights)
        part_weights, present = weights[self.part.token_slice], step.present[self.part.token_slice]
        bottom = y + self.height - self.FOOT
        for slot, (i, offset) in enumerate(zip(self.shown, self.offsets, strict=True)):
            x0 = round(x + slot * self.step)
            if self.framed:
                frame = step.frame if offset == 0 else _past_frame(past, offset)
                self._draw_thumb(pen, x0, y, frame if present[i] else None)
            share = self.paint.share(float(part_weights[i]), top) if present[i] else 0.0
            self._draw_bar(pen, x0, bottom - self.BAR, share)
            if offset % self.interval == 0:
                color = DIM if present[i] else FAINT
                label = "now" if offset == 0 else str(offset)
                pen.draw_text(x0 + self.thumb / 2, bottom + 12, label, 12, color, anchor="mm")
        if len(self.shown) < len(part_weights):
            rest = float(part_weights.sum() - part_weights[self.shown].sum())
            newest = f"the newest {len(self.shown)} of {len(part_weights)} steps"
            pen.draw_text(
                x, bottom + 29, f"{newest}; the others: {self.paint.format(rest)}", 12, DIM
            )

    def _draw_thumb(self, pen: Pen, x0: int, y: int, frame: np.ndarray | None) -> None:
        pen.draw_box(x0, y, x0 + self.thumb, y + self.THUMB, PANEL)
        if frame is not None:
            image = Image.fromarray(frame)
            image.thumbnail((self.thumb, self.THUMB), Image.Resampling.BILINEAR)
            pen.image.paste(image, (x0, y + (self.THUMB - image.height) // 2))

    def _draw_bar(self, pen: Pen, x0: int, y: int, share: float) -> None:
        right, bottom = x0 + self.thumb, y + self.BAR
        pen.draw_box(x0, y, right, bottom, PANEL)
        self.paint.draw_column(pen, x0, y, self.thumb, self.BAR, share)


def _past_frame(past: Sequence[np.ndarray], offset: int) -> np.ndarray | None:
    """Return the frame of `offset` (below 0) steps back; None where there is none so old."""
    return past[offset] if len(past) >= -offset else None
