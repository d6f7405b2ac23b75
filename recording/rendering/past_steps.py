"""Past frames that were observed, each with the attention on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from attention_agents.recording.observation_images import GroupSlice, enlarge_image
from attention_agents.recording.rendering.drawing import HEADING, Pen
from attention_agents.recording.rendering.heat import Heat, compute_heat, draw_heat, even_weight
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

    def __init__(self, parts: Sequence[GroupSlice], width: int):
        self.parts = tuple(parts)
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
        sums = {part.offset: float(weights[part.token_slice].sum()) for part in self.parts}
        key = self.parts[0].group.key
        title = f"past frames of {key}" if key else "past frames"
        note = f"weight, sum {sum(sums.values()):.2f}, to {heat.top:.1f} x even"
        pen.draw_heading(x, y, width, title, note)
        pen.image.paste(draw_heat(strip, heat), (x, y + HEADING))
        y += HEADING + self.thumb[0] + FOOT // 2
        for slot, part in enumerate(self.shown):
            present = bool(step.present[part.token_slice].any())
            label = f"{part.offset}:  {sums[part.offset]:.2f}" if present else f"{part.offset}"
            middle = x + slot * self.slot + self.thumb[1] / 2
            pen.draw_text(middle, y, label, 12, DIM if present else FAINT, anchor="mm")
        older = self.parts[: -len(self.shown)]
        if older:
            text = f"+ {len(older)} older: {sum(sums[part.offset] for part in older):.2f}"
            pen.draw_text(x + width, y, text, 12, DIM, anchor="rm")

    def _render_heat(self, step: Step, weights: np.ndarray) -> tuple[Image.Image, Heat]:
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
        even = even_weight(weights, step.present)
        return strip, compute_heat(weights, boxes, even, (strip.height, strip.width))
