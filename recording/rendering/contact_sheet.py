"""An episode on one page: a dozen moments, each with its attention and what was done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from attention_agents.recording.files import atomic_write
from attention_agents.recording.reader import Episode
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.attended_frame import Stage
from attention_agents.recording.rendering.colors import Pen, number
from attention_agents.recording.rendering.heat import LOWEST_TOP
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.rendering.side_panel import action_text
from attention_agents.recording.step import Step

MOMENTS = 12
COLUMNS, WIDE_COLUMNS = 4, 2
"""Moments side by side; fewer where the picture is at least twice as wide as high."""
NOTABLE = 4
"""At most so many moments are chosen for their reward."""
PAGE, GAP, MARGIN, TITLE = 1402, 18, 26, 84
"""Pixels: width of the page, between two moments, round the page, and the height of the title."""
TALLEST = 260
BEST_TOKENS, ROW = 4, 20
"""What has no place on the picture is listed under it, the most attended tokens and keys."""


def contact_sheet(
    path: str | Path, episode: Episode, layer: int | None = None, head: int | None = None
) -> Path:
    """Write a PNG of a dozen moments of an episode.

    Args:
        path: of the PNG.
        layer, head: which map to show, see `recording.map_view.choose_view`.

    Raises:
        ValueError: there is no such layer or head, the episode is empty or cannot be read, or the
            file cannot be written.
    """
    path = Path(path)
    if not len(episode):
        raise ValueError(f"{episode.folder} holds no step to draw")
    rewards, header = episode.rewards, episode.header
    scene = Scene(header, episode[0], layer, head)
    stage = scene.stage
    wide = stage is not None and stage.width >= 2 * stage.height
    columns = WIDE_COLUMNS if wide else COLUMNS
    width = (PAGE - 2 * MARGIN + GAP) // columns - GAP
    small = None if stage is None else stage.within(width, TALLEST)
    cards = [_card(scene, small, episode[t], t, width) for t in moments(rewards)]
    page = _page(cards, columns)
    _title(Pen(page), episode, rewards, scene)
    with atomic_write(path) as file:
        page.save(file, "PNG", optimize=True)
    return path


def moments(rewards: np.ndarray, count: int = MOMENTS) -> list[int]:
    """Choose steps to show: spread evenly, first and last included, and some of unusual reward.

    Unusual are rewards that differ from the median, where at most half of them do.
    """
    T = len(rewards)
    if count >= T:
        return list(range(T))
    unusual = np.flatnonzero(rewards != np.median(rewards))
    if len(unusual) > T // 2:
        unusual = unusual[:0]
    if len(unusual) > NOTABLE:
        unusual = unusual[np.linspace(0, len(unusual) - 1, NOTABLE).round().astype(int)]
    chosen = set(unusual.tolist())
    for spread in range(2, count + 1):
        even = set(np.linspace(0, T - 1, spread).round().astype(int).tolist())
        if len(chosen | even) > count:
            break
        best = chosen | even
    return sorted(best)


def _card(scene: Scene, stage: Stage | None, step: Step, t: int, width: int) -> Image.Image:
    weights = scene.view.weights(step)
    top = 0 if stage is None else stage.height
    tokens = _best_tokens(scene, step, weights)
    image = Image.new("RGB", (width, top + 34 + ROW * len(tokens) + 6), colors.PANEL)
    pen = Pen(image)
    if stage is not None:
        pen.box(0, 0, width, top, colors.BACKGROUND)
        image.paste(stage.picture(step, weights), ((width - stage.width) // 2, 0))
    used = pen.text(10, top + 18, f"step {t}", 14, colors.DIM)
    said = f"reward {number(step.reward)}"
    ink = colors.GOOD if step.reward > 0 else colors.BAD if step.reward < 0 else colors.FAINT
    right = pen.text(width - 10, top + 18, said, 13, ink, anchor="rm")
    done = action_text(scene.header, step.action)
    pen.text(22 + used, top + 18, done, 14, colors.CHOSEN, width=width - used - right - 44)
    largest = max(float(weights.max(initial=0.0)), 1e-9)
    for row, (name, weight) in enumerate(tokens):
        y = top + 34 + ROW * row + ROW // 2
        pen.text(10, y, name, 13, width=130)
        pen.bar(150, y, width - 214, weight / largest, colors.bar_colour(weight / largest))
        pen.text(width - 10, y, f"{weight:.3f}", 12, colors.DIM, anchor="rm")
    return image


def _best_tokens(scene: Scene, step: Step, weights: np.ndarray) -> list[tuple[str, float]]:
    """Return names and weights of the most attended keys that are not on the picture."""
    ranked = [
        (part.names_at(step)[i], float(weights[part.where][i]))
        for part in scene.parts_beside
        for i in np.flatnonzero(step.present[part.where])
    ]
    ranked += scene.view.extras(step)
    return sorted(ranked, key=lambda pair: -pair[1])[:BEST_TOKENS]


def _page(cards: list[Image.Image], columns: int) -> Image.Image:
    rows = [cards[i : i + columns] for i in range(0, len(cards), columns)]
    heights = [max(card.height for card in row) for row in rows]
    foot = TITLE + sum(heights) + GAP * (len(rows) - 1) + MARGIN
    page = Image.new("RGB", (PAGE, foot), colors.BACKGROUND)
    y = TITLE
    for row, height in zip(rows, heights, strict=True):
        for column, card in enumerate(row):
            page.paste(card, (MARGIN + column * (card.width + GAP), y))
        y += height + GAP
    return page


def _title(pen: Pen, episode: Episode, rewards: np.ndarray, scene: Scene) -> None:
    width, header = pen.image.width - 2 * MARGIN, episode.header
    used = pen.text(MARGIN, 30, header.env_id, 22, width=width * 0.5)
    pen.text(MARGIN + used + 12, 32, header.algo.upper(), 15, colors.DIM, width=width * 0.2)
    seed = "" if episode.seed is None else f"seed {episode.seed}, "
    cut = "" if episode.complete else " (cut short)"
    facts = f"{seed}{len(episode)} steps{cut}, return {number(float(rewards.sum()))}"
    pen.text(pen.image.width - MARGIN, 30, facts, 16, anchor="rm")
    mechanism = scene.view.spec.mechanism
    shown = "Attention: " + ", ".join([*scene.view.lines, *([mechanism] if mechanism else [])])
    pen.text(MARGIN, 60, shown, 14, colors.DIM, width=width - 330)
    ramp = Image.fromarray(colors.heat_table()[None]).resize((96, 8))
    right = pen.image.width - MARGIN
    scale = "most of the moment"
    if scene.stage is not None and scene.stage.heated:
        scale += f", or {LOWEST_TOP:.0f} x an even spread"
    largest = pen.text(right, 60, scale, 12, colors.DIM, anchor="rm")
    pen.image.paste(ramp, (round(right - largest) - 108, 56))
    pen.text(right - largest - 116, 60, "0", 12, colors.DIM, anchor="rm")
