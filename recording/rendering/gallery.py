"""What an episode looked at most and least: pieces of its pictures, where the tokens stand."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from attention_agents.recording.files import atomic_write
from attention_agents.recording.observation_images import Part, parts_of
from attention_agents.recording.reader import Episode
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.colors import Pen
from attention_agents.recording.rendering.overlay import Scene

PIECES = 24
"""Pieces of each kind."""
COLUMNS = 8
SIDE, GAP, MARGIN, TITLE, CAPTION, HEADING = 132, 14, 26, 84, 38, 46
"""Pixels: a piece, between two, round the page, and the heights of texts."""
APART = 4
"""A token is shown again only after so many steps."""
AROUND = 2.0
"""An entity is cut out with its surroundings, so many times its size."""


class Piece(NamedTuple):
    """One token at one step."""

    step: int
    token: int
    lift: float
    """Its weight over that of an even spread."""


def gallery(
    path: str | Path, episode: Episode, layer: int | None = None, head: int | None = None
) -> Path:
    """Write a PNG of the most and the least attended pieces of an episode.

    Args:
        path: of the PNG.
        layer, head: which map counts, see `recording.map_view.choose_view`.

    Raises:
        ValueError: there is no such layer or head, the episode is empty or cannot be read, no token
            stands on a picture, or the file cannot be written.
    """
    path = Path(path)
    if not len(episode):
        raise ValueError(f"{episode.folder} holds no step to draw")
    scene = Scene(episode.header, episode[0], layer, head)
    if scene.stage is None or not scene.stage.parts:
        raise ValueError(
            f"a gallery shows pieces of pictures, and no token of {episode.header.env_id} stands "
            "on one"
        )
    lifts = lift_of_tokens(episode, scene)
    chosen = {"most attended": extremes(lifts, -1), "least attended": extremes(lifts, 1)}
    page = _page(chosen, episode, scene)
    with atomic_write(path) as file:
        page.save(file, "PNG", optimize=True)
    return path


def lift_of_tokens(episode: Episode, scene: Scene) -> np.ndarray:
    """Return each token's weight over that of an even spread, (T, N); NaN where it is off the
    picture."""
    stage = scene.stage
    assert stage is not None
    shown = np.zeros(len(episode.header.layout), bool)
    for part in stage.parts:
        shown[part.where] = True
    rows = []
    for step in episode:
        weights = scene.view.weights(step)
        even = float(weights.sum(dtype=np.float64)) / max(int(step.present.sum()), 1)
        there = shown & step.present & np.isfinite(stage.boxes(step)).all(1)
        rows.append(np.where(there, weights / max(even, 1e-12), np.nan))
    return np.stack(rows)


def extremes(lifts: np.ndarray, sign: int, count: int = PIECES) -> list[Piece]:
    """Choose the tokens of greatest (sign -1) or least (sign 1) lift, above 1 or below it.

    A token counts once in `APART` steps, at its extreme; of equals the choice is spread over time.

    Args:
        lifts: (T, N), NaN where there is no token.
    """
    T, N = lifts.shape
    spread = np.random.default_rng(0).permutation(T * N)
    order = spread[np.argsort(sign * lifts.ravel()[spread], kind="stable")]
    taken: list[Piece] = []
    for index in order.tolist():
        step, token = divmod(index, N)
        lift = float(lifts[step, token])
        if len(taken) == count or not sign * lift < sign:
            break
        near = (each for each in taken if each.token == token)
        if all(abs(each.step - step) >= APART for each in near):
            taken.append(Piece(step, token, lift))
    return taken


def _page(chosen: dict[str, list[Piece]], episode: Episode, scene: Scene) -> Image.Image:
    rows = {title: -(-len(pieces) // COLUMNS) for title, pieces in chosen.items()}
    width = 2 * MARGIN + COLUMNS * (SIDE + GAP) - GAP
    block = SIDE + CAPTION + GAP
    height = TITLE + sum(HEADING + n * block for n in rows.values()) + MARGIN
    page = Image.new("RGB", (width, height), colors.BACKGROUND)
    pen, header = Pen(page), episode.header
    used = pen.text(MARGIN, 30, header.env_id, 22, width=width * 0.5)
    pen.text(MARGIN + used + 12, 32, header.algo.upper(), 15, colors.DIM)
    shown = "Attention: " + ", ".join(scene.view.lines)
    pen.text(MARGIN, 60, shown, 14, colors.DIM, width=width - 2 * MARGIN)
    y = TITLE
    for title, pieces in chosen.items():
        pen.text(MARGIN, y + 22, title, 17)
        y += HEADING
        for i, piece in enumerate(pieces):
            x = MARGIN + i % COLUMNS * (SIDE + GAP)
            _draw_piece(pen, x, y + i // COLUMNS * block, piece, episode, scene)
        y += rows[title] * block
    return page


def _draw_piece(pen: Pen, x: int, y: int, piece: Piece, episode: Episode, scene: Scene) -> None:
    stage, step = scene.stage, episode[piece.step]
    assert stage is not None
    picture = stage.bare_picture(step)
    part = _part_of(parts_of(episode.header.layout), piece.token)
    box = stage.boxes(step)[piece.token]
    if part.group.kind == "entities":
        middle, reach = (box[:2] + box[2:]) / 2, AROUND * np.max(box[2:] - box[:2]) / 2
        box = np.concatenate([middle - reach, middle + reach])
    x0, y0, x1, y1 = (round(float(edge)) for edge in box)
    cut = picture.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))
    factor = SIDE / max(cut.size)
    size = max(1, round(cut.width * factor)), max(1, round(cut.height * factor))
    pen.box(x, y, x + SIDE, y + SIDE, colors.PANEL)
    cut = cut.resize(size, Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS)
    pen.image.paste(cut, (x + (SIDE - size[0]) // 2, y + (SIDE - size[1]) // 2))
    name = part.names_at(step)[piece.token - part.where.start]
    pen.text(x, y + SIDE + 12, name, 12, colors.TEXT, width=SIDE)
    pen.text(x, y + SIDE + 27, f"step {piece.step}, {piece.lift:.1f} x even", 11, colors.DIM, SIDE)


def _part_of(parts: list[Part], token: int) -> Part:
    return next(part for part in parts if part.where.start <= token < part.where.stop)
