"""The pieces of an episode that matter most and least: cut out of its pictures, token by token.

By evidence these are what spoke most for an action and most against one; by attention the most and
the least attended ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from attention_agents.recording.evidence_view import EvidenceView, Shown
from attention_agents.recording.reader import Episode
from attention_agents.recording.rendering.attended_frame import AttendedFrame
from attention_agents.recording.rendering.drawing import Pen, SheetPage
from attention_agents.recording.rendering.heat import even_weight
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.rendering.paint import format_signed
from attention_agents.recording.scene.colors import DIM, PANEL, TEXT

ATTENTION_TITLES = ("most attended", "least attended")
EVIDENCE_TITLES = ("most evidence for what was done", "most evidence against it")
PIECES = 24
"""Pieces of each kind."""
COLUMNS = 8
SIDE, GAP, MARGIN, TITLE, CAPTION, HEADING = 132, 14, SheetPage.MARGIN, SheetPage.TITLE, 38, 46
"""Pixels: a piece, between two, round the page, and the heights of texts."""
MIN_STEPS_APART = 4
"""A token is shown again only after so many steps."""
SURROUNDINGS = 2.0
"""An entity is cut out with its surroundings, so many times its size."""


class Piece(NamedTuple):
    """One token at one step."""

    step: int
    token: int
    lift: float
    """Its weight over that of an even spread, or its evidence."""


def gallery(
    path: str | Path,
    episode: Episode,
    layer: int | None = None,
    head: int | None = None,
    *,
    show: Shown = "",
    component: str = "",
) -> Path:
    """Write a PNG of the pieces of an episode with most and least evidence or attention.

    Args:
        path: of the PNG.
        layer, head: which map counts, see `recording.map_view.choose_view`.
        show, component: evidence or attention, and which component of evidence, see
            `recording.evidence_view.choose_shown`.

    Raises:
        ValueError: there is no such layer, head or component, the episode is empty or cannot be
            read, no token stands on a picture, or the file cannot be written.
    """
    if not len(episode):
        raise ValueError(f"{episode.folder} holds no step to draw")
    header = episode.header
    scene = Scene.of_episode(episode, layer, head, show, component)
    frame = scene.attended_frame
    if frame is None or not scene.layout.placed:
        raise ValueError(
            f"a gallery shows pieces of pictures, and no token of {header.env_id} stands on one"
        )
    is_evidence = isinstance(scene.view, EvidenceView)
    lifts = token_lifts(episode, scene)
    titles = EVIDENCE_TITLES if is_evidence else ATTENTION_TITLES
    middle = 0.0 if is_evidence else 1.0
    blocks = {
        title: choose_extremes(lifts, sign, middle=middle)
        for title, sign in zip(titles, (-1, 1), strict=True)
    }
    row_height = SIDE + CAPTION + GAP
    rows = {title: -(-len(pieces) // COLUMNS) for title, pieces in blocks.items()}
    noun, lines = "Attention", [*scene.view.description]
    if is_evidence:
        noun, lines = lines[0].capitalize(), lines[1:]
    width = 2 * MARGIN + COLUMNS * (SIDE + GAP) - GAP
    height = TITLE + sum(HEADING + n * row_height for n in rows.values()) + MARGIN
    page, y = SheetPage((width, height), header, lines, 0, noun), TITLE
    for title, pieces in blocks.items():
        page.pen.draw_text(MARGIN, y + 22, title, 17)
        y += HEADING
        for i, piece in enumerate(pieces):
            x = MARGIN + i % COLUMNS * (SIDE + GAP)
            _draw_piece(page.pen, x, y + i // COLUMNS * row_height, piece, episode, scene, frame)
        y += rows[title] * row_height
    return page.save_png(Path(path))


def token_lifts(episode: Episode, scene: Scene) -> np.ndarray:
    """Return each token's weight over that of an even spread, or its evidence, (T, N); NaN where it
    is off the picture."""
    rows = []
    for step in episode:
        weights = scene.view.token_weights(step)
        lift = weights
        if not isinstance(scene.view, EvidenceView):
            lift = weights / max(even_weight(weights, step.present), 1e-12)
        visible = step.present & np.isfinite(scene.layout.boxes(step)).all(1)
        rows.append(np.where(visible, lift, np.nan))
    return np.stack(rows)


def choose_extremes(
    lifts: np.ndarray, sign: int, count: int = PIECES, middle: float = 1.0
) -> list[Piece]:
    """Choose the tokens of greatest (sign -1) or least (sign 1) lift, above `middle` or below it.

    A token counts once in `MIN_STEPS_APART` steps, at its extreme; of equals the choice is spread
    over time.

    Args:
        lifts: (T, N), NaN where there is no token.
    """
    T, N = lifts.shape
    spread = np.random.default_rng(0).permutation(T * N)
    order = spread[np.argsort(sign * lifts.ravel()[spread], kind="stable")]
    pieces: list[Piece] = []
    for index in order.tolist():
        step, token = divmod(index, N)
        lift = float(lifts[step, token])
        if len(pieces) == count or not sign * lift < sign * middle:
            break
        near = (abs(piece.step - step) for piece in pieces if piece.token == token)
        if all(distance >= MIN_STEPS_APART for distance in near):
            pieces.append(Piece(step, token, lift))
    return pieces


def _draw_piece(
    pen: Pen, x: int, y: int, piece: Piece, episode: Episode, scene: Scene, frame: AttendedFrame
) -> None:
    step, box = episode[piece.step], frame.boxes(episode[piece.step])[piece.token]
    part = next(part for part in frame.layout.placed if piece.token < part.token_slice.stop)
    if part.group.kind == "entities":
        middle, radius = (box[:2] + box[2:]) / 2, SURROUNDINGS * np.max(box[2:] - box[:2]) / 2
        box = np.concatenate([middle - radius, middle + radius])
    x0, y0, x1, y1 = (round(float(edge)) for edge in box)
    cut = frame.enlarge_step(step).crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))
    factor = SIDE / max(cut.size)
    size = max(1, round(cut.width * factor)), max(1, round(cut.height * factor))
    pen.draw_box(x, y, x + SIDE, y + SIDE, PANEL)
    cut = cut.resize(size, Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS)
    pen.image.paste(cut, (x + (SIDE - size[0]) // 2, y + (SIDE - size[1]) // 2))
    name = part.names_at(step)[piece.token - part.token_slice.start]
    pen.draw_text(x, y + SIDE + 12, name, 12, TEXT, width=SIDE)
    caption = f"step {piece.step}, {piece.lift:.1f} x even"
    words = scene.evidence_words(step)
    if words is not None:
        said = words.above if piece.lift > 0 else words.below
        caption = f"{piece.step}: {format_signed(piece.lift)} {said}"
    pen.draw_text(x, y + SIDE + 27, caption, 11, DIM, SIDE)
