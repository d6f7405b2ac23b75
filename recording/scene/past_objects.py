"""Objects of past steps: which object each entity of a history is, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from attention_agents.recording.observation_images import GroupSlice, display_name, name_stem
from attention_agents.recording.scene.display import MAX_ROWS
from attention_agents.recording.step import Step


class PastObject(NamedTuple):
    """A row of a table of the past: an object that is followed, or a row of the observation."""

    name: str
    number: int
    """The object's identity, or the row of the observation."""
    followed: bool
    """Whether it is an object whose identity is known."""

    @property
    def rank(self) -> tuple[str, int]:
        """What objects are ordered by: "car 2" comes before "car 10"."""
        stem = name_stem(self.name)
        return (stem, int(self.name[len(stem) :])) if stem else (self.name, -1)


def past_object(name: str, identity: int, row: int) -> PastObject:
    """Return which object an entity in a row of the observation is.

    Args:
        name: of the row; without a number, such as "ego car", it tells by itself who is meant.
        identity: of the object, -1 where it is not known.
        row: of the observation.
    """
    stem = name_stem(name)
    if stem and identity >= 0:
        return PastObject(display_name(name, identity), identity, True)
    return PastObject(f"{stem}, row {name[len(stem) :].strip()}" if stem else name, row, False)


def past_objects(parts: Sequence[GroupSlice], step: Step) -> dict[PastObject, dict[int, int]]:
    """Return the objects of some past steps: which token each was at each offset.

    Tokens that were absent are left out.
    """
    objects: dict[PastObject, dict[int, int]] = {}
    for part in parts:
        for row, name in enumerate(part.undated_names):
            i = part.token_slice.start + row
            if step.present[i]:
                identity = -1 if step.places is None else int(step.places.ids[i])
                objects.setdefault(past_object(name, identity, row), {})[part.offset] = i
    return objects


def row_count(parts: Sequence[GroupSlice]) -> tuple[int, int]:
    """Return how many rows a table of some past steps has, and how many objects there can be.

    Objects with numbers may be others at each step.
    """
    rows = [(row, name) for part in parts for row, name in enumerate(part.undated_names)]
    numbered = [name for _, name in rows if name_stem(name)]
    objects = len(numbered) + len({row for row in rows if not name_stem(row[1])})
    return min(MAX_ROWS, objects), objects
