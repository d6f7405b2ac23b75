"""The observation itself as a picture, for tokens that were cut from one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, add_age, strip_age
from attention_agents.recording.step import Step

CATEGORY_COLORS: tuple[tuple[int, int, int], ...] = (
    *((38, 43, 51), (104, 112, 124), (242, 190, 84), (86, 180, 233), (0, 158, 115)),
    *((213, 94, 0), (204, 121, 167), (240, 228, 66), (120, 94, 240), (160, 215, 120)),
    *((250, 150, 130), (130, 200, 200)),
)
"""Colors without an order, for the categories and feature planes of a grid; the first is empty."""


class Part(NamedTuple):
    """A token group and where its tokens lie among the N."""

    group: TokenGroup
    where: slice

    @property
    def title(self) -> str:
        return self.group.key or self.group.kind

    @property
    def offset(self) -> int:
        """Steps back in time of its newest token, <= 0."""
        return 0 if self.group.offsets is None else max(self.group.offsets)

    def name(self, i: int) -> str:
        """Return the name of token i of the group; the only token of a key goes by that."""
        return self.group.key if len(self.group) == 1 and self.group.key else self.group.names[i]

    @property
    def undated(self) -> tuple[str, ...]:
        """Names of the group's tokens; those of entities do not say how old they are."""
        names = tuple(self.name(i) for i in range(len(self.group)))
        if self.group.kind != "entities":
            return names
        return tuple(strip_age(name, self.offset) for name in names)

    def names_at(self, step: Step, dated: bool = True) -> tuple[str, ...]:
        """Return the names of the group's tokens at a step.

        Entities that are numbered go by their identities, where these are known: "vehicle 3" is the
        same vehicle at every step, whatever row of the observation it is in.

        Args:
            step: tells the identities.
            dated: name entities of the past as such, "vehicle 3, -2 steps".
        """
        names = self.undated
        if self.group.kind == "entities":
            ids = [-1] * len(names) if step.places is None else step.places.ids[self.where].tolist()
            names = tuple(called(*pair) for pair in zip(names, ids, strict=True))
            if dated:
                names = tuple(add_age(name, self.offset) for name in names)
        return names

    def own_boxes(self, step: Step) -> np.ndarray:
        """Return boxes (N, 4) in pixels of the group's own picture; NaN for absent tokens and those
        of other groups."""
        boxes = np.full((step.num_tokens, 4), np.nan, np.float32)
        if self.group.boxes is not None:
            boxes[self.where] = np.array(self.group.boxes, np.float32)
        boxes[~step.present] = np.nan
        return boxes

    def observed(self, step: Step) -> np.ndarray | None:
        """Return the group's observation as a picture; None where it is none."""
        return observation_picture(self.group, step.observation[self.group.key])


def called(name: str, identity: int) -> str:
    """Return what an entity is called, "vehicle 12"; by its name alone if its identity is -1, or
    the name is no number's."""
    return f"{stem_of(name)} {identity}" if identity >= 0 and stem_of(name) else name


def stem_of(name: str) -> str:
    """Return what comes before the number of a name, "vehicle" of "vehicle 3"; "" without one."""
    return name.rstrip("0123456789 ") if name[-1:].isdigit() else ""


def parts_of(layout: TokenLayout) -> list[Part]:
    return [Part(*pair) for pair in zip(layout.groups, layout.slices, strict=True)]


def observation_picture(group: TokenGroup, observation: np.ndarray) -> np.ndarray | None:
    """Return the observation of a token group as an RGB picture, one pixel per pixel or cell.

    Pictures keep their colours, the newest of stacked grey frames is taken, and categories and
    feature planes (zeros and ones) get colours without an order. None where the group is no
    picture.

    Of several frames the one is taken that the group's tokens were cut from; it is black where the
    episode is not that old.

    Raises:
        ValueError: the group was cut from one of several frames, which the observation lacks.
    """
    if group.picture is None:
        return None
    rows, cols = group.picture
    values = frame_of(group, np.asarray(observation))
    if values.ndim == 2 and values.shape[0] == rows * cols:  # (cells, channels) of categories
        return _categories(values.reshape(rows, cols, -1)[..., 0])
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3:
        return None
    if values.shape[:2] != (rows, cols):
        values = values.transpose(1, 2, 0)
    if values.shape[:2] != (rows, cols):
        return None
    if values.shape[2] != 3 and ((values == 0) | (values == 1)).all():
        planes = np.arange(1, values.shape[2] + 1)
        return _categories((values * planes).max(-1))
    if values.shape[2] != 3:
        values = np.repeat(values[..., -1:], 3, -1)
    brightest = 255 if values.dtype == np.uint8 or values.max(initial=0) > 1 else 1
    return np.clip(np.rint(values * (255.0 / brightest)), 0, 255).astype(np.uint8)


def frame_of(group: TokenGroup, values: np.ndarray) -> np.ndarray:
    """Return the frame of a group among several; the observation itself where it is the only one.

    Raises:
        ValueError: the observation does not hold such frames.
    """
    if group.frame is None or group.offsets is None:
        return values
    back = 1 - group.offsets[0]  # the present frame is the last row
    if values.ndim != 2 or back > len(values):
        raise ValueError(
            f"an observation of shape {values.shape} has no frame {back - 1} steps ago"
        )
    return values[-back, 1:].reshape(group.frame)


def enlarge(picture: np.ndarray, factor: float) -> Image.Image:
    """Return a picture scaled, with its pixels kept sharp where it grows."""
    image = Image.fromarray(picture)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    whole = max(1, math.ceil(factor))
    if whole > 1:
        sharp = (image.width * whole, image.height * whole)
        image = image.resize(sharp, Image.Resampling.NEAREST)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _categories(codes: np.ndarray) -> np.ndarray:
    table = np.array(CATEGORY_COLORS, np.uint8)
    return table[codes.astype(int) % len(table)]
