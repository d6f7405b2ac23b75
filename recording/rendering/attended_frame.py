"""The picture of one step with the attention drawn where its tokens stand."""

from __future__ import annotations

import numpy as np
from PIL import Image

from attention_agents.recording.map_view import EGO
from attention_agents.recording.observation_images import Part, enlarge
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.colors import Pen
from attention_agents.recording.rendering.entities import draw_entities
from attention_agents.recording.rendering.heat import Heat, draw_heat, even_weight, heat_of
from attention_agents.recording.step import Step

LINE = 20
"""Height of a line of the legend under the picture, in pixels."""
STAGE_HEIGHT, STAGE_WIDTH = 400, 1200
"""The picture is enlarged to at least this height, unless it would grow wider than this."""


class Stage:
    """The frame, or the observed picture where there is none, with the tokens that stand on it.

    Args:
        parts: the tokens that stand on it.
        size: (height, width) of the picture, in its own pixels.
        observed: which part's observation is the picture; None where it is the frame.
        asker: who attends, see `View.asker`.
        factor: how much the picture is enlarged.
    """

    def __init__(
        self,
        parts: list[Part],
        size: tuple[int, int],
        observed: Part | None,
        query_source: str,
        factor: float,
    ):
        self.parts, self._size, self._observed = parts, size, observed
        self.query_source = query_source
        self.factor = factor
        self.height, self.width = round(size[0] * factor), round(size[1] * factor)
        self._narrow = self.width < 440
        self.legend = 2 * LINE + (LINE if self._narrow else 0)
        """Height of the legend, in pixels."""

    @classmethod
    def plan(cls, parts: list[Part], first: Step, query_source: str) -> Stage | None:
        """Choose what the stage shows; None where there is neither a frame nor a picture.

        Tokens of past frames do not stand on the present one.
        """
        now = [part for part in parts if not part.group.past]
        if first.frame is not None:
            boxes = None if first.places is None else first.places.boxes
            placed = [p for p in now if boxes is not None and np.isfinite(boxes[p.where]).any()]
            size = first.frame.shape[:2]
            return cls(placed, size, None, query_source, _factor(*size))
        for part in now:
            picture = part.observed(first)
            if picture is not None:
                size = picture.shape[:2]
                return cls([part], size, part, query_source, _factor(*size))
        return None

    @property
    def heated(self) -> bool:
        """Whether attention is drawn as heat, rather than round and between entities."""
        return any(part.group.kind != "entities" for part in self.parts)

    def within(self, width: int, height: int) -> Stage:
        """Return the same stage as large as fits into so many pixels."""
        factor = min(width / self._size[1], height / self._size[0])
        return Stage(self.parts, self._size, self._observed, self.query_source, factor)

    def picture(self, step: Step, weights: np.ndarray) -> Image.Image:
        """Draw the picture with its attention, without a legend."""
        return self._drawn(step, weights)[0]

    def draw(self, pen: Pen, x: int, y: int, step: Step, weights: np.ndarray) -> None:
        image, heat, shown = self._drawn(step, weights)
        pen.image.paste(image, (x, y))
        y += self.height + LINE
        if not self.parts:
            pen.text(x, y, "the tokens have no place on this picture", 12, colors.FAINT)
            return
        share = f"{shown:.0%} of the tokens' weight is on the picture"
        if self._narrow:
            pen.text(x, y + LINE, share, 12, colors.DIM, width=self.width)
        else:
            pen.text(x + self.width, y, share, 12, colors.DIM, anchor="rm")
        if heat is None:
            top = float(weights.max(initial=0.0))
            words = f"{self.query_source} asks, boldest: weight {top:.2f}"
            pen.text(x, y, words, 12, colors.DIM, width=self.width - (0 if self._narrow else 260))
            return
        pen.text(x, y, "0", 12, colors.DIM)
        ramp = Image.fromarray(colors.heat_table()[None]).resize((96, 8))
        pen.image.paste(ramp, (x + 12, y - 4))
        scale = f"{heat.top:.1f} x an even spread" if heat.lift.any() else "no attention"
        pen.text(x + 116, y, scale, 12, colors.DIM, width=self.width - 116)

    def bare(self, picture: np.ndarray | None) -> Image.Image:
        """Return a frame as the stage shows it, without attention; black where there is none."""
        if picture is None:
            picture = np.zeros((1, 1, 3), np.uint8)
        image = enlarge(picture, self.factor)
        if image.size != (self.width, self.height):  # nothing rendered, or in another size
            image = image.resize((self.width, self.height))
        return image

    def bare_picture(self, step: Step) -> Image.Image:
        """Return the picture of a step without attention."""
        seen = step.frame if self._observed is None else self._observed.observed(step)
        return self.bare(seen)

    def boxes(self, step: Step) -> np.ndarray:
        """Return the token boxes (N, 4) in pixels of the picture; NaN for those without a place."""
        own = step.boxes if self._observed is None else self._observed.own_boxes(step)
        return own * np.float32(self.factor)

    def _drawn(self, step: Step, weights: np.ndarray) -> tuple[Image.Image, Heat | None, float]:
        """Return the picture, its heat if it has some, and the share of the weight on it."""
        image, boxes = self.bare_picture(step), self.boxes(step)
        heat, spread = None, [p.where for p in self.parts if p.group.kind != "entities"]
        if spread:
            rows = np.concatenate([np.arange(len(weights))[where] for where in spread])
            even = even_weight(weights, step.present)
            heat = heat_of(weights[rows], boxes[rows], even, (self.height, self.width))
            image = draw_heat(image, heat)
        for part in self.parts:
            if part.group.kind == "entities":
                image = self._with_entities(image, part, step, weights, boxes)
        total = max(float(weights.sum()), 1e-9)
        return image, heat, float(weights[np.isfinite(boxes).all(1)].sum()) / total

    def _with_entities(
        self, image: Image.Image, part: Part, step: Step, weights: np.ndarray, boxes: np.ndarray
    ) -> Image.Image:
        names = list(part.names_at(step))
        asks = part.group.ego if self.query_source == EGO else None
        return draw_entities(image, weights[part.where], boxes[part.where], names, asks)


def _factor(height: int, width: int) -> float:
    """Return how much a picture is enlarged: a whole number, or a fraction if it is too large."""
    if height > 2 * STAGE_HEIGHT or width > STAGE_WIDTH:
        return min(2 * STAGE_HEIGHT / height, STAGE_WIDTH / width)
    return float(max(1, min(-(-STAGE_HEIGHT // height), STAGE_WIDTH // width)))
