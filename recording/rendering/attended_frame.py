"""The picture of one step with the attention or the evidence drawn where its tokens stand."""

from __future__ import annotations

import numpy as np
from PIL import Image

from attention_agents.recording.map_view import EGO
from attention_agents.recording.observation_images import enlarge_image
from attention_agents.recording.rendering.drawing import RAMP, Pen, text_width
from attention_agents.recording.rendering.entities import draw_entities
from attention_agents.recording.rendering.heat import Heat
from attention_agents.recording.rendering.paint import (
    WEIGHTS,
    EvidencePaint,
    Paint,
    PaintedHeat,
    format_scale,
)
from attention_agents.recording.rendering.signed_heat import evidence_ramp, fade_colors
from attention_agents.recording.scene.colors import AGAINST, BACKGROUND, DIM, FAINT, FOR
from attention_agents.recording.scene.evidence_words import EvidenceWords
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
        paint: of the numbers of its tokens.
    """

    def __init__(
        self,
        layout: SceneLayout,
        query_source: str,
        factor: float | None = None,
        paint: Paint = WEIGHTS,
    ):
        assert layout.size is not None
        self.layout, self.query_source, self.paint = layout, query_source, paint
        self.factor = _enlargement(*layout.size) if factor is None else factor
        self.height, self.width = (round(side * self.factor) for side in layout.size)
        self._narrow = self.width < NARROW
        lines = 2 + self._narrow + isinstance(paint, EvidencePaint)
        self.legend = lines * LINE
        """Height of the legend, in pixels."""

    def fit_into(self, width: int, height: int) -> AttendedFrame:
        """Return the same picture as large as fits into so many pixels."""
        rows, cols = self.layout.size or (1, 1)
        factor = min(width / cols, height / rows)
        return AttendedFrame(self.layout, self.query_source, factor, self.paint)

    def render(self, step: Step, weights: np.ndarray) -> Image.Image:
        """Return the picture with its attention, without a legend."""
        return self._render_heat(step, weights)[0]

    def draw(
        self,
        pen: Pen,
        x: int,
        y: int,
        step: Step,
        weights: np.ndarray,
        words: EvidenceWords | None = None,
    ) -> None:
        """Draw the picture with its attention, and its legend below.

        Args:
            words: what the signs of evidence mean; None for attention.
        """
        image, heat = self._render_heat(step, weights)
        pen.image.paste(image, (x, y))
        y += self.height + LINE
        if not self.layout.placed:
            pen.draw_text(x, y, "the tokens have no place on this picture", 12, FAINT)
        elif isinstance(self.paint, EvidencePaint):
            assert words is not None, "evidence is for or against something"
            self._draw_evidence_legend(pen, x, y, step, weights, words)
        else:
            self._draw_weight_legend(pen, x, y, step, weights, heat)

    def _draw_weight_legend(
        self,
        pen: Pen,
        x: int,
        y: int,
        step: Step,
        weights: np.ndarray,
        painted: PaintedHeat | None,
    ) -> None:
        text = f"{self._placed_share(step, weights):.0%} of the tokens' weight is on the picture"
        if self._narrow:
            pen.draw_text(x, y + LINE, text, 12, DIM, width=self.width)
        else:
            pen.draw_text(x + self.width, y, text, 12, DIM, anchor="rm")
        if painted is None:
            text = f"{self.query_source} asks, boldest: weight {weights.max(initial=0.0):.2f}"
            room = self.width if self._narrow else self.width - 260
            pen.draw_text(x, y, text, 12, DIM, width=room)
            return
        pen.draw_text(x, y, "0", 12, DIM)
        pen.draw_ramp(x + 12, y)
        heat = painted.heat
        assert isinstance(heat, Heat), "weights are painted as heat"
        scale = f"{heat.top:.1f} x an even spread" if heat.lift.any() else "no attention"
        x0 = RAMP[0] + 20
        pen.draw_text(x + x0, y, scale, 12, DIM, width=self.width - x0)

    def _draw_evidence_legend(
        self, pen: Pen, x: int, y: int, step: Step, weights: np.ndarray, words: EvidenceWords
    ) -> None:
        """Draw what the two hues mean, the end of the scale, and how much is on the picture."""
        assert isinstance(self.paint, EvidencePaint)
        ramp, room = RAMP[0], (self.width - RAMP[0] - 20) / 2
        used = pen.draw_text(x, y, words.below, 13, AGAINST, width=room)
        pen.image.paste(evidence_ramp(*RAMP, BACKGROUND), (round(x + used + 10), y - RAMP[1] // 2))
        pen.draw_text(x + used + ramp + 20, y, words.above, 13, FOR, width=room)
        scale = self.paint.scale
        end = scale.picture if self.layout.has_heat else scale.token
        left = f"full color: ±{format_scale(end)}"
        right = f"{self._placed_share(step, np.abs(weights)):.0%} of all evidence is on the picture"
        pen.draw_text(x, y + LINE, left, 12, DIM)
        if self._narrow:
            pen.draw_text(x, y + 2 * LINE, right, 12, DIM, width=self.width)
        else:
            room = self.width - text_width(left, 12) - 20
            pen.draw_text(x + self.width, y + LINE, right, 12, DIM, room, anchor="rm")

    def _placed_share(self, step: Step, sizes: np.ndarray) -> float:
        """Return the share of some sizes (N,) that stands on the picture, 0 to 1."""
        placed = sizes[np.isfinite(self.boxes(step)).all(1)].sum()
        return float(placed) / max(float(sizes.sum()), 1e-9)

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

    def _render_heat(
        self, step: Step, weights: np.ndarray
    ) -> tuple[Image.Image, PaintedHeat | None]:
        """Return the picture, and its heat if it has some."""
        image, boxes, heat = self.enlarge_step(step), self.boxes(step), None
        if self.layout.has_heat:
            parts = [part for part in self.layout.placed if part.group.kind != "entities"]
            tokens = np.concatenate([np.arange(len(weights))[part.token_slice] for part in parts])
            heat = self.paint.heat(weights, boxes, step, tokens, (self.height, self.width))
            image = heat.draw(image)
        elif self.layout.placed and isinstance(self.paint, EvidencePaint):
            image = fade_colors(image)
        for part in self.layout.placed:
            if part.group.kind == "entities":
                query = part.group.ego if self.query_source == EGO else None
                names, tokens = part.names_at(step), part.token_slice
                shown = weights[tokens], boxes[tokens]
                image = draw_entities(image, *shown, names, query, self.paint)
        return image, heat


def _enlargement(height: int, width: int) -> float:
    """Return how much a picture is enlarged: a whole number, or a fraction if it is too large."""
    if height > 2 * MIN_HEIGHT or width > MAX_WIDTH:
        return min(2 * MIN_HEIGHT / height, MAX_WIDTH / width)
    return float(max(1, min(-(-MIN_HEIGHT // height), MAX_WIDTH // width)))
