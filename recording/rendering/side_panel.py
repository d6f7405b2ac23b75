"""The right side of a picture: the action, the numbers, and which map is shown.

Every part is drawn at a size that depends on the header alone, so that all steps of an episode
give pictures of one size.
"""

from __future__ import annotations

import numpy as np

from attention_agents.recording.evidence_view import EvidenceView
from attention_agents.recording.header import Header
from attention_agents.recording.map_view import MapView
from attention_agents.recording.rendering.drawing import HEADING, Pen, wrap_text
from attention_agents.recording.scene import actions, colors, display
from attention_agents.recording.scene.evidence_words import EvidenceWords
from attention_agents.recording.step import Step


class ActionBars:
    """The action taken, and how the policy saw all actions."""

    def __init__(self, header: Header):
        self.header = header
        self.names = actions.action_names(header)
        self.continuous = header.action_kind == "continuous"
        self.row = 24 if len(self.names) <= 9 else 19
        self.title = 0 if self.continuous else 32
        self.height = HEADING + self.title + self.row * min(len(self.names), display.MAX_ROWS)

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step) -> None:
        """Draw the action taken, and a row for each action."""
        note = display.DISTRIBUTION_LABELS[self.header.distribution]
        if len(self.names) > display.MAX_ROWS:
            note += f", {display.MAX_ROWS} of {len(self.names)}"
        pen.draw_heading(x, y, width, "action", note)
        if self.title:
            text = actions.action_text(self.header, step.action)
            pen.draw_text(x, y + HEADING + 12, text, 20, colors.CHOSEN, width=width)
        y += HEADING + self.title + self.row // 2
        chosen = actions.chosen_choices(self.header, step.action)
        for i in actions.shown_choices(self.header, step.action, step.distribution):
            if self.continuous:
                self._draw_dimension(pen, x, y, width, i, step)
            else:
                self._draw_choice(pen, x, y, width, i, step, i in chosen)
            y += self.row

    def _draw_choice(
        self, pen: Pen, x: int, y: int, width: int, i: int, step: Step, chosen: bool
    ) -> None:
        ink = colors.TEXT if chosen else colors.DIM
        pen.draw_text(x, y, self.names[i], 13, ink, width * 0.36)
        if step.distribution is None:
            pen.draw_bar(x + width * 0.4, y, width * 0.4, 0.0, colors.BAR)
            return
        value = share = float(step.distribution[i])
        if self.header.distribution == "q_values":
            low, high = float(step.distribution.min()), float(step.distribution.max())
            scaled = (1 - display.MIN_Q_SHARE) * (value - low) / (high - low) if high > low else 1.0
            share = display.MIN_Q_SHARE + scaled
        pen.draw_bar(
            x + width * 0.4, y, width * 0.4, share, colors.CHOSEN if chosen else colors.BAR
        )
        text = actions.format_choice(self.header, value)
        pen.draw_text(x + width, y, text, 12, ink, anchor="rm")

    def _draw_dimension(self, pen: Pen, x: int, y: int, width: int, i: int, step: Step) -> None:
        """Draw a dimension of a continuous action: mean and deviation as a band, taken as a dot."""
        action = float(np.ravel(step.action)[i])
        pen.draw_text(x, y, self.names[i], 13, colors.TEXT, width * 0.3)
        pen.draw_text(x + width, y, display.format_number(action), 12, colors.TEXT, anchor="rm")
        x0, track = x + width * 0.34, width * 0.46
        pen.draw_box(x0, y - 4, x0 + track, y + 4, colors.TRACK, radius=2)
        band = None if step.distribution is None else step.distribution[:, i]
        low, high = self._range(i, action, band)

        def position(value: float) -> float:
            return x0 + track * min(max((value - low) / (high - low), 0.0), 1.0)

        pen.draw_box(position(0.0), y - 7, position(0.0) + 1, y + 7, colors.FAINT)
        if band is not None and np.isfinite(band).all():
            mean, below, above = map(position, band.tolist())
            pen.draw_box(below, y - 4, max(above, below + 2), y + 4, colors.BAR, radius=2)
            pen.draw_box(mean - 1, y - 6, mean + 1, y + 6, colors.TEXT)
        pen.draw_box(
            position(action) - 4, y - 4, position(action) + 4, y + 4, colors.CHOSEN, radius=4
        )

    def _range(self, i: int, action: float, band: np.ndarray | None) -> tuple[float, float]:
        bounds = self.header.action_bounds
        if bounds is not None:
            return bounds[i]
        values = [action] if band is None else [action, *band.tolist()]
        limit = max([1.0, *(abs(value) for value in values if np.isfinite(value))])
        return -limit, limit


class StepNumbers:
    """Value, reward and the return so far."""

    height = 62

    def __init__(self, header: Header):
        self.value_name = f"{header.value_unit} value".strip()

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, reward_so_far: float) -> None:
        """Draw the three numbers side by side."""
        value = None if step.value is None else display.format_number(step.value)
        reward, total = display.format_number(step.reward), display.format_number(reward_so_far)
        columns = [
            (0.0, self.value_name, value or "none", colors.TEXT if value else colors.FAINT),
            (0.38, "reward", reward, colors.reward_color(step.reward, colors.TEXT)),
            (0.69, "return so far", total, colors.TEXT),
        ]
        for share, name, text, color in columns:
            x0, size = x + share * width, 20 if len(text) < 8 else 14
            pen.draw_text(x0, y + 10, name, 12, colors.DIM, width=0.36 * width)
            pen.draw_text(x0, y + 32, text, size, color, width=0.29 * width)


class ShownText:
    """Which map or evidence is shown, how far it spreads, and what of it is not drawn.

    Args:
        view: which map.
        room: width that lines are broken to, in pixels; `draw` needs no less.
    """

    ROW = 21

    def __init__(self, view: MapView | EvidenceView, room: int = 300):
        self.view = view
        first, second = view.description
        self.is_evidence = isinstance(view, EvidenceView)
        lines = 5 if self.is_evidence else 2
        self.title, self.query = wrap_text(first, room, 14), wrap_text(second, room, 13, lines)
        lines = len(self.title) + len(self.query) + view.num_details + 1 + self.is_evidence
        self.height = HEADING + 3 + self.ROW * lines

    def draw(
        self,
        pen: Pen,
        x: int,
        y: int,
        width: int,
        step: Step,
        weights: np.ndarray,
        words: EvidenceWords | None = None,
    ) -> None:
        """Draw the lines.

        Args:
            words: what the two hues of evidence mean; None for attention.
        """
        pen.draw_heading(x, y, width, "evidence" if self.is_evidence else "attention", "")
        y += HEADING + 10
        if not step.attended:
            pen.draw_text(x, y, "this action is not the policy's", 14, colors.BAD)
            return
        notes = (
            *self.query,
            *self.view.describe_details(step),
            self.view.describe_spread(step, weights),
        )
        lines = [(line, 14, colors.TEXT) for line in self.title] + [
            (line, 13, colors.DIM) for line in notes
        ]
        for row, (line, size, color) in enumerate(lines):
            pen.draw_text(x, y + row * self.ROW, line, size, color, width=width)
        if words is not None:
            y, half = y + len(lines) * self.ROW, width / 2 - 8
            used = pen.draw_text(x, y, words.above, 13, colors.FOR, width=half)
            pen.draw_text(x + used + 16, y, words.below, 13, colors.AGAINST, width=half)
