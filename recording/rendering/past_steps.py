"""Past frames that were observed, each with the attention on it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from attention_agents.recording.observation_images import Part, enlarge
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.colors import HEADING, Pen, heading
from attention_agents.recording.rendering.heat import Heat, draw_heat, even_weight, heat_of
from attention_agents.recording.step import Step

GAP, FOOT = 6, 22
"""Pixels between frames, and under them for their labels."""
LEAST_WIDTH, MOST_HEIGHT = 58, 120
"""Pixels of a frame: room for its label, and no more than a glance needs."""


class PastFrames:
    """The tokens of past frames as these frames side by side, oldest first, with one scale of heat.

    The present frame is the stage's. Where there is no room for all, the newest are shown.

    Args:
        parts: the tokens of each past frame, oldest first.
        shape: (rows, cols) of a frame.
        width: room, in pixels.
    """

    def __init__(self, parts: list[Part], shape: tuple[int, int], width: int):
        self.parts = parts
        self.shown = parts[-max(1, (width + GAP) // (LEAST_WIDTH + GAP)) :]
        """Frames that have room, oldest first."""
        slot = min((width + GAP) / len(self.shown), 2 * MOST_HEIGHT)
        self.factor = min((slot - GAP) / shape[1], MOST_HEIGHT / shape[0])
        self.thumb = (max(1, int(shape[0] * self.factor)), max(1, int(shape[1] * self.factor)))
        """(height, width) of a frame as shown."""
        self.slot = max(self.thumb[1], LEAST_WIDTH) + GAP
        """From the left of one frame to the left of the next."""
        self.height = HEADING + self.thumb[0] + FOOT

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        """Draw the frames with their labels: steps back in time, and the weight on the frame."""
        strip, heat = self._strip(step, weights)
        total = sum(float(weights[part.where].sum()) for part in self.parts)
        key = self.parts[0].group.key
        title = f"past frames of {key}" if key else "past frames"
        heading(pen, x, y, width, title, f"weight, sum {total:.2f}, to {heat.top:.1f} x even")
        pen.image.paste(draw_heat(strip, heat), (x, y + HEADING))
        foot = y + HEADING + self.thumb[0] + FOOT // 2
        for place, part in enumerate(self.shown):
            own, left = float(weights[part.where].sum()), x + place * self.slot
            present = bool(step.present[part.where].any())
            label = f"{part.offset}:  {own:.2f}" if present else f"{part.offset}"
            ink = colors.DIM if present else colors.FAINT
            pen.text(left + self.thumb[1] / 2, foot, label, 12, ink, anchor="mm")
        hidden = self.parts[: -len(self.shown)]
        if hidden:
            rest = sum(float(weights[part.where].sum()) for part in hidden)
            words = f"+ {len(hidden)} older: {rest:.2f}"
            pen.text(x + width, foot, words, 12, colors.DIM, anchor="rm")

    def _strip(self, step: Step, weights: np.ndarray) -> tuple[Image.Image, Heat]:
        """Return the frames on one picture, and the heat on it."""
        size = (self.slot * len(self.shown) - GAP, self.thumb[0])
        strip = Image.new("RGB", size, colors.BACKGROUND)
        boxes = np.full((step.num_tokens, 4), np.nan, np.float32)
        for place, part in enumerate(self.shown):
            left, own = place * self.slot, part.own_boxes(step)[part.where]
            boxes[part.where] = own * np.float32(self.factor) + np.array((left, 0, left, 0))
            picture = part.observed(step)
            if picture is None or np.isnan(own).all():
                strip.paste(colors.PANEL, (left, 0, left + self.thumb[1], self.thumb[0]))
                continue
            strip.paste(enlarge(picture, self.factor), (left, 0))
        even = even_weight(weights, step.present)
        return strip, heat_of(weights, boxes, even, (strip.height, strip.width))


def past_frames(parts: list[Part], step: Step, width: int) -> list[PastFrames]:
    """Return the past frames among some tokens, those of each part of the observation together.

    Args:
        parts: token groups of a step; those of the present, and those without a picture, are left.
        step: tells the size of the frames.
        width: room, in pixels.
    """
    by_key: dict[str, list[Part]] = {}
    for part in parts:
        if part.group.past and part.observed(step) is not None:
            by_key.setdefault(part.group.key, []).append(part)
    strips = []
    for frames in by_key.values():
        frames.sort(key=lambda part: part.offset)
        picture = frames[0].observed(step)
        assert picture is not None
        rows, cols = picture.shape[:2]
        strips.append(PastFrames(frames, (rows, cols), width))
    return strips
