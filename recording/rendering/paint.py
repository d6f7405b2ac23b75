"""How the numbers of tokens are painted: attention weights by brightness, evidence by two hues."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from attention_agents.recording.rendering.drawing import Pen
from attention_agents.recording.rendering.heat import (
    Heat,
    compute_heat,
    draw_heat,
    even_weight,
)
from attention_agents.recording.rendering.signed_heat import (
    SignedHeat,
    compute_signed_heat,
    draw_signed_heat,
    fade_colors,
)
from attention_agents.recording.scene.colors import Color, bar_color, evidence_color
from attention_agents.recording.scene.evidence_scale import EvidenceScale
from attention_agents.recording.step import Step


class PaintedHeat(NamedTuple):
    """Heat that is not yet on a picture."""

    heat: Heat | SignedHeat
    note: str
    """Its scale in a few words."""

    def draw(self, image: Image.Image) -> Image.Image:
        """Return an RGB picture with the heat mixed in."""
        if isinstance(self.heat, SignedHeat):
            return draw_signed_heat(fade_colors(image), self.heat)
        return draw_heat(image, self.heat)


class Paint(Protocol):
    """How numbers (N,) of tokens become bars, texts and heat."""

    noun: str
    """What the numbers are called."""

    def top(self, weights: np.ndarray) -> float:
        """Return the number that fills a bar, > 0, from all numbers of the step."""
        ...

    def share(self, weight: float, top: float) -> float:
        """Return how far a number fills a bar, -1 to 1."""
        ...

    def color(self, share: float) -> Color:
        """Return the color of a bar."""
        ...

    def draw_bar(self, pen: Pen, x: float, y: float, width: float, share: float) -> None:
        """Draw a horizontal bar, centered on y."""
        ...

    def draw_column(
        self, pen: Pen, x: float, y: float, width: float, height: float, share: float
    ) -> None:
        """Fill the part of an upright box that a share takes; y is its top."""
        ...

    def format(self, weight: float, digits: int = 3) -> str:
        """Return a number in a few characters."""
        ...

    def describe_sum(self, weights: np.ndarray) -> str:
        """Return the sum of some numbers in words."""
        ...

    def heat(
        self,
        weights: np.ndarray,
        boxes: np.ndarray,
        step: Step,
        tokens: slice | np.ndarray,
        size: tuple[int, int],
    ) -> PaintedHeat:
        """Return the heat of some tokens on a picture.

        Args:
            weights: (N,) of all tokens of the step.
            boxes: (N, 4) in pixels of the picture, NaN for those that are not on it.
            tokens: which of the N are laid on the picture.
            size: (height, width).
        """
        ...


class WeightPaint:
    """Attention weights: the largest of the step is brightest and fills a bar."""

    noun = "weight"

    def top(self, weights: np.ndarray) -> float:
        return max(float(weights.max(initial=0.0)), 1e-9)

    def share(self, weight: float, top: float) -> float:
        return weight / max(top, 1e-9)

    def color(self, share: float) -> Color:
        return bar_color(share)

    def draw_bar(self, pen: Pen, x: float, y: float, width: float, share: float) -> None:
        pen.draw_bar(x, y, width, share, bar_color(share))

    def draw_column(
        self, pen: Pen, x: float, y: float, width: float, height: float, share: float
    ) -> None:
        pen.draw_box(x, y + height * (1 - share), x + width, y + height, bar_color(share))

    def format(self, weight: float, digits: int = 3) -> str:
        return f"{weight:.{digits}f}"

    def describe_sum(self, weights: np.ndarray) -> str:
        return f"weight, sum {weights.sum():.2f}"

    def heat(
        self,
        weights: np.ndarray,
        boxes: np.ndarray,
        step: Step,
        tokens: slice | np.ndarray,
        size: tuple[int, int],
    ) -> PaintedHeat:
        even = even_weight(weights, step.present)
        heat = compute_heat(weights[tokens], boxes[tokens], even, size)
        return PaintedHeat(heat, f"to {heat.top:.1f} x even")


class EvidencePaint:
    """Evidence: one hue for, another against, on a scale that is the same for an episode.

    Args:
        scale: of the episode.
    """

    noun = "evidence"

    def __init__(self, scale: EvidenceScale):
        self.scale = scale

    def top(self, weights: np.ndarray) -> float:
        return self.scale.token

    def share(self, weight: float, top: float) -> float:
        return min(max(weight / top, -1.0), 1.0)

    def color(self, share: float) -> Color:
        return evidence_color(share)

    def draw_bar(self, pen: Pen, x: float, y: float, width: float, share: float) -> None:
        pen.draw_signed_bar(x, y, width, share, evidence_color(share))

    def draw_column(
        self, pen: Pen, x: float, y: float, width: float, height: float, share: float
    ) -> None:
        middle = y + height / 2
        end = middle - share * height / 2
        pen.draw_box(x, min(middle, end), x + width, max(middle, end), evidence_color(share))

    def format(self, weight: float, digits: int = 3) -> str:
        return format_signed(weight, digits - 1)

    def describe_sum(self, weights: np.ndarray) -> str:
        return f"evidence, net {format_signed(float(weights.sum()))}"

    def heat(
        self,
        weights: np.ndarray,
        boxes: np.ndarray,
        step: Step,
        tokens: slice | np.ndarray,
        size: tuple[int, int],
    ) -> PaintedHeat:
        heat = compute_signed_heat(weights[tokens], boxes[tokens], self.scale.picture, size)
        return PaintedHeat(heat, f"to ±{format_scale(heat.top)}")


WEIGHTS = WeightPaint()


def format_signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign; 0 where it rounds to that."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def format_scale(value: float) -> str:
    """Return the end of a scale in a few characters."""
    return f"{value:.2g}"
