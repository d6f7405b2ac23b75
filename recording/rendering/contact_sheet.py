"""An episode on one page: a dozen moments, each with its evidence or attention, and its action."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from attention_agents.recording.evidence_view import EvidenceView, Shown
from attention_agents.recording.reader import Episode
from attention_agents.recording.rendering.attended_frame import AttendedFrame
from attention_agents.recording.rendering.drawing import RAMP, Pen, SheetPage
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.rendering.paint import EvidencePaint, format_scale
from attention_agents.recording.rendering.signed_heat import evidence_ramp
from attention_agents.recording.scene import colors
from attention_agents.recording.scene.actions import action_text
from attention_agents.recording.scene.display import MIN_HEAT_TOP, format_number
from attention_agents.recording.scene.scene_layout import rank_tokens, rank_weights
from attention_agents.recording.step import Step

MOMENTS = 12
COLUMNS, WIDE_COLUMNS = 4, 2
"""Moments side by side; fewer where the picture is at least twice as wide as high."""
MAX_REWARDS = 4
"""At most so many moments are chosen for their reward."""
PAGE, GAP, MARGIN, TITLE = 1402, 18, SheetPage.MARGIN, SheetPage.TITLE
"""Pixels: width of the page, between two moments, round the page, and the height of the title."""
MAX_HEIGHT = 260
LISTED_TOKENS, ROW = 4, 20
"""What has no place on the picture is listed under it, the most attended tokens and keys."""


def contact_sheet(
    path: str | Path,
    episode: Episode,
    layer: int | None = None,
    head: int | None = None,
    *,
    show: Shown = "",
    component: str = "",
) -> Path:
    """Write a PNG of a dozen moments of an episode.

    Args:
        path: of the PNG.
        layer, head: which map to show, see `recording.map_view.choose_view`.
        show, component: evidence or attention, and which component of evidence, see
            `recording.evidence_view.choose_shown`.

    Raises:
        ValueError: there is no such layer, head or component, the episode is empty or cannot be
            read, or the file cannot be written.
    """
    if not len(episode):
        raise ValueError(f"{episode.folder} holds no step to draw")
    scene = Scene.of_episode(episode, layer, head, show, component)
    frame = scene.attended_frame
    wide = frame is not None and frame.width >= 2 * frame.height
    columns = WIDE_COLUMNS if wide else COLUMNS
    width = (PAGE - 2 * MARGIN + GAP) // columns - GAP
    small = None if frame is None else frame.fit_into(width, MAX_HEIGHT)
    moments = choose_moments(episode.rewards)
    cards = [_draw_card(scene, small, episode[t], t, width) for t in moments]
    rows = [cards[i : i + columns] for i in range(0, len(cards), columns)]
    page = _titled_page(episode, scene, sum(max(card.height for card in row) + GAP for row in rows))
    y = TITLE
    for row in rows:
        for column, card in enumerate(row):
            page.image.paste(card, (MARGIN + column * (width + GAP), y))
        y += max(card.height for card in row) + GAP
    return page.save_png(Path(path))


def choose_moments(rewards: np.ndarray, count: int = MOMENTS) -> list[int]:
    """Choose steps to show: spread evenly, first and last included, and some of unusual reward.

    Unusual are rewards that differ from the median, where at most half of them do.
    """
    T = len(rewards)
    if count >= T:
        return list(range(T))
    unusual = np.flatnonzero(rewards != np.median(rewards))
    if len(unusual) > T // 2:
        unusual = unusual[:0]
    if len(unusual) > MAX_REWARDS:
        unusual = unusual[np.linspace(0, len(unusual) - 1, MAX_REWARDS).round().astype(int)]
    chosen = set(unusual.tolist())
    for spread in range(2, count + 1):
        even = set(np.linspace(0, T - 1, spread).round().astype(int).tolist())
        if len(chosen | even) > count:
            break
        best = chosen | even
    return sorted(best)


def listed_tokens(scene: Scene, step: Step, weights: np.ndarray) -> list[tuple[str, float]]:
    """Return names and weights of the most attended keys that are not on the picture."""
    tokens = rank_tokens(scene.layout.unplaced, step, weights)
    return rank_weights([*tokens, *scene.view.extra_weights(step)])[:LISTED_TOKENS]


def _draw_card(
    scene: Scene, frame: AttendedFrame | None, step: Step, t: int, width: int
) -> Image.Image:
    weights = scene.view.token_weights(step)
    top = 0 if frame is None else frame.height
    tokens = listed_tokens(scene, step, weights)
    image = Image.new("RGB", (width, top + 34 + ROW * len(tokens) + 6), colors.PANEL)
    pen = Pen(image)
    if frame is not None:
        pen.draw_box(0, 0, width, top, colors.BACKGROUND)
        image.paste(frame.render(step, weights), ((width - frame.width) // 2, 0))
    used = pen.draw_text(10, top + 18, f"step {t}", 14, colors.DIM)
    reward, color = (
        f"reward {format_number(step.reward)}",
        colors.reward_color(step.reward, colors.FAINT),
    )
    right = pen.draw_text(width - 10, top + 18, reward, 13, color, anchor="rm")
    action = action_text(scene.header, step.action)
    pen.draw_text(22 + used, top + 18, action, 14, colors.CHOSEN, width=width - used - right - 44)
    paint, largest = scene.paint, scene.paint.top(weights)
    for row, (name, weight) in enumerate(tokens):
        y = top + 34 + ROW * row + ROW // 2
        pen.draw_text(10, y, name, 13, width=130)
        paint.draw_bar(pen, 150, y, width - 214, paint.share(weight, largest))
        pen.draw_text(width - 10, y, paint.format(weight), 12, colors.DIM, anchor="rm")
    return image


def _titled_page(episode: Episode, scene: Scene, height: int) -> SheetPage:
    """Return a page with its title and room for cards of a height, gaps included."""
    view, noun = scene.view, "Attention"
    lines = [*view.description]
    if isinstance(view, EvidenceView):
        noun, lines = lines[0].capitalize(), [lines[1], *view.notes[1:]]
    elif view.spec.mechanism:
        lines.append(view.spec.mechanism)
    size = (PAGE, TITLE + height - GAP + MARGIN)
    page = SheetPage(size, episode.header, lines, 330, noun)
    pen, right = page.pen, PAGE - MARGIN
    seed = "" if episode.seed is None else f"seed {episode.seed}, "
    cut = "" if episode.complete else " (cut short)"
    total = format_number(float(episode.rewards.sum()))
    facts = f"{seed}{len(episode)} steps{cut}, return {total}"
    pen.draw_text(right, 30, facts, 16, anchor="rm")
    if isinstance(scene.paint, EvidencePaint):
        _draw_evidence_scale(pen, right, scene.paint, scene.layout.has_heat)
        return page
    scale = "most of the moment"
    if scene.layout.has_heat:
        scale += f", or {MIN_HEAT_TOP:.0f} x an even spread"
    used = pen.draw_text(right, 60, scale, 12, colors.DIM, anchor="rm")
    pen.draw_ramp(round(right - used) - RAMP[0] - 12, 60)
    pen.draw_text(right - used - RAMP[0] - 20, 60, "0", 12, colors.DIM, anchor="rm")
    return page


def _draw_evidence_scale(pen: Pen, right: int, paint: EvidencePaint, has_heat: bool) -> None:
    """Draw what the two hues mean, and where their scale ends."""
    end = format_scale(paint.scale.picture if has_heat else paint.scale.token)
    used = pen.draw_text(right, 60, f"for, +{end}", 13, colors.FOR, anchor="rm")
    x = round(right - used) - RAMP[0] - 10
    pen.image.paste(evidence_ramp(*RAMP, colors.BACKGROUND), (x, 60 - RAMP[1] // 2))
    pen.draw_text(x - 10, 60, f"against, -{end}", 13, colors.AGAINST, anchor="rm")
