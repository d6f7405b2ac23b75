"""One step of a recording as one picture: what was seen, what was attended to, what was done.

    +--------------------------------------------------+
    | environment, algorithm                      step |
    | picture with attention  | tokens   | action      |
    |                         | that     | value ...   |
    | legend                  | have no  |             |
    | past frames             | place    | attention   |
    +--------------------------------------------------+

What is drawn comes from the stored weights alone; the display transform is the one that
`recording.rendering.heat` states, and its scale stands in the legend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from attention_agents.recording.header import Header
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.observation_images import Part, parts_of
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.attended_frame import Stage
from attention_agents.recording.rendering.colors import HEADING, Pen, heading
from attention_agents.recording.rendering.past_steps import past_frames
from attention_agents.recording.rendering.past_table import PastTable, past_entities
from attention_agents.recording.rendering.side_panel import ActionBars, AttentionWords, Numbers
from attention_agents.recording.rendering.unplaced_tokens import TimeStrip, TokenBars, TokenGrid
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

    Raises:
        ValueError: there is no such layer or head in this recording.
    """

    def __init__(
        self, header: Header, first: Step, layer: int | None = None, head: int | None = None
    ):
        self.header, self.view = header, choose_view(header.maps, layer, head)
        parts = parts_of(header.layout)
        self.stage = Stage.plan(parts, first, self.view.query_source)
        """The picture with its attention alone; None where there is no picture."""
        self._beside: list[TokenBars | TokenGrid | PastTable] = []
        self._strip: TimeStrip | None = None
        self._past = past_frames(parts, first, self.stage.width) if self.stage else []
        tables = [PastTable(each, SIDE) for each in past_entities(parts)]
        shown = [part for each in (*self._past, *tables) for part in each.parts]
        shown += self.stage.parts if self.stage is not None else []
        for part in parts:
            if part in shown:
                continue
            picture = part.observed(first)
            if picture is not None:
                self._beside.append(TokenGrid(part, picture.shape[:2], SIDE))
            elif part.group.kind == "history" and first.frame is not None and self.stage:
                self._strip = TimeStrip(part, first.frame.shape[:2], self.stage.width)
            else:
                self._beside.append(TokenBars(part))
        self._beside += tables
        self._action, self._numbers = ActionBars(header), Numbers(header)
        self._words = AttentionWords(self.view)
        self._measure()

    def draw(
        self, step: Step, t: int = 0, past: Sequence[np.ndarray] = (), reward_so_far: float = 0.0
    ) -> Image.Image:
        """Draw one step.

        Args:
            t: number of the step in its episode.
            past: frames of the steps before, oldest first, for the strip of a history.
            reward_so_far: sum of the rewards up to this step, its own included.
        """
        image = Image.new("RGB", self.size, colors.BACKGROUND)
        pen, weights = Pen(image), self.view.weights(step)
        self._draw_title(pen, step, t)
        if self.stage is not None:
            self.stage.draw(pen, MARGIN, TITLE, step, weights)
            top = TITLE + self.stage.height + self.stage.legend
            if self._strip is not None:
                self._strip.draw(pen, MARGIN, top, step, weights, past)
                top += self._strip.height
            for frames in self._past:
                frames.draw(pen, MARGIN, top, self.stage.width, step, weights)
                top += frames.height
        x, y = self._tokens_at, TITLE
        for part in self._beside:
            part.draw(pen, x, y, SIDE, step, weights)
            y += part.height + SPACE
        x, y = self._action_at
        self._action.draw(pen, x, y, SIDE, step)
        y += self._action.height + SPACE
        self._numbers.draw(pen, x, y, SIDE, step, reward_so_far)
        self._words.draw(pen, x, y + self._numbers.height, SIDE, step, weights)
        return image

    def ending(self, frame: np.ndarray, last: Step, t: int, reward_so_far: float) -> Image.Image:
        """Draw what the last step led to: the frame after it, with nothing attended to."""
        image = Image.new("RGB", self.size, colors.BACKGROUND)
        pen = Pen(image)
        self._draw_title(pen, last, t)
        if self.stage is not None:
            image.paste(self.stage.bare(frame), (MARGIN, TITLE))
        x, y = self._action_at
        heading(pen, x, y, SIDE, "after the last step", "")
        self._numbers.draw(pen, x, y + HEADING, SIDE, replace(last, value=None), reward_so_far)
        return image

    @property
    def parts_beside(self) -> list[Part]:
        """The tokens that are drawn beside the picture, grids left out."""
        bars = [each.part for each in self._beside if isinstance(each, TokenBars)]
        tables = [each for each in self._beside if isinstance(each, PastTable)]
        bars += [part for table in tables for part in table.parts]
        return bars if self._strip is None else [*bars, self._strip.part]

    @property
    def strip_length(self) -> int:
        """How many past frames a picture needs."""
        return self._strip.reach if self._strip is not None else 0

    def _measure(self) -> None:
        """Place the columns: the tokens stand over the action when both fit beside the picture."""
        tokens = sum(part.height + SPACE for part in self._beside)
        right = self._action.height + SPACE + self._numbers.height + self._words.height
        left, x = 0, MARGIN
        if self.stage is not None:
            left = self.stage.height + self.stage.legend
            left += self._strip.height if self._strip is not None else 0
            left += sum(frames.height for frames in self._past)
            x += self.stage.width + GAP
        self._tokens_at, self._action_at = x, (x, TITLE + tokens)
        stacked = tokens + right <= max(left, STACKED)
        if tokens and not stacked:
            x += SIDE + GAP
            self._action_at = (x, TITLE)
        width = x + SIDE + MARGIN
        tallest = max(left, tokens + right) if stacked else max(left, tokens, right)
        height = TITLE + tallest + MARGIN // 2
        self.size = (width + width % 2, height + height % 2)  # H.264 wants even sizes

    def _draw_title(self, pen: Pen, step: Step, t: int) -> None:
        ended = "terminated" if step.terminated else "truncated" if step.truncated else ""
        right, edge = f"step {t}" + (f", {ended}" if ended else ""), self.size[0] - MARGIN
        room = edge - MARGIN - pen.text(edge, 27, right, 16, anchor="rm") - 2 * GAP
        used = pen.text(MARGIN, 27, self.header.env_id, 20, width=room * 0.7)
        pen.text(MARGIN + used + 12, 29, self.header.algo.upper(), 14, colors.DIM, room - used)


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
