"""The attention as a second, smaller picture beside the evidence."""

from __future__ import annotations

from attention_agents.recording.map_view import MapView
from attention_agents.recording.rendering.attended_frame import AttendedFrame
from attention_agents.recording.rendering.drawing import HEADING, Pen
from attention_agents.recording.rendering.unplaced_tokens import TokenBars
from attention_agents.recording.scene.colors import DIM, FAINT, TRACK
from attention_agents.recording.scene.scene_layout import SceneLayout
from attention_agents.recording.step import Step

CAPTION = "attention: where it may take information from"
MAX_HEIGHT, LINE = 240, 20
"""Pixels: of the picture, and of a line of text."""
MAX_BARS = 8
"""Tokens without a place are listed where there are at most so many."""


class AttentionInset:
    """The picture with the attention on it; of tokens without a place, bars.

    Args:
        view: which map.
        layout: where its tokens are shown.
        width: room, in pixels.
    """

    def __init__(self, view: MapView, layout: SceneLayout, width: int):
        self.view, self._frame = view, None
        self._bars = [TokenBars(part) for part in layout.bars]
        if layout.placed and layout.size is not None:
            frame = AttendedFrame(layout, view.query_source_name)
            self._frame, self._bars = frame.fit_into(width, MAX_HEIGHT), []
        pictures = [] if self._frame is None else [self._frame]
        self.height = HEADING + LINE + sum(part.height for part in (*pictures, *self._bars))

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step) -> None:
        """Draw the caption, the picture or the bars, and which map it is."""
        weights = self.view.token_weights(step)
        pen.draw_text(x, y + 8, CAPTION, 12, DIM, width=width)
        pen.draw_box(x, y + 19, x + width, y + 20, TRACK)
        y += HEADING
        if self._frame is not None:
            pen.image.paste(self._frame.render(step, weights), (x, y))
            y += self._frame.height
        for bars in self._bars:
            bars.draw(pen, x, y, width, step, weights)
            y += bars.height
        module, rows = self.view.description
        pen.draw_text(x, y + LINE // 2, f"{module}, {rows}", 11, FAINT, width=width)


def inset_of(view: MapView, layout: SceneLayout, width: int) -> AttentionInset | None:
    """Return the picture of a map beside the evidence; None where it has nothing to show there."""
    few = sum(len(part.group) for part in layout.bars) <= MAX_BARS
    if not view.drawable or not (layout.placed or (layout.bars and few)):
        return None
    return AttentionInset(view, layout, width)
