"""Nested Dict and Tuple spaces as a tree: its leaves, and the path that leads to each."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from typing import Any

from gymnasium import spaces

Path = tuple[Any, ...]
"""Keys of Dicts and indices of Tuples, from the outermost; empty for the whole."""


def space_members(space: spaces.Dict | spaces.Tuple) -> list[tuple[Any, spaces.Space]]:
    """Return the members of a space, each with its key or index."""
    if isinstance(space, spaces.Dict):
        return list(space.spaces.items())
    return list(enumerate(space.spaces))


def iterate_leaves(space: spaces.Space, path: Path = ()) -> Iterator[tuple[Path, spaces.Space]]:
    """Yield the spaces that are neither Dict nor Tuple, in order, each with its path.

    >>> space = spaces.Tuple((spaces.Discrete(2), spaces.Dict(a=spaces.Discrete(3))))
    >>> [path for path, _ in iterate_leaves(space)]
    [(0,), (1, 'a')]
    """
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        for key, member in space_members(space):
            yield from iterate_leaves(member, (*path, key))
    else:
        yield path, space


def get_at_path(value: Any, path: Path) -> Any:
    """Return the part of a member of the space that a path leads to."""
    return functools.reduce(operator.getitem, path, value)
