"""The scale of evidence: the same for a whole episode, and the same for both signs.

It ends at a robust maximum, the 95th percentile over steps of the largest magnitude of each step: a
single step without equal does not pale all others. What is larger gets the full color.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from attention_agents.recording.evidence_view import EvidenceView
from attention_agents.recording.reader import Episode
from attention_agents.recording.scene.scene_layout import SceneLayout
from attention_agents.recording.step import Step

PERCENTILE = 95
MAX_STEPS = 128
"""Of a longer episode so many steps are looked at, spread evenly."""
SMALLEST = 1e-9
_POINTS = (1 / 6, 1 / 2, 5 / 6)
"""Where the picture is looked at, as shares of each token's box, in both directions."""


class EvidenceScale(NamedTuple):
    """What counts as large, > 0, in units of the margin."""

    token: float
    """Evidence of one token: the full length of a bar."""
    picture: float
    """Evidence at a point of the picture, the mean of the tokens that see it: the full color."""


def episode_scale(episode: Episode, view: EvidenceView, layout: SceneLayout) -> EvidenceScale:
    """Return the scale of the evidence of an episode."""
    T = len(episode)
    chosen = np.unique(np.linspace(0, T - 1, min(T, MAX_STEPS)).round().astype(int))
    return evidence_scale((episode[t] for t in chosen.tolist()), view, layout)


def evidence_scale(steps: Iterable[Step], view: EvidenceView, layout: SceneLayout) -> EvidenceScale:
    """Return the scale of the evidence of some steps."""
    tokens, pictures = [], []
    for step in steps:
        evidence = view.token_weights(step)
        tokens.append(np.abs(evidence).max(initial=0.0))
        pictures.append(_largest_on_picture(evidence, step, layout))
    return EvidenceScale(_robust_maximum(tokens), _robust_maximum(pictures))


def _robust_maximum(values: Sequence[float]) -> float:
    """Return the percentile of what is above 0."""
    largest = [value for value in values if value > 0]
    return max(float(np.percentile(largest, PERCENTILE)), SMALLEST) if largest else 1.0


def _largest_on_picture(evidence: np.ndarray, step: Step, layout: SceneLayout) -> float:
    """Return the largest magnitude of evidence at points of the pictures of a step."""
    pictures = [layout.boxes(step), *(part.picture_boxes(step) for part in layout.pictured)]
    largest = 0.0
    for boxes in pictures:
        seen = np.isfinite(boxes).all(-1)
        if seen.any():
            largest = max(
                largest, float(np.abs(_means_at_points(evidence[seen], boxes[seen])).max())
            )
    return largest


def _means_at_points(evidence: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the mean evidence, weighted by 1 / area, of the tokens that see each point."""
    sides = boxes[:, 2:] - boxes[:, :2]
    shares = np.array([(x, y) for y in _POINTS for x in _POINTS])
    points = (boxes[:, None, :2] + shares * sides[:, None]).reshape(-1, 1, 2)  # (9 N, 1, 2)
    inside = ((points >= boxes[:, :2]) & (points < boxes[:, 2:])).all(-1)  # (9 N, N)
    weights = inside / np.maximum(sides.prod(-1), SMALLEST)
    return weights @ evidence / np.maximum(weights.sum(-1), 1e-30)
