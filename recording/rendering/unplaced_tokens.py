"""Tokens without a place on the frame: named bars, the observation's own grid, a strip of time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from attention_agents.recording.observation_images import Part, enlarge
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.colors import HEADING, Pen, heading, number
from attention_agents.recording.rendering.heat import draw_heat, even_weight, heat_of
from attention_agents.recording.step import Step

MOST_ROWS = 24
"""More bars than this are cut to the largest ones."""
MOST_THUMBS = 16
"""A longer strip has no room for frames and shows the bars alone."""
LEAST_BAR = 5
"""A bar of a strip is at least so many pixels wide, its gap included."""


class TokenBars:
    """The tokens of one group as named bars: name, what was observed, weight."""

    ROW = 22

    def __init__(self, part: Part):
        self.part = part
        N = len(part.group)
        self.height = HEADING + self.ROW * (min(N, MOST_ROWS) + (N > MOST_ROWS))

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        """Draw the bars; full length is the largest weight of any token of the step."""
        own = weights[self.part.where]
        top = max(float(weights.max(initial=0.0)), 1e-9)
        heading(pen, x, y, width, self.part.title, f"weight, sum {own.sum():.2f}")
        rows = np.arange(len(own))
        if len(own) > MOST_ROWS:
            rows = np.argsort(-own, kind="stable")[:MOST_ROWS]
        y += HEADING + self.ROW // 2
        for i in rows:
            self._row(pen, x, y, width, int(i), step, float(own[i]), float(own[i]) / top)
            y += self.ROW
        if len(own) > MOST_ROWS:
            rest = float(own.sum() - own[rows].sum())
            pen.text(x, y, others(len(own) - MOST_ROWS, rest), 13, colors.DIM)

    def _row(
        self, pen: Pen, x: int, y: int, width: int, i: int, step: Step, weight: float, share: float
    ) -> None:
        absent = not step.present[self.part.where][i]
        colour = colors.FAINT if absent else colors.TEXT
        pen.text(x, y, self.part.names_at(step)[i], 13, colour, width=width * 0.38)
        if absent:
            pen.text(x + width, y, "absent", 12, colors.FAINT, anchor="rm")
            return
        pen.text(x + width * 0.58, y, self._observed(i, step), 12, colors.DIM, anchor="rm")
        pen.bar(x + width * 0.62, y, width * 0.22, share, colors.bar_colour(share))
        pen.text(x + width, y, f"{weight:.3f}", 12, colour, anchor="rm")

    def _observed(self, i: int, step: Step) -> str:
        values = np.ravel(step.observation[self.part.group.key])
        return number(float(values[i])) if len(values) == len(self.part.group) else ""


class TokenGrid:
    """The observed picture of a token group that has no place on the frame, drawn small.

    Args:
        part: the tokens.
        shape: (rows, cols) of the picture.
        width: room, in pixels.
    """

    def __init__(self, part: Part, shape: tuple[int, int], width: int):
        self.part = part
        factor = width / max(shape)
        self.factor = int(factor) if factor >= 1 else factor
        self.height = HEADING + round(shape[0] * self.factor)

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        own = weights[self.part.where]
        heading(pen, x, y, width, self.part.title, f"weight, sum {own.sum():.2f}")
        picture = self.part.observed(step)
        if picture is None:
            return
        image = enlarge(picture, self.factor)
        boxes = self.part.own_boxes(step)[self.part.where] * np.float32(self.factor)
        even = even_weight(weights, step.present)
        heat = heat_of(own, boxes, even, (image.height, image.width))
        pen.image.paste(draw_heat(image, heat), (x, y + HEADING))


class TimeStrip:
    """The tokens of a history as the frames of their steps, with a bar each.

    A long history is shown as bars alone, and a longer one than has room by its newest steps.

    Args:
        part: the tokens.
        frame: (height, width) of a frame.
        width: room, in pixels.
    """

    THUMB, BAR, FOOT = 64, 34, 38

    def __init__(self, part: Part, frame: tuple[int, int], width: int):
        self.part = part
        offsets = part.group.offsets or tuple(range(1 - len(part.group), 1))
        self.shown = np.argsort(offsets, kind="stable")[-(width // LEAST_BAR) :].tolist()
        """Tokens that have room, oldest first."""
        self.offsets = [offsets[i] for i in self.shown]
        self.step = width / len(self.shown)
        self.framed = len(offsets) <= MOST_THUMBS
        self.reach = -min(offsets) if self.framed else 0
        """How many past frames it shows."""
        self.thumb = round(self.step) - 1
        if self.framed:
            self.thumb = min(round(self.step) - 4, round(self.THUMB * frame[1] / frame[0]))
        self.height = self.BAR + self.FOOT + (self.THUMB + 6 if self.framed else 0)
        room = colors.font(12).getlength(str(min(offsets))) + 4
        self.every = next(n for n in (1, 2, 4, 5, 10, 20, 50, 100) if n * self.step >= room)
        """Each so many-th step is labelled."""

    def draw(
        self, pen: Pen, x: int, y: int, step: Step, weights: np.ndarray, past: Sequence[np.ndarray]
    ) -> None:
        """Draw the past steps, oldest first; absent ones stay empty."""
        top = max(float(weights.max(initial=0.0)), 1e-9)
        own, present = weights[self.part.where], step.present[self.part.where]
        foot = y + self.height - self.FOOT
        for place, (i, offset) in enumerate(zip(self.shown, self.offsets, strict=True)):
            left = round(x + place * self.step)
            if self.framed:
                frame = step.frame if offset == 0 else _back(past, offset)
                self._thumb(pen, left, y, frame if present[i] else None)
            self._bar(pen, left, foot - self.BAR, float(own[i]) / top if present[i] else 0.0)
            if offset % self.every == 0:
                ink = colors.DIM if present[i] else colors.FAINT
                label = "now" if offset == 0 else str(offset)
                pen.text(left + self.thumb / 2, foot + 12, label, 12, ink, anchor="mm")
        hidden = len(own) - len(self.shown)
        if hidden:
            rest = float(own.sum() - own[self.shown].sum())
            words = f"the newest {len(self.shown)} of {len(own)} steps; the others weigh {rest:.3f}"
            pen.text(x, foot + 29, words, 12, colors.DIM)

    def _thumb(self, pen: Pen, left: int, y: int, frame: np.ndarray | None) -> None:
        pen.box(left, y, left + self.thumb, y + self.THUMB, colors.PANEL)
        if frame is not None:
            image = Image.fromarray(frame)
            image.thumbnail((self.thumb, self.THUMB), Image.Resampling.BILINEAR)
            pen.image.paste(image, (left, y + (self.THUMB - image.height) // 2))

    def _bar(self, pen: Pen, left: int, y: int, share: float) -> None:
        right, foot = left + self.thumb, y + self.BAR
        pen.box(left, y, right, foot, colors.PANEL)
        pen.box(left, foot - self.BAR * share, right, foot, colors.bar_colour(share))


def others(count: int, weight: float) -> str:
    """Return the words for tokens that there is no room for."""
    return f"1 other, {weight:.3f}" if count == 1 else f"{count} others, together {weight:.3f}"


def _back(past: Sequence[np.ndarray], offset: int) -> np.ndarray | None:
    """Return the frame of `offset` (below 0) steps back; None where nobody kept it."""
    return past[offset] if len(past) >= -offset else None
