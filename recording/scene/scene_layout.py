"""Which tokens stand on the picture of an episode, and where the others are shown.

It is chosen from one step, so that all pictures of an episode have one layout. Film, sheet,
terminal and page draw by it; a page gets it as JSON, with token groups by their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from attention_agents.recording.header import Header
from attention_agents.recording.observation_images import GroupSlice, group_slices
from attention_agents.recording.scene.past_objects import row_count
from attention_agents.recording.step import Step


@dataclass(frozen=True)
class SceneLayout:
    """Where each token group of an episode is shown."""

    parts: tuple[GroupSlice, ...]
    size: tuple[int, int] | None
    """(height, width) of the picture, in its own pixels; None where there is none."""
    observed: GroupSlice | None
    """Whose observation the picture is; None where it is the rendered frame, or nothing."""
    placed: tuple[GroupSlice, ...]
    """Parts that stand on the picture."""
    past_frames: tuple[tuple[GroupSlice, ...], ...]
    """Past frames that were observed, those of each part of the observation together, oldest
    first."""
    past_tables: tuple[tuple[GroupSlice, ...], ...]
    """Entities of past steps, those of each part of the observation together, oldest first."""
    strip: GroupSlice | None
    """A history that is shown as the frames of its steps."""
    grids: tuple[GroupSlice, ...]
    """Parts whose observation is a picture of its own, beside the frame."""
    bars: tuple[GroupSlice, ...]
    """Parts without any place, shown as named bars."""

    @property
    def pictured(self) -> tuple[GroupSlice, ...]:
        """Parts whose observation is shown as a picture."""
        past = [part for frames in self.past_frames for part in frames]
        return (*([self.observed] if self.observed else []), *past, *self.grids)

    @property
    def unplaced(self) -> tuple[GroupSlice, ...]:
        """Parts that stand on no picture at all."""
        past = [part for table in self.past_tables for part in table]
        return (*self.bars, *past, *([self.strip] if self.strip else []))

    @property
    def has_heat(self) -> bool:
        """Whether attention is drawn as heat, rather than round and between entities."""
        return any(part.group.kind != "entities" for part in self.placed)

    @cached_property
    def on_picture(self) -> np.ndarray:
        """(N,) bool: tokens of the parts that stand on the picture."""
        mask = np.zeros(sum(len(part.group) for part in self.parts), bool)
        for part in self.placed:
            mask[part.token_slice] = True
        return mask

    def picture(self, step: Step) -> np.ndarray | None:
        """Return the picture of a step, (height, width, 3) uint8; None where there is none."""
        return step.frame if self.observed is None else self.observed.observation_image(step)

    def boxes(self, step: Step) -> np.ndarray:
        """Return token boxes (N, 4) in the picture's own pixels; NaN for those without a place."""
        boxes = step.boxes if self.observed is None else self.observed.picture_boxes(step)
        return np.where(self.on_picture[:, None], boxes, np.float32(np.nan))

    def number(self, part: GroupSlice) -> int:
        """Return which of the token groups a part is."""
        return self.parts.index(part)

    def to_json(self) -> dict[str, Any]:
        """Return it with parts as their numbers."""

        def numbers(parts: tuple[GroupSlice, ...]) -> list[int]:
            return [self.number(part) for part in parts]

        return {
            "size": self.size,
            "observed": None if self.observed is None else self.number(self.observed),
            "placed": numbers(self.placed),
            "past_frames": [numbers(frames) for frames in self.past_frames],
            "past_tables": [
                {"parts": numbers(table), "rows": row_count(table)[0]} for table in self.past_tables
            ],
            "strip": None if self.strip is None else self.number(self.strip),
            "grids": numbers(self.grids),
            "bars": numbers(self.bars),
        }


def layout_of(header: Header, first: Step) -> SceneLayout:
    """Choose where tokens are shown, from a step of an episode.

    Tokens of past frames do not stand on the present one.
    """
    parts = group_slices(header.layout)
    observed, placed = _parts_on_picture(parts, first)
    picture = first.frame if observed is None else observed.observation_image(first)
    size = None if picture is None else (picture.shape[0], picture.shape[1])
    pictured = [part for part in parts if part.observation_image(first) is not None]
    past_frames = () if size is None else _group_past(pictured)
    past_tables = past_entities(parts)
    rest = [part for part in parts if part not in _flat(((*placed,), *past_frames, *past_tables))]
    grids = [part for part in rest if part in pictured]
    histories = [part for part in rest if part.group.kind == "history" and part not in grids]
    strip = histories[-1] if histories and first.frame is not None else None
    return SceneLayout(
        parts=tuple(parts),
        size=size,
        observed=observed,
        placed=tuple(placed),
        past_frames=past_frames,
        past_tables=past_tables,
        strip=strip,
        grids=tuple(grids),
        bars=tuple(part for part in rest if part not in grids and part != strip),
    )


def past_entities(parts: Sequence[GroupSlice]) -> tuple[tuple[GroupSlice, ...], ...]:
    """Return the entities of past steps among some tokens, those of each part of the observation
    together, oldest first."""
    return _group_past([part for part in parts if part.group.kind == "entities"])


def rank_tokens(
    parts: tuple[GroupSlice, ...], step: Step, weights: np.ndarray
) -> list[tuple[str, float]]:
    """Return names and weights of the tokens of some parts, the largest first, whatever their sign;
    absent ones are left out."""
    shown = step.present | (weights != 0)
    pairs = [
        (part.names_at(step)[i], float(weights[part.token_slice][i]))
        for part in parts
        for i in np.flatnonzero(shown[part.token_slice])
    ]
    return rank_weights(pairs)


def rank_weights(named: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return names and weights, the largest first, whatever their sign; equal ones stay in their
    order."""
    return sorted(named, key=lambda pair: -abs(pair[1]))


def _parts_on_picture(
    parts: list[GroupSlice], first: Step
) -> tuple[GroupSlice | None, list[GroupSlice]]:
    """Return whose observation is the picture (None: the frame), and what stands on it."""
    present = [part for part in parts if not part.group.past]
    if first.frame is None:
        observed = next(
            (part for part in present if part.observation_image(first) is not None), None
        )
        return observed, [observed] if observed else []
    if first.places is None:
        return None, []
    boxes = first.places.boxes
    return None, [part for part in present if np.isfinite(boxes[part.token_slice]).any()]


def _group_past(parts: Sequence[GroupSlice]) -> tuple[tuple[GroupSlice, ...], ...]:
    """Return parts of past steps, those of each part of the observation together, oldest first."""
    by_key: dict[str, list[GroupSlice]] = {}
    for part in parts:
        if part.group.past:
            by_key.setdefault(part.group.key, []).append(part)
    return tuple(
        tuple(sorted(history, key=lambda part: part.offset)) for history in by_key.values()
    )


def _flat(groups: tuple[tuple[GroupSlice, ...], ...]) -> list[GroupSlice]:
    return [part for group in groups for part in group]
