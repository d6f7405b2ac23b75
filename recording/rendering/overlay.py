"""One step of a recording as one picture: the frame, the evidence or attention on it, the action.

    +--------------------------------------------------+
    | environment, algorithm                      step |
    | picture with evidence   | tokens   | action      |
    | or attention            | that     | value ...   |
    |                         | have no  |             |
    | legend                  | place    | what is     |
    | past frames             | attention| shown       |
    +--------------------------------------------------+

Where evidence was recorded it is the picture: what spoke for the action and what against it. The
attention, where there is some, is a second, smaller one: where the agent may take information from.
What is drawn comes from the stored numbers alone; the display transform is the one that
`recording.rendering.heat` and `signed_heat` state, and its scale stands in the legend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from attention_agents.recording.evidence_view import EvidenceView, Shown, choose_shown
from attention_agents.recording.header import Header
from attention_agents.recording.map_view import MapView, choose_view
from attention_agents.recording.reader import Episode
from attention_agents.recording.rendering.attended_frame import AttendedFrame
from attention_agents.recording.rendering.attention_inset import AttentionInset, inset_of
from attention_agents.recording.rendering.drawing import HEADING, Pen
from attention_agents.recording.rendering.paint import WEIGHTS, EvidencePaint, Paint
from attention_agents.recording.rendering.past_steps import PastFrames
from attention_agents.recording.rendering.past_table import PastTable
from attention_agents.recording.rendering.side_panel import ActionBars, ShownText, StepNumbers
from attention_agents.recording.rendering.unplaced_tokens import TimeStrip, TokenBars, TokenGrid
from attention_agents.recording.scene.colors import BACKGROUND, DIM
from attention_agents.recording.scene.evidence_scale import (
    EvidenceScale,
    episode_scale,
    evidence_scale,
)
from attention_agents.recording.scene.evidence_words import EvidenceWords, evidence_words
from attention_agents.recording.scene.scene_layout import layout_of
from attention_agents.recording.step import Step

MARGIN, GAP, SPACE, TITLE = 22, 24, 14, 56
"""Pixels round the picture, between columns, between the parts of a column, and for the title."""
SIDE = 300
"""Width of the columns beside the picture, in pixels."""
STACKED = 560
"""Tokens and action share a column while both together are no higher than this or the picture."""


class Scene:
    """Draws the steps of an episode, all at one size.

    Args:
        header: of the recording.
        first: a step of the episode; it tells which tokens stand on the frame, and its size.
        layer, head: which map to show, see `choose_view`.
        view: what to show in place of that; None chooses by `choose_shown`.
        scale: of evidence; None takes that of `first`.

    Raises:
        ValueError: there is no such layer or head in this recording.
    """

    def __init__(
        self,
        header: Header,
        first: Step,
        layer: int | None = None,
        head: int | None = None,
        *,
        view: MapView | EvidenceView | None = None,
        scale: EvidenceScale | None = None,
    ):
        self.header = header
        self.view = view = choose_shown(header, layer, head) if view is None else view
        self.layout = layout = layout_of(header, first)
        self.paint: Paint = WEIGHTS
        if isinstance(view, EvidenceView):
            self.paint = EvidencePaint(scale or evidence_scale([first], view, layout))
        paint = self.paint
        self.attended_frame: AttendedFrame | None = None
        """The picture with its attention alone; None where there is no picture."""
        self._strip: TimeStrip | None = None
        self._past: list[PastFrames] = []
        if layout.size is not None:
            self.attended_frame = AttendedFrame(layout, view.query_source_name, paint=paint)
            width = self.attended_frame.width
            self._past = [PastFrames(frames, width, paint) for frames in layout.past_frames]
            if layout.strip is not None:
                self._strip = TimeStrip(layout.strip, layout.size, width, paint)
        self._tokens: list[TokenBars | TokenGrid | PastTable] = [
            TokenGrid(part, SIDE, paint) if part in layout.grids else TokenBars(part, paint)
            for part in layout.parts
            if part in layout.grids or part in layout.bars
        ]
        self._tokens += [PastTable(table, SIDE, paint) for table in layout.past_tables]
        self._inset: AttentionInset | None = None
        """The attention as a second picture, beside evidence."""
        if isinstance(view, EvidenceView) and header.maps:
            self._inset = inset_of(choose_view(header.maps), layout, SIDE)
        self._action, self._numbers = ActionBars(header), StepNumbers(header)
        self._text = ShownText(self.view)
        self._place_columns()

    @classmethod
    def of_episode(
        cls,
        episode: Episode,
        layer: int | None = None,
        head: int | None = None,
        show: Shown = "",
        component: str = "",
    ) -> Scene:
        """Return the scene of an episode, with one scale of evidence for all of its steps.

        Args:
            episode: at least one step.
            layer, head, show, component: what to show, see `choose_shown`.

        Raises:
            ValueError: as by `choose_shown`.
        """
        header, first = episode.header, episode[0]
        view, scale = choose_shown(header, layer, head, show, component, episode), None
        if isinstance(view, EvidenceView):
            scale = episode_scale(episode, view, layout_of(header, first))
        return cls(header, first, view=view, scale=scale)

    def evidence_words(self, step: Step) -> EvidenceWords | None:
        """Return what the signs of the evidence of a step mean; None where attention is shown."""
        if not isinstance(self.view, EvidenceView):
            return None
        return evidence_words(self.header, self.view.component, step.action)

    def draw(
        self, step: Step, t: int = 0, past: Sequence[np.ndarray] = (), reward_so_far: float = 0.0
    ) -> Image.Image:
        """Draw one step.

        Args:
            t: number of the step in its episode.
            past: frames of the steps before, oldest first, for the strip of a history.
            reward_so_far: sum of the rewards up to and with this step.
        """
        pen, weights = self._titled_pen(step, t), self.view.token_weights(step)
        if self.attended_frame is not None:
            words = self.evidence_words(step)
            self.attended_frame.draw(pen, MARGIN, TITLE, step, weights, words)
            y = TITLE + self.attended_frame.height + self.attended_frame.legend
            if self._strip is not None:
                self._strip.draw(pen, MARGIN, y, step, weights, past)
                y += self._strip.height
            for frames in self._past:
                frames.draw(pen, MARGIN, y, self.attended_frame.width, step, weights)
                y += frames.height
        x, y = self._tokens_at, TITLE
        for tokens in self._tokens:
            tokens.draw(pen, x, y, SIDE, step, weights)
            y += tokens.height + SPACE
        if self._inset is not None:
            self._inset.draw(pen, x, y, SIDE, step)
        x, y = self._action_at
        self._action.draw(pen, x, y, SIDE, step)
        y += self._action.height + SPACE
        self._numbers.draw(pen, x, y, SIDE, step, reward_so_far)
        words = self.evidence_words(step)
        self._text.draw(pen, x, y + self._numbers.height, SIDE, step, weights, words)
        return pen.image

    def draw_ending(
        self, frame: np.ndarray, last: Step, t: int, reward_so_far: float
    ) -> Image.Image:
        """Draw what the last step led to: the frame after it, with nothing attended to."""
        pen = self._titled_pen(last, t)
        if self.attended_frame is not None:
            pen.image.paste(self.attended_frame.enlarge(frame), (MARGIN, TITLE))
        x, y = self._action_at
        pen.draw_heading(x, y, SIDE, "after the last step", "")
        self._numbers.draw(pen, x, y + HEADING, SIDE, replace(last, value=None), reward_so_far)
        return pen.image

    @property
    def strip_length(self) -> int:
        """How many past frames a picture needs."""
        return self._strip.frame_count if self._strip is not None else 0

    def _place_columns(self) -> None:
        """Place the columns: the tokens stand over the action when both fit beside the picture."""
        inset = [] if self._inset is None else [self._inset]
        tokens = sum(part.height + SPACE for part in (*self._tokens, *inset))
        right = self._action.height + SPACE + self._numbers.height + self._text.height
        picture, x = 0, MARGIN
        if self.attended_frame is not None:
            picture = self.attended_frame.height + self.attended_frame.legend
            picture += self._strip.height if self._strip is not None else 0
            picture += sum(frames.height for frames in self._past)
            x += self.attended_frame.width + GAP
        self._tokens_at, self._action_at = x, (x, TITLE + tokens)
        stacked = tokens + right <= max(picture, STACKED)
        if tokens and not stacked:
            x += SIDE + GAP
            self._action_at = (x, TITLE)
        width = x + SIDE + MARGIN
        tallest = max(picture, tokens + right) if stacked else max(picture, tokens, right)
        height = TITLE + tallest + MARGIN // 2
        self.size = (width + width % 2, height + height % 2)  # H.264 wants even sizes

    def _titled_pen(self, step: Step, t: int) -> Pen:
        """Return a pen on an empty picture with its title."""
        pen = Pen(Image.new("RGB", self.size, BACKGROUND))
        ended = "terminated" if step.terminated else "truncated" if step.truncated else ""
        right, edge = f"step {t}" + (f", {ended}" if ended else ""), self.size[0] - MARGIN
        room = edge - MARGIN - pen.draw_text(edge, 27, right, 16, anchor="rm") - 2 * GAP
        used = pen.draw_text(MARGIN, 27, self.header.env_id, 20, width=room * 0.7)
        pen.draw_text(MARGIN + used + 12, 29, self.header.algo.upper(), 14, DIM, room - used)
        return pen


def compose(
    step: Step,
    header: Header,
    *,
    layer: int | None = None,
    head: int | None = None,
    t: int = 0,
    past: Sequence[np.ndarray] = (),
    reward_so_far: float = 0.0,
) -> Image.Image:
    """Draw one step by itself; for the steps of an episode in one size, make a `Scene` once.

    Raises:
        ValueError: there is no such layer or head in this recording.
    """
    return Scene(header, step, layer, head).draw(step, t, past, reward_so_far)
