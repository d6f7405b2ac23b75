"""One step of a recording as one picture: what was seen, what was attended to, what was done.

    +--------------------------------------------------+
    | environment, algorithm                      step |
    | picture with attention  | tokens   | action      |
    |                         | that     | value ...   |
    | legend                  | have no  |             |
    | past frames             | place    | attention   |
    +--------------------------------------------------+

What is drawn comes from the stored weights alone; the display transform is the one that
`recording.stage` states, and its scale stands in the legend.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from recording import palette
from recording.beside import TimeStrip, TokenBars, TokenGrid
from recording.format import Header, Step
from recording.observed import parts_of
from recording.palette import Pen
from recording.panel import ActionBars, AttentionWords, Numbers
from recording.stage import LEGEND, Stage
from recording.view import choose_view

MARGIN, GAP, TITLE = 22, 24, 56
SIDE = 300
"""Width of the columns beside the picture, in pixels."""


class Scene:
    """Draws the steps of an episode, all at one size.

    Args:
        header: of the recording.
        first: a step of the episode: it shows which tokens stand on the frame, and how large that is.
        layer, head: which map to show, see `choose_view`.

    Raises:
        ValueError: there is no such layer or head in this recording.
    """

    def __init__(
        self, header: Header, first: Step, layer: int | None = None, head: int | None = None
    ):
        self.header, self.view = header, choose_view(header, layer, head)
        parts = parts_of(header.layout)
        self._stage = Stage.plan(parts, first)
        self._beside: list[TokenBars | TokenGrid] = []
        self._strip: TimeStrip | None = None
        for part in parts:
            if self._stage is not None and part in self._stage.parts:
                continue
            picture = part.observed(first)
            if picture is not None:
                self._beside.append(TokenGrid(part, picture.shape[:2], SIDE))
            elif part.group.kind == "history" and first.frame is not None and self._stage:
                self._strip = TimeStrip(part, first.frame.shape[:2], self._stage.width)
            else:
                self._beside.append(TokenBars(part))
        self._action, self._numbers = ActionBars(header), Numbers()
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
        image = Image.new("RGB", self.size, palette.BACKGROUND)
        pen, weights = Pen(image), self.view.weights(step)
        self._draw_title(pen, step, t)
        x = MARGIN
        if self._stage is not None:
            self._stage.draw(pen, x, TITLE, step, weights)
            if self._strip is not None:
                top = TITLE + self._stage.height + LEGEND
                self._strip.draw(pen, x, top, step, weights, past)
            x += self._stage.width + GAP
        if self._middle_height:
            y = TITLE
            for part in self._beside:
                part.draw(pen, x, y, SIDE, step, weights)
                y += part.height + GAP // 2
            x += SIDE + GAP
        y = TITLE
        self._action.draw(pen, x, y, SIDE, step)
        y += self._action.height + GAP // 2
        self._numbers.draw(pen, x, y, SIDE, step, reward_so_far)
        self._words.draw(pen, x, y + self._numbers.height, SIDE, step, weights)
        return image

    def picture(self, step: Step) -> Image.Image:
        """Draw the picture of a step with its attention, and nothing beside it."""
        weights = self.view.weights(step)
        if self._stage is not None:
            return self._stage.picture(step, weights)
        image = Image.new("RGB", (SIDE + 2 * GAP, self._middle_height + GAP), palette.PANEL)
        y = GAP // 2
        for part in self._beside:
            part.draw(Pen(image), GAP, y, SIDE, step, weights)
            y += part.height + GAP // 2
        return image

    @property
    def strip_length(self) -> int:
        """How many past frames a picture needs."""
        return self._strip.reach if self._strip is not None else 0

    def _measure(self) -> None:
        beside = [part.height + GAP // 2 for part in self._beside]
        self._middle_height = sum(beside)
        right = self._action.height + GAP // 2 + self._numbers.height + self._words.height
        left, width = 0, MARGIN
        if self._stage is not None:
            left = self._stage.height + LEGEND + (self._strip.height if self._strip else 0)
            width += self._stage.width + GAP
        if self._middle_height:
            width += SIDE + GAP
        width += SIDE + MARGIN
        height = TITLE + max(left, self._middle_height, right) + MARGIN // 2
        self.size = (width + width % 2, height + height % 2)  # H.264 wants even sizes

    def _draw_title(self, pen: Pen, step: Step, t: int) -> None:
        ended = "terminated" if step.terminated else "truncated" if step.truncated else ""
        right = f"step {t}" + (f", {ended}" if ended else "")
        room = self.size[0] - 2 * MARGIN - pen.text(
            self.size[0] - MARGIN, 27, right, 16, palette.TEXT, anchor="rm"
        )
        used = pen.text(MARGIN, 27, self.header.env_id, 20, width=room * 0.7)
        rest = room - used - 2 * GAP
        pen.text(MARGIN + used + 12, 29, self.header.algo.upper(), 14, palette.DIM, width=rest)


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
