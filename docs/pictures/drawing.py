"""From the maps of a pass to a small picture, drawn as recordings are.

Each panel is a frame with its attention, in colors up to its own hottest place, in multiples of an
even spread. Tokens that weigh exactly 0 are darkened, which recordings do not do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from pictures.scene import Scene
from PIL import Image, ImageDraw

from attention_agents.policies.inspect.tap import AttentionMap
from attention_agents.recording.map_spec import mean_over_queries
from attention_agents.recording.rendering.drawing import Pen
from attention_agents.recording.rendering.entities import draw_entities
from attention_agents.recording.rendering.heat import compute_heat, draw_heat, even_weight
from attention_agents.recording.scene import colors

WIDTH, HIGH, MARGIN, GAP = 560, 280, 10, 8
"""Width of a picture, and most height, border and distance of its panels, in pixels."""
TITLE, CAPTION = 32, 22
"""Height of the title and of the line under each panel, in pixels."""
PANELS = 4
"""Panels in a line at most; frames of a history likewise."""
DARK = 150
"""How dark a token is that is not read, of 255."""
BARS = (0.35, "gates of {} channels, 0 to 1")
"""Height of a panel of bars, in its widths, and its caption."""

Maps = tuple[AttentionMap, ...]
Look = Callable[[Maps, Scene], "list[np.ndarray]"]
"""From the maps of a pass to what each panel shows: a weight per key, (N,)."""


class Panel(NamedTuple):
    """What one panel shows."""

    scene: Scene
    weights: np.ndarray
    """Of the tokens, and of further keys, which are not drawn; or of channels."""
    source: AttentionMap
    """Where the weights come from."""
    framed: bool
    """Whether to frame the token that asks."""

    @property
    def shape(self) -> float:
        """Width in heights."""
        if self.source.keys != "tokens":
            return 1 / BARS[0]
        high, wide = self.scene.frames[0].shape[:2]
        columns, lines = grid_of(self.scene)
        return columns * wide / (lines * high)


def readout(maps: Maps, scene: Scene) -> list[np.ndarray]:
    """Take the readout's rows, averaged over heads and queries."""
    rows = _weights(maps[-1])  # (H, Q, N)
    return [_over_heads(maps[-1], mean_over_queries(rows, np.ones(rows.shape[1], bool))[:, 0])]


def asker(maps: Maps, scene: Scene) -> list[np.ndarray]:
    """Take the row of one token, averaged over heads, and over the maps where there are several."""
    return [np.mean([_over_heads(each, _weights(each)[:, scene.asker]) for each in maps], axis=0)]


def queries(maps: Maps, scene: Scene) -> list[np.ndarray]:
    """Take each query of the first map, averaged over heads."""
    return list(_over_heads(maps[0], _weights(maps[0])))


def heads(maps: Maps, scene: Scene) -> list[np.ndarray]:
    """Take each head of the readout's only row."""
    return list(_weights(maps[-1])[:, 0])


def gates(maps: Maps, scene: Scene) -> list[np.ndarray]:
    """Take the gates of the channels."""
    return [_weights(maps[0])[0, 0]]


def arranged(name: str, rows: Sequence[Sequence[Panel]]) -> Image.Image:
    """Draw the panels of each task in a line, and all in one if that has room."""
    together = [panel for row in rows for panel in row]
    lines = [together] if len(together) <= PANELS and not _is_film(together[0]) else rows
    images = [line_of(line) for line in lines]
    size = (WIDTH, TITLE + sum(each.height for each in images) + MARGIN)
    picture, y = Image.new("RGB", size, colors.BACKGROUND), TITLE
    title(Pen(picture), name, together[0])
    for each in images:
        picture.paste(each, (0, y))
        y += each.height
    return picture


def title(pen: Pen, name: str, panel: Panel) -> None:
    """Write the name, who asks, and what the colors mean."""
    used = pen.draw_text(MARGIN, TITLE / 2, name, 18)
    left = WIDTH - MARGIN
    if panel.source.keys == "tokens" and panel.scene.layout.groups[0].kind != "entities":
        left -= pen.draw_text(left, TITLE / 2, "hottest", 13, colors.DIM, anchor="rm") + 74
        ramp = Image.fromarray(colors.heat_table()[None]).resize((64, 10))
        pen.image.paste(ramp, (round(left) + 5, TITLE // 2 - 5))
        left -= pen.draw_text(left, TITLE / 2, "0", 13, colors.DIM, anchor="rm")
    one = panel.source.query_source or panel.source.queries
    who = "framed token asks" if panel.framed else f"asker: {one}"
    room = left - used - 3 * MARGIN
    pen.draw_text(MARGIN + used + 12, TITLE / 2 + 2, who, 13, colors.DIM, room)


def line_of(panels: Sequence[Panel]) -> Image.Image:
    """Draw panels side by side, as high as there is room, in the middle, with their captions."""
    room = WIDTH - 2 * MARGIN - GAP * (len(panels) - 1)
    high = min(HIGH, room / sum(panel.shape for panel in panels))
    drawn = [draw(panel, round(high * panel.shape)) for panel in panels]
    used = sum(image.width + GAP for image, _ in drawn) - GAP
    tallest = max(image.height for image, _ in drawn)
    line = Image.new("RGB", (WIDTH, tallest + CAPTION), colors.BACKGROUND)
    pen, x = Pen(line), (WIDTH - used) // 2
    for image, caption in drawn:
        line.paste(image, (x, 0))
        middle = x + image.width / 2
        pen.draw_text(middle, tallest + 10, caption, 13, colors.DIM, image.width + GAP, anchor="mm")
        x += image.width + GAP
    return line


def draw(panel: Panel, width: int) -> tuple[Image.Image, str]:
    """Draw one panel, so many pixels wide, and say what its colors reach up to."""
    scene, weights = panel.scene, panel.weights
    if panel.source.keys != "tokens":
        return bars(weights, width), BARS[1].format(len(weights))
    image, boxes = film(scene, width)
    group, count = scene.layout.groups[0], min(len(weights), len(boxes))
    if group.kind == "entities":
        image = draw_entities(image, weights, boxes, [""] * len(weights), group.ego)
        return image, f"boldest: weight {weights.max():.2f}"
    even = even_weight(weights, np.ones(len(weights), bool))
    heat = compute_heat(weights[:count], boxes[:count], even, (image.height, image.width))
    image = darkened(draw_heat(image, heat), boxes[:count][weights[:count] == 0])
    if panel.framed:
        x0, y0, x1, y1 = np.round(boxes[scene.asker]).tolist()
        ImageDraw.Draw(image).rectangle((x0, y0, x1 - 1, y1 - 1), None, colors.TEXT, 2)
    return image, f"{heat.top:.1f} x even"


def film(scene: Scene, width: int) -> tuple[Image.Image, np.ndarray]:
    """Return the frames in lines of up to four, and where each token stands on them, in pixels."""
    high, wide = scene.frames[0].shape[:2]
    columns, lines = grid_of(scene)
    across = (width - GAP * (columns - 1)) // columns
    down = round(high * across / wide)
    size = (columns * (across + GAP) - GAP, lines * (down + GAP) - GAP)
    image = Image.new("RGB", size, colors.BACKGROUND)
    places = [divmod(i, columns)[::-1] for i in range(len(scene.frames))]
    corners = np.array(places) * (across + GAP, down + GAP)
    for frame, corner in zip(scene.frames, corners.tolist(), strict=True):
        small = Image.fromarray(frame).resize((across, down), Image.Resampling.LANCZOS)
        image.paste(small, tuple(corner))
    moved = np.tile(corners[scene.on_frame], 2)  # (N, 4)
    return image, scene.boxes * (across / wide) + moved


def darkened(image: Image.Image, boxes: np.ndarray) -> Image.Image:
    """Darken the boxes that are somewhere."""
    shade = Image.new("L", image.size)
    for x0, y0, x1, y1 in np.round(boxes[np.isfinite(boxes).all(1)]).tolist():
        ImageDraw.Draw(shade).rectangle((x0, y0, x1 - 1, y1 - 1), DARK)
    return Image.composite(Image.new("RGB", image.size, colors.BACKGROUND), image, shade)


def bars(weights: np.ndarray, width: int) -> Image.Image:
    """Draw weights from 0 to 1 that stand nowhere."""
    image = Image.new("RGB", (width, round(width * BARS[0])), colors.PANEL)
    pen, each = Pen(image), width / len(weights)
    for i, weight in enumerate(weights.tolist()):
        left, top = i * each, image.height * (1 - weight)
        pen.draw_box(left + 1, top, left + each - 1, image.height, colors.bar_color(weight))
    return image


def grid_of(scene: Scene) -> tuple[int, int]:
    """Return in how many columns and lines the frames stand."""
    columns = min(PANELS, len(scene.frames))
    return columns, -(-len(scene.frames) // columns)


def _is_film(panel: Panel) -> bool:
    return len(panel.scene.frames) > 1


def _weights(one: AttentionMap) -> np.ndarray:
    """Return (H, Q, N); weights below 0 are shown by their size."""
    return one.weights[0].abs().numpy()


def _over_heads(one: AttentionMap, rows: np.ndarray) -> np.ndarray:
    counts = None if one.heads is None else one.heads.numpy()
    return np.average(rows, 0, counts)
