"""Replaying in a terminal, for machines without a screen: the picture as coloured half blocks.

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

from attention_agents.recording.observation_images import parts_of
from attention_agents.recording.reader import Episode
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.colors import number
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.rendering.side_panel import (
    MOST_ROWS,
    action_names,
    action_text,
    chosen_choices,
)
from attention_agents.recording.rendering.video import film_rate
from attention_agents.recording.step import Step

MOST_ATTENDED = 5
"""Tokens that are named."""
NAMED, BAR = 18, 16
"""Characters of a name and of a bar."""
PANEL = NAMED + BAR + 12
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
) -> None:
    """Show the steps of an episode one after the other.

    Args:
        console: where to; one that is no terminal gets a line per step, and no waiting.
        layer, head: which map to show, see `recording.map_view.choose_view`.
        fps: steps per second; None takes the environment's own rate, slower for short episodes.

    Raises:
        ValueError: there is no such layer or head, the episode is empty, or a step cannot be read.
    """
    if not len(episode):
        raise ValueError(f"{episode.folder} holds no step to show")
    screen = Screen(episode, layer, head)
    if not console.is_terminal:
        for t, step in enumerate(episode):
            console.print(screen.line(step, t), highlight=False, markup=False, soft_wrap=True)
        return
    pause = 1 / (fps or film_rate(episode))
    with Live(console=console, auto_refresh=False, transient=False) as live:
        for t, step in enumerate(episode):
            began = time.monotonic()
            live.update(screen.draw(step, t, console.width, console.height), refresh=True)
            time.sleep(max(0.0, pause - (time.monotonic() - began)))


class Screen:
    """Draws the steps of an episode as text.

    Args:
        episode: at least one step.
        layer, head: which map to show.
    """

    def __init__(self, episode: Episode, layer: int | None = None, head: int | None = None):
        self._header, self._length = episode.header, len(episode)
        self._scene = Scene(episode.header, episode[0], layer, head)
        self._total = np.cumsum(episode.rewards)
        self._parts = parts_of(self._header.layout)

    def line(self, step: Step, t: int) -> str:
        """Return a step as one line: what was done, what came of it, what was attended to."""
        seen = ", ".join(f"{name} {weight:.2f}" for name, weight in self._most(step)[:3])
        value = "" if step.value is None else f"  value {number(step.value)}"
        done = action_text(self._header, step.action)
        return f"step {t}  {done}  reward {number(step.reward)}{value}  attends to {seen}"

    def draw(self, step: Step, t: int, width: int, height: int) -> Group:
        """Return a step as a renderable that fits into so many columns and rows."""
        side = Group(*self._side(step, t))
        title = Text(f"{self._header.env_id}  {self._header.algo.upper()}", style="bold")
        title.append(f"   step {t} of {self._length}", style="dim")
        if self._scene.stage is None:
            return Group(title, side)
        columns, rows = max(8, width - PANEL - GAP), max(4, height - 3)
        stage = self._scene.stage.within(columns, 2 * rows)
        weights = self._scene.view.weights(step)
        picture = self._scene.stage.picture(step, weights)
        small = picture.resize((max(1, stage.width), max(2, stage.height // 2 * 2)))
        beside = Table.grid(padding=(0, GAP))
        beside.add_column(width=small.width, no_wrap=True)
        beside.add_column(width=max(1, min(PANEL, width - small.width - GAP)))
        beside.add_row(half_blocks(small), side)
        return Group(title, beside)

    def _side(self, step: Step, t: int) -> list[Text]:
        lines = [_styled(action_text(self._header, step.action), colors.CHOSEN, bold=True)]
        lines += self._choices(step)
        value = "" if step.value is None else f"value {number(step.value)}  "
        lines.append(Text(f"{value}reward {number(step.reward)}  so far {number(self._total[t])}"))
        lines += [Text(""), *(Text(line, style="dim") for line in self._scene.view.lines)]
        most = self._most(step)
        top = max([weight for _, weight in most], default=0.0)
        for name, weight in most:
            share = weight / top if top > 0 else 0.0
            lines.append(_bar(name, share, f"{weight:.3f}", colors.bar_colour(share)))
        return lines

    def _choices(self, step: Step) -> list[Text]:
        said = step.distribution
        if said is None or said.ndim > 1:
            return []
        spell = number if self._header.distribution == "q_values" else "{:.3f}".format
        names, chosen = action_names(self._header), chosen_choices(self._header, step.action)
        low = float(said.min()) if self._header.distribution == "q_values" else 0.0
        high = float(said.max()) if self._header.distribution == "q_values" else 1.0
        shown = sorted(np.argsort(-said)[: min(MOST_ROWS, 9)].tolist())
        return [
            _bar(
                names[i],
                (float(said[i]) - low) / max(high - low, 1e-9),
                spell(float(said[i])),
                colors.CHOSEN if i in chosen else colors.BAR,
            )
            for i in shown
        ]

    def _most(self, step: Step) -> list[tuple[str, float]]:
        """Return the names and weights of the most attended tokens, the most attended first."""
        weights = self._scene.view.weights(step)
        order = np.argsort(-weights, kind="stable")[:MOST_ATTENDED]
        names = [name for part in self._parts for name in part.names_at(step)]
        found = [(names[i], float(weights[i])) for i in order if weights[i] > 0]
        return sorted([*found, *self._scene.view.extras(step)], key=lambda pair: -pair[1])


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


def _bar(name: str, share: float, said: str, colour: colors.Colour) -> Text:
    full = round(BAR * min(max(share, 0.0), 1.0))
    line = Text(f"{name[:NAMED]:{NAMED}} ", no_wrap=True)
    line.append(FULL * full, style=_hex(colour))
    line.append(" " * (BAR - full) + f" {said}")
    return line


def _styled(text: str, colour: colors.Colour, bold: bool = False) -> Text:
    return Text(text, style=f"{'bold ' if bold else ''}{_hex(colour)}", no_wrap=True)


def _hex(colour: tuple[int, ...] | list[int]) -> str:
    return "#" + bytes(colour).hex()
