"""The picture of one step with the attention drawn where its tokens stand."""

from __future__ import annotations

import numpy as np
from PIL import Image

from attention_agents.recording.map_view import EGO
from attention_agents.recording.observation_images import enlarge_image
from attention_agents.recording.rendering.drawing import RAMP, Pen
from attention_agents.recording.rendering.entities import draw_entities
from attention_agents.recording.rendering.heat import Heat, compute_heat, draw_heat, even_weight
from attention_agents.recording.scene.colors import DIM, FAINT
from attention_agents.recording.scene.scene_layout import SceneLayout
from attention_agents.recording.step import Step

LINE = 20
"""Height of a line of the legend under the picture, in pixels."""
MIN_HEIGHT, MAX_WIDTH = 400, 1200
"""The picture is enlarged to at least this height, unless it would grow wider than this."""
NARROW = 440
"""A narrower picture has a legend of one more line, in pixels."""


class AttendedFrame:
    """The frame, or the observed picture where there is none, with the tokens that stand on it.

    Args:
        layout: what stands on it; it has a picture.
        query_source: who attends, see `View.query_source`.
        factor: how much the picture is enlarged; None chooses it.
    """

    def __init__(self, layout: SceneLayout, query_source: str, factor: float | None = None):
        assert layout.size is not None
        self.layout, self.query_source = layout, query_source
        self.factor = _enlargement(*layout.size) if factor is None else factor
        self.height, self.width = (round(side * self.factor) for side in layout.size)
        self._narrow = self.width < NARROW
        self.legend = 3 * LINE if self._narrow else 2 * LINE
        """Height of the legend, in pixels."""

    def fit_into(self, width: int, height: int) -> AttendedFrame:
        """Return the same picture as large as fits into so many pixels."""
        rows, cols = self.layout.size or (1, 1)
        return AttendedFrame(self.layout, self.query_source, min(width / cols, height / rows))

    def render(self, step: Step, weights: np.ndarray) -> Image.Image:
        """Return the picture with its attention, without a legend."""
        return self._render_heat(step, weights)[0]

    def draw(self, pen: Pen, x: int, y: int, step: Step, weights: np.ndarray) -> None:
        """Draw the picture with its attention, and its legend below."""
        image, heat = self._render_heat(step, weights)
        pen.image.paste(image, (x, y))
        y += self.height + LINE
        if not self.layout.placed:
            pen.draw_text(x, y, "the tokens have no place on this picture", 12, FAINT)
            return
        placed = weights[np.isfinite(self.boxes(step)).all(1)].sum()
        share = float(placed) / max(float(weights.sum()), 1e-9)
        text = f"{share:.0%} of the tokens' weight is on the picture"
        if self._narrow:
            pen.draw_text(x, y + LINE, text, 12, DIM, width=self.width)
        else:
            pen.draw_text(x + self.width, y, text, 12, DIM, anchor="rm")
        if heat is None:
            text = f"{self.query_source} asks, boldest: weight {weights.max(initial=0.0):.2f}"
            room = self.width if self._narrow else self.width - 260
            pen.draw_text(x, y, text, 12, DIM, width=room)
            return
        pen.draw_text(x, y, "0", 12, DIM)
        pen.draw_ramp(x + 12, y)
        scale = f"{heat.top:.1f} x an even spread" if heat.lift.any() else "no attention"
        x0 = RAMP[0] + 20
        pen.draw_text(x + x0, y, scale, 12, DIM, width=self.width - x0)

    def enlarge(self, picture: np.ndarray | None) -> Image.Image:
        """Return a picture in the size of this one, without attention; black where it is None."""
        if picture is None:
            picture = np.zeros((1, 1, 3), np.uint8)
        image = enlarge_image(picture, self.factor)
        if image.size != (self.width, self.height):  # nothing rendered, or in another size
            image = image.resize((self.width, self.height))
        return image

    def enlarge_step(self, step: Step) -> Image.Image:
        """Return the picture of a step without attention."""
        return self.enlarge(self.layout.picture(step))

    def boxes(self, step: Step) -> np.ndarray:
        """Return the token boxes (N, 4) in pixels of the picture; NaN for those without a place."""
        return self.layout.boxes(step) * np.float32(self.factor)

    def _render_heat(self, step: Step, weights: np.ndarray) -> tuple[Image.Image, Heat | None]:
        """Return the picture, and its heat if it has some."""
        image, boxes, heat = self.enlarge_step(step), self.boxes(step), None
        if self.layout.has_heat:
            parts = [part for part in self.layout.placed if part.group.kind != "entities"]
            tokens = np.concatenate([np.arange(len(weights))[part.token_slice] for part in parts])
            even = even_weight(weights, step.present)
            heat = compute_heat(weights[tokens], boxes[tokens], even, (self.height, self.width))
            image = draw_heat(image, heat)
        for part in self.layout.placed:
            if part.group.kind == "entities":
                query = part.group.ego if self.query_source == EGO else None
                names, tokens = part.names_at(step), part.token_slice
                image = draw_entities(image, weights[tokens], boxes[tokens], names, query)
        return image, heat


def _enlargement(height: int, width: int) -> float:
    """Return how much a picture is enlarged: a whole number, or a fraction if it is too large."""
    if height > 2 * MIN_HEIGHT or width > MAX_WIDTH:
        return min(2 * MIN_HEIGHT / height, MAX_WIDTH / width)
    return float(max(1, min(-(-MIN_HEIGHT // height), MAX_WIDTH // width)))
