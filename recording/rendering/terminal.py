"""Replaying in a terminal, for machines without a screen: the picture as colored half blocks.

Where the output is no terminal, every step is a line of text.
"""

from __future__ import annotations

import time

import numpy as np
from PIL import Image
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from attention_agents.recording.evidence_view import Shown
from attention_agents.recording.reader import Episode
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.rendering.paint import EvidencePaint
from attention_agents.recording.scene import actions, colors
from attention_agents.recording.scene.display import format_number
from attention_agents.recording.scene.playback import film_rate
from attention_agents.recording.scene.scene_layout import rank_tokens, rank_weights
from attention_agents.recording.step import Step

LISTED_TOKENS, LISTED_ACTIONS = 5, 9
"""The most attended tokens and the likeliest actions."""
NAME, BAR = 18, 16
"""Characters of a name and of a bar."""
PANEL = NAME + BAR + 12
"""Characters beside the picture."""
GAP = 2
"""Characters between the two."""
UPPER = "\N{UPPER HALF BLOCK}"
FULL = "\N{FULL BLOCK}"


def play_in_terminal(
    episode: Episode,
    console: Console,
    *,
    layer: int | None = None,
    head: int | None = None,
    fps: float | None = None,
    show: Shown = "",
    component: str = "",
) -> None:
    """Show the steps of an episode one after the other.

    Args:
        console: where to; one that is no terminal gets a line per step, and no waiting.
        layer, head: which map to show, see `recording.map_view.choose_view`.
        fps: steps per second; None takes the environment's own rate, slower for short episodes.
        show, component: evidence or attention, and which component of evidence, see
            `recording.evidence_view.choose_shown`.

    Raises:
        ValueError: there is no such layer, head or component, the episode is empty, or a step
            cannot be read.
    """
    if not len(episode):
        raise ValueError(f"{episode.folder} holds no step to show")
    screen = Screen(episode, layer, head, show, component)
    if not console.is_terminal:
        for t, step in enumerate(episode):
            console.print(
                screen.describe_step(step, t), highlight=False, markup=False, soft_wrap=True
            )
        return
    pause = 1 / (fps or film_rate(episode))
    with Live(console=console, auto_refresh=False, transient=False) as live:
        for t, step in enumerate(episode):
            start = time.monotonic()
            live.update(screen.draw(step, t, console.width, console.height), refresh=True)
            time.sleep(max(0.0, pause - (time.monotonic() - start)))


class Screen:
    """Draws the steps of an episode as text.

    Args:
        episode: at least one step.
        layer, head: which map to show.
        show, component: evidence or attention, and which component of evidence.
    """

    def __init__(
        self,
        episode: Episode,
        layer: int | None = None,
        head: int | None = None,
        show: Shown = "",
        component: str = "",
    ):
        self._header, self._length = episode.header, len(episode)
        self._scene = Scene.of_episode(episode, layer, head, show, component)
        self._paint = self._scene.paint
        """Of the bars of tokens."""
        self._returns = np.cumsum(episode.rewards)

    def describe_step(self, step: Step, t: int) -> str:
        """Return a step as one line: the action, the reward, the most attended tokens."""
        top = self._top_tokens(step)[:3]
        tokens = ", ".join(f"{name} {self._paint.format(weight, 2)}" for name, weight in top)
        value = "" if step.value is None else f"  value {format_number(step.value)}"
        action, reward = actions.action_text(self._header, step.action), format_number(step.reward)
        verb = "evidence" if self._shows_evidence else "attends to"
        return f"step {t}  {action}  reward {reward}{value}  {verb} {tokens or 'none'}"

    def draw(self, step: Step, t: int, width: int, height: int) -> Group:
        """Return a step as a renderable that fits into so many columns and rows."""
        side = Group(*self._side_lines(step, t))
        title = Text(f"{self._header.env_id}  {self._header.algo.upper()}", style="bold")
        title.append(f"   step {t} of {self._length}", style="dim")
        if self._scene.attended_frame is None:
            return Group(title, side)
        columns, rows = max(8, width - PANEL - GAP), max(4, height - 3)
        frame = self._scene.attended_frame.fit_into(columns, 2 * rows)
        weights = self._scene.view.token_weights(step)
        picture = self._scene.attended_frame.render(step, weights)
        small = picture.resize((max(1, frame.width), max(2, frame.height // 2 * 2)))
        grid = Table.grid(padding=(0, GAP))
        grid.add_column(width=small.width, no_wrap=True)
        grid.add_column(width=max(1, min(PANEL, width - small.width - GAP)))
        grid.add_row(half_blocks(small), side)
        return Group(title, grid)

    def _side_lines(self, step: Step, t: int) -> list[Text]:
        action = Text(
            actions.action_text(self._header, step.action),
            f"bold {_hex(colors.CHOSEN)}",
            no_wrap=True,
        )
        value = "" if step.value is None else f"value {format_number(step.value)}  "
        reward, so_far = format_number(step.reward), format_number(self._returns[t])
        numbers = Text(f"{value}reward {reward}  so far {so_far}")
        view = [Text(line, style="dim") for line in self._scene.view.description]
        tokens = self._top_tokens(step)
        top = self._paint.top(np.array([weight for _, weight in tokens]))
        shares = [self._paint.share(weight, top) for _, weight in tokens]
        bars = [
            _bar_line(name, abs(share), self._paint.format(weight), self._paint.color(share))
            for (name, weight), share in zip(tokens, shares, strict=True)
        ]
        return [
            action,
            *self._action_lines(step),
            numbers,
            Text(""),
            *view,
            *self._signs(step),
            *bars,
        ]

    @property
    def _shows_evidence(self) -> bool:
        return isinstance(self._paint, EvidencePaint)

    def _signs(self, step: Step) -> list[Text]:
        """Return what the two hues of evidence mean."""
        words = self._scene.evidence_words(step)
        if words is None:
            return []
        line = Text(words.above, _hex(colors.FOR), no_wrap=True)
        return [line.append("  ").append(words.below, _hex(colors.AGAINST))]

    def _action_lines(self, step: Step) -> list[Text]:
        distribution = step.distribution
        if distribution is None or distribution.ndim > 1:
            return []
        low, high = 0.0, 1.0
        if self._header.distribution == "q_values":
            low, high = float(distribution.min()), float(distribution.max())
        names, chosen = (
            actions.action_names(self._header),
            actions.chosen_choices(self._header, step.action),
        )
        values = {i: float(distribution[i]) for i in np.argsort(-distribution)[:LISTED_ACTIONS]}
        return [
            _bar_line(
                names[i],
                (values[i] - low) / max(high - low, 1e-9),
                actions.format_choice(self._header, values[i]),
                colors.CHOSEN if i in chosen else colors.BAR,
            )
            for i in sorted(values)
        ]

    def _top_tokens(self, step: Step) -> list[tuple[str, float]]:
        """Return names and weights of the most attended tokens and keys, the largest first."""
        ranked = rank_tokens(self._scene.layout.parts, step, self._scene.view.token_weights(step))
        tokens = [pair for pair in ranked[:LISTED_TOKENS] if pair[1] != 0]
        return rank_weights([*tokens, *self._scene.view.extra_weights(step)])


def half_blocks(picture: Image.Image) -> Text:
    """Return a picture as text: each character is two pixels, one over the other."""
    pixels = np.asarray(picture.convert("RGB"))
    text = Text(no_wrap=True)
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=False):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            text.append(UPPER, style=f"{_hex(above)} on {_hex(below)}")
        text.append("\n")
    text.right_crop(1)
    return text


def _bar_line(name: str, share: float, text: str, color: colors.Color) -> Text:
    filled = round(BAR * min(max(share, 0.0), 1.0))
    line = Text(f"{name[:NAME]:{NAME}} ", no_wrap=True)
    line.append(FULL * filled, style=_hex(color))
    line.append(" " * (BAR - filled) + f" {text}")
    return line


def _hex(color: tuple[int, ...] | list[int]) -> str:
    return "#" + bytes(color).hex()
