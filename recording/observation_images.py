"""The observation itself as an image, for tokens that were cut from one."""

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


class GroupSlice(NamedTuple):
    """A token group, and which of the N tokens are its own."""

    group: TokenGroup
    token_slice: slice

    @property
    def title(self) -> str:
        return self.group.key or self.group.kind

    @property
    def offset(self) -> int:
        """Steps back in time of its newest token, <= 0."""
        return 0 if self.group.offsets is None else max(self.group.offsets)

    @property
    def undated_names(self) -> tuple[str, ...]:
        """Names of the group's tokens, those of entities without their age.

        The only token of a key has the name of the key.
        """
        names = self.group.names
        if len(names) == 1 and self.group.key:
            names = (self.group.key,)
        if self.group.kind != "entities":
            return names
        return tuple(strip_age(name, self.offset) for name in names)

    def names_at(self, step: Step, dated: bool = True) -> tuple[str, ...]:
        """Return the names of the group's tokens at a step.

        Numbered entities have their identity in their name, where it is known: "vehicle 3" is the
        same vehicle at every step, whatever row of the observation it is in.

        Args:
            step: has the identities.
            dated: add the age to the names of past entities, "vehicle 3, -2 steps".
        """
        if self.group.kind != "entities":
            return self.undated_names
        ids = step.ids[self.token_slice].tolist()
        names = map(display_name, self.undated_names, ids)
        return tuple(add_age(name, self.offset) if dated else name for name in names)

    def picture_boxes(self, step: Step) -> np.ndarray:
        """Return boxes (N, 4) in pixels of the group's own image; NaN for absent tokens and those
        of other groups."""
        boxes = np.full((step.num_tokens, 4), np.nan, np.float32)
        if self.group.boxes is not None:
            boxes[self.token_slice] = np.array(self.group.boxes, np.float32)
        boxes[~step.present] = np.nan
        return boxes

    def observation_image(self, step: Step) -> np.ndarray | None:
        """Return the group's observation as an image; None where it is none."""
        return observation_image(self.group, step.observation[self.group.key])


def display_name(name: str, identity: int) -> str:
    """Return the name of an entity with its identity as number, "vehicle 12".

    The name itself is returned if the identity is -1, or the name has no number.
    """
    return f"{name_stem(name)} {identity}" if identity >= 0 and name_stem(name) else name


def name_stem(name: str) -> str:
    """Return what comes before the number of a name, "vehicle" of "vehicle 3"; "" without one."""
    return name.rstrip("0123456789 ") if name[-1:].isdigit() else ""


def group_slices(layout: TokenLayout) -> list[GroupSlice]:
    """Return the groups of a layout with their slices of the N tokens."""
    return list(map(GroupSlice, layout.groups, layout.slices))


def observation_image(group: TokenGroup, observation: np.ndarray) -> np.ndarray | None:
    """Return the observation of a token group as RGB, one pixel per pixel or cell.

    Images keep their colors, the newest of stacked gray frames is taken, and categories and feature
    planes (zeros and ones) get colors without an order. Of a history the step is taken that the
    group's tokens were cut from; it is black where the episode is not that old.

    Returns:
        (height, width, 3) uint8; None where the group was not cut from an image.

    Raises:
        ValueError: the group was cut from one step of a history, which the observation lacks.
    """
    if group.picture is None:
        return None
    rows, cols = group.picture
    values = select_history_step(group, np.asarray(observation))
    if values.ndim == 2 and values.shape[0] == rows * cols:  # (cells, channels) of categories
        return _color_categories(values.reshape(rows, cols, -1)[..., 0])
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim == 3 and values.shape[:2] != (rows, cols):
        values = values.transpose(1, 2, 0)  # channels first
    if values.ndim != 3 or values.shape[:2] != (rows, cols):
        return None
    channels = values.shape[2]
    if channels != 3 and ((values == 0) | (values == 1)).all():
        return _color_categories((values * np.arange(1, channels + 1)).max(-1))
    if channels != 3:
        values = np.repeat(values[..., -1:], 3, -1)
    brightest = 255 if values.dtype == np.uint8 or values.max(initial=0) > 1 else 1
    return np.clip(np.rint(values * (255.0 / brightest)), 0, 255).astype(np.uint8)


def select_history_step(group: TokenGroup, values: np.ndarray) -> np.ndarray:
    """Return the step of a history that a group was cut from; without a history, all values.

    Raises:
        ValueError: the observation has no such step.
    """
    if group.frame is None or group.offsets is None:
        return values
    back = 1 - group.offsets[0]  # the present step is the last row
    if values.ndim != 2 or back > len(values):
        raise ValueError(
            f"an observation of shape {values.shape} has no frame {back - 1} steps ago"
        )
    return values[-back, 1:].reshape(group.frame)  # column 0 is its presence


def enlarge_image(picture: np.ndarray, factor: float) -> Image.Image:
    """Return a picture scaled, with its pixels kept sharp where it grows."""
    image = Image.fromarray(picture)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    multiple = max(1, math.ceil(factor))
    if multiple > 1:
        sharp = (image.width * multiple, image.height * multiple)
        image = image.resize(sharp, Image.Resampling.NEAREST)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _color_categories(codes: np.ndarray) -> np.ndarray:
    table = np.array(CATEGORY_COLORS, np.uint8)
    return table[codes.astype(int) % len(table)]
