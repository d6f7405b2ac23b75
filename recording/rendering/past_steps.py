"""Past frames that were observed, each with the attention on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from attention_agents.recording.observation_images import GroupSlice, enlarge_image
from attention_agents.recording.rendering.drawing import HEADING, Pen
from attention_agents.recording.rendering.paint import WEIGHTS, Paint, PaintedHeat
from attention_agents.recording.scene.colors import BACKGROUND, DIM, FAINT, PANEL
from attention_agents.recording.step import Step

GAP, FOOT = 6, 22
"""Pixels between frames, and under them for their labels."""
MIN_WIDTH, MAX_HEIGHT = 58, 120
"""Pixels of a frame: room for its label, and no more than a glance needs."""


class PastFrames:
    """The tokens of past frames as these frames side by side, oldest first, with one scale of heat.

    Where there is no room for all, the newest are shown.

    Args:
        parts: the tokens of each past frame, oldest first.
        width: room, in pixels.
    """

    def __init__(self, parts: Sequence[GroupSlice], width: int, paint: Paint = WEIGHTS):
        self.parts, self.paint = tuple(parts), paint
        self.shown = self.parts[-max(1, (width + GAP) // (MIN_WIDTH + GAP)) :]
        """Frames that have room, oldest first."""
        rows, cols = self.parts[0].group.picture or (1, 1)
        slot = min((width + GAP) / len(self.shown), 2 * MAX_HEIGHT)
        self.factor = min((slot - GAP) / cols, MAX_HEIGHT / rows)
        self.thumb = (max(1, int(rows * self.factor)), max(1, int(cols * self.factor)))
        """(height, width) of a frame as shown."""
        self.slot = max(self.thumb[1], MIN_WIDTH) + GAP
        """From the left of one frame to the left of the next."""
        self.height = HEADING + self.thumb[0] + FOOT

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        """Draw the frames with their labels: steps back in time, and the weight on the frame."""
        strip, heat = self._render_heat(step, weights)
        past = np.concatenate([weights[part.token_slice] for part in self.parts])
        sums = {
            part.offset: self.paint.format(float(weights[part.token_slice].sum()), 2)
            for part in self.parts
        }
        key = self.parts[0].group.key
        title = f"past frames of {key}" if key else "past frames"
        note = f"{self.paint.describe_sum(past)}, {heat.note}"
        pen.draw_heading(x, y, width, title, note)
        pen.image.paste(heat.draw(strip), (x, y + HEADING))
        y += HEADING + self.thumb[0] + FOOT // 2
        for slot, part in enumerate(self.shown):
            present = bool(step.present[part.token_slice].any())
            label = f"{part.offset}:  {sums[part.offset]}" if present else f"{part.offset}"
            middle = x + slot * self.slot + self.thumb[1] / 2
            pen.draw_text(middle, y, label, 12, DIM if present else FAINT, anchor="mm")
        older = self.parts[: -len(self.shown)]
        if older:
            rest = sum(float(weights[part.token_slice].sum()) for part in older)
            text = f"+ {len(older)} older: {self.paint.format(rest, 2)}"
            pen.draw_text(x + width, y, text, 12, DIM, anchor="rm")

    def _render_heat(self, step: Step, weights: np.ndarray) -> tuple[Image.Image, PaintedHeat]:
        """Return the frames on one picture, and the heat on it."""
        size = (self.slot * len(self.shown) - GAP, self.thumb[0])
        strip = Image.new("RGB", size, BACKGROUND)
        boxes = np.full((step.num_tokens, 4), np.nan, np.float32)
        for slot, part in enumerate(self.shown):
            x0, frame_boxes = slot * self.slot, part.picture_boxes(step)[part.token_slice]
            boxes[part.token_slice] = frame_boxes * np.float32(self.factor) + np.array(
                (x0, 0, x0, 0)
            )
            picture = part.observation_image(step)
            if picture is None or np.isnan(frame_boxes).all():
                strip.paste(PANEL, (x0, 0, x0 + self.thumb[1], self.thumb[0]))
                continue
            strip.paste(enlarge_image(picture, self.factor), (x0, 0))
        every = slice(None)
        return strip, self.paint.heat(weights, boxes, step, every, (strip.height, strip.width))
