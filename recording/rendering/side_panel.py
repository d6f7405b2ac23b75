"""The right side of a picture: the action, the numbers, and which map is shown.

Every part is drawn at a size that depends on the header alone, so that all steps of an episode
give pictures of one size.
"""

from __future__ import annotations

import numpy as np

from attention_agents.recording.header import Header
from attention_agents.recording.map_view import View
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.colors import HEADING, Pen, font, heading, number, plain
from attention_agents.recording.step import Step

MOST_ROWS = 24
"""More choices than this are cut to the likeliest ones."""


class ActionBars:
    """The action taken, and how the policy saw all actions."""

    WORDS = {
        "probabilities": "probability",
        "q_values": "Q value, from least to most",
        "gaussian": "mean ± std",
    }

    def __init__(self, header: Header):
        self.header = header
        self.names = action_names(header)
        self.row = 24 if len(self.names) <= 9 else 19
        self.title = 0 if header.action_kind == "continuous" else 32
        self.height = HEADING + self.title + self.row * min(len(self.names), MOST_ROWS)

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step) -> None:
        words = self.WORDS[self.header.distribution]
        if len(self.names) > MOST_ROWS:
            words += f", {MOST_ROWS} of {len(self.names)}"
        heading(pen, x, y, width, "action", words)
        if self.title:
            taken = action_text(self.header, step.action)
            pen.text(x, y + HEADING + 12, taken, 20, colors.CHOSEN, width=width)
        y += HEADING + self.title + self.row // 2
        chosen = chosen_choices(self.header, step.action)
        shown = self._shown(step, chosen)
        draw = self._dimension if self.header.action_kind == "continuous" else self._choice
        for i in shown:
            draw(pen, x, y, width, i, step, i in chosen)
            y += self.row

    def _shown(self, step: Step, chosen: set[int]) -> list[int]:
        """Return the rows to draw, in order: all that fit, the chosen and the likeliest first."""
        rows = list(range(len(self.names)))
        said = step.distribution
        if len(rows) > MOST_ROWS and said is not None and said.ndim == 1:
            rows.sort(key=lambda i: (i not in chosen, -float(said[i])))
        return sorted(rows[:MOST_ROWS])

    def _choice(
        self, pen: Pen, x: int, y: int, width: int, i: int, step: Step, chosen: bool
    ) -> None:
        pen.text(x, y, self.names[i], 13, colors.TEXT if chosen else colors.DIM, width * 0.36)
        if step.distribution is None:
            pen.bar(x + width * 0.4, y, width * 0.4, 0.0, colors.BAR)
            return
        value, share = float(step.distribution[i]), float(step.distribution[i])
        if self.header.distribution == "q_values":
            low, high = float(step.distribution.min()), float(step.distribution.max())
            share = 0.04 + 0.96 * (value - low) / (high - low) if high > low else 1.0
        pen.bar(x + width * 0.4, y, width * 0.4, share, colors.CHOSEN if chosen else colors.BAR)
        text = f"{value:.3f}" if self.header.distribution == "probabilities" else number(value)
        pen.text(x + width, y, text, 12, colors.TEXT if chosen else colors.DIM, anchor="rm")

    def _dimension(
        self, pen: Pen, x: int, y: int, width: int, i: int, step: Step, chosen: bool
    ) -> None:
        """Draw a dimension of a continuous action: mean and deviation as a band, taken as a dot."""
        action = float(np.ravel(step.action)[i])
        pen.text(x, y, self.names[i], 13, colors.TEXT, width * 0.3)
        pen.text(x + width, y, number(action), 12, colors.TEXT, anchor="rm")
        left, across = x + width * 0.34, width * 0.46
        pen.box(left, y - 4, left + across, y + 4, colors.TRACK, radius=2)
        said = None if step.distribution is None else step.distribution[:, i]
        low, high = self._range(i, action, said)

        def at(value: float) -> float:
            return left + across * min(max((value - low) / (high - low), 0.0), 1.0)

        pen.box(at(0.0), y - 7, at(0.0) + 1, y + 7, colors.FAINT)
        if said is not None and np.isfinite(said).all():
            mean, below, above = said.tolist()
            pen.box(at(below), y - 4, max(at(above), at(below) + 2), y + 4, colors.BAR, radius=2)
            pen.box(at(mean) - 1, y - 6, at(mean) + 1, y + 6, colors.TEXT)
        pen.box(at(action) - 4, y - 4, at(action) + 4, y + 4, colors.CHOSEN, radius=4)

    def _range(self, i: int, action: float, said: np.ndarray | None) -> tuple[float, float]:
        bounds = self.header.action_bounds
        if bounds is not None:
            return bounds[i]
        values = [action] if said is None else [action, *said.tolist()]
        reach = max([1.0, *(abs(v) for v in values if np.isfinite(v))])
        return -reach, reach


class Numbers:
    """Value, reward and the return so far."""

    height = 62

    def __init__(self, header: Header):
        self.value = f"{header.value_unit} value".strip()

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, reward_so_far: float) -> None:
        value = "" if step.value is None else number(step.value)
        sign = colors.GOOD if step.reward > 0 else colors.BAD if step.reward < 0 else colors.TEXT
        parts = [
            (0.0, self.value, value or "none", colors.TEXT if value else colors.FAINT),
            (0.38, "reward", number(step.reward), sign),
            (0.69, "return so far", number(reward_so_far), colors.TEXT),
        ]
        for at, name, text, colour in parts:
            left, size = x + at * width, 20 if len(text) < 8 else 14
            pen.text(left, y + 10, name, 12, colors.DIM, width=0.36 * width)
            pen.text(left, y + 32, text, size, colour, width=0.29 * width)


class AttentionWords:
    """Which map is shown, how far it spreads, and what of it is not drawn.

    Args:
        view: whose words these are.
        room: width that lines are broken to, in pixels; `draw` needs no less.
    """

    ROW = 21

    def __init__(self, view: View, room: int = 300):
        self.view = view
        first, second = view.lines
        self.shown, self.asks = broken(first, room, 14), broken(second, room, 13)
        lines = len(self.shown) + len(self.asks) + view.rows + 1
        self.height = HEADING + 3 + self.ROW * lines

    def draw(self, pen: Pen, x: int, y: int, width: int, step: Step, weights: np.ndarray) -> None:
        heading(pen, x, y, width, "attention", "")
        y += HEADING + 10
        if not step.attended:
            pen.text(x, y, "this action is not the policy's", 14, colors.BAD)
            return
        for line in self.shown:
            pen.text(x, y, line, 14, width=width)
            y += self.ROW
        for line in (*self.asks, *self.view.notes(step), self.view.spread(step, weights)):
            pen.text(x, y, line, 13, colors.DIM, width=width)
            y += self.ROW


def broken(text: str, width: float, size: int, most: int = 2) -> tuple[str, ...]:
    """Return text as lines of at most `width` pixels, broken between words.

    Args:
        size: of the type, in pixels.
        most: how many lines at most; the last one holds all that is left, however long.
    """
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and len(lines) < most and font(size).getlength(plain(longer)) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return tuple(lines)


def action_names(header: Header) -> tuple[str, ...]:
    """Return a name for each of the A choices or dimensions."""
    if header.action_names is not None:
        return header.action_names
    if header.action_kind == "discrete":
        return tuple(f"action {i}" for i in range(header.action_count))
    if header.action_kind == "multi_discrete":
        parts = enumerate(header.action_sizes)
        return tuple(f"part {part}: {choice}" for part, size in parts for choice in range(size))
    word = "bit" if header.action_kind == "multi_binary" else "dimension"
    return tuple(f"{word} {i}" for i in range(header.action_count))


def chosen_choices(header: Header, action: np.ndarray) -> set[int]:
    """Return which of the A choices an action took; none of a continuous one."""
    values = np.ravel(action)
    if header.action_kind == "continuous":
        return set()
    if header.action_kind == "multi_binary":
        return {i for i, value in enumerate(values) if value > 0.5}
    starts = np.cumsum([0, *header.action_sizes[:-1]])
    return {int(start + value) for start, value in zip(starts, values, strict=False)}


def action_text(header: Header, action: np.ndarray) -> str:
    """Return an action in words."""
    if header.action_kind == "continuous":
        return "(" + ", ".join(f"{value:.2f}" for value in np.ravel(action)) + ")"
    names = action_names(header)
    taken = [names[i] for i in sorted(chosen_choices(header, action)) if 0 <= i < len(names)]
    return ", ".join(taken) or "nothing"
