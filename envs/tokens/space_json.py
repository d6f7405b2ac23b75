"""Observation and action spaces as plain JSON, and back: what a run folder says of its environment.

Files may come from strangers. What is read is checked against a registry of kinds: no import path,
no pickle, and a ValueError that says what is wrong.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.json_reader import (
    Count,
    error_context,
    read_object,
    read_value,
    split_kind,
)
from attention_agents.envs.tokens.spaces import TokenBox, make_box
from attention_agents.envs.tokens.specs import TokenSpec, spec_from_json, spec_to_json

MAX_NUMBERS = 2**24
"""Arrays of more numbers than this are refused, so that a small file cannot ask for all memory."""

DType = Literal[
    "bool",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]


def space_to_json(space: spaces.Space) -> dict[str, Any]:
    """Return plain dicts, lists, numbers and strings; `space_from_json` reads them back.

    >>> space_to_json(spaces.Box(-np.inf, 1, (3,)))
    {'kind': 'box', 'shape': [3], 'dtype': 'float32', 'low': '-inf', 'high': 1.0}

    Raises:
        ValueError: the space is none of Box (with or without tokens), Discrete, MultiDiscrete,
            MultiBinary, and Dict of these, or a bound is NaN.
    """
    kind = next((kind for kind, entry in _KINDS.items() if isinstance(space, entry.cls)), None)
    if kind is None:
        raise ValueError(f"{space} cannot be written; supported are {', '.join(_KINDS)}")
    fields = {name: np.asarray(getattr(space, name)).tolist() for name in _KINDS[kind].numbers}
    if isinstance(space, spaces.Box):
        low, high = _bound_to_json(space.low), _bound_to_json(space.high)
        fields |= {"dtype": space.dtype.name, "low": low, "high": high}
    if isinstance(space, TokenBox):
        fields["tokens"] = spec_to_json(space.tokens)
    if isinstance(space, spaces.Dict):  # pairs: their order is the tokens' order
        fields["spaces"] = [[key, space_to_json(part)] for key, part in space.spaces.items()]
    return {"kind": kind, **fields}


def space_from_json(data: Any) -> spaces.Space:
    """Read what `space_to_json` wrote.

    Raises:
        ValueError: an unknown kind, a field too many, too few or of the wrong type, or values
            that break a rule of the space or do not fit its tokens.
    """
    kind, fields = split_kind(data, _KINDS, "space")
    with error_context(kind):
        return read_object(_KINDS[kind].build, fields)


def _read_shape(value: Any, name: str) -> tuple[int, ...]:
    shape = read_value(value, tuple[Count, ...], name)
    if math.prod(shape) > MAX_NUMBERS:
        raise ValueError(f"the shape {reprlib.repr(value)} holds more than {MAX_NUMBERS} numbers")
    return shape


def _read_array(value: Any, name: str) -> np.ndarray:
    array = np.array(read_value(value, tuple[Any, ...], name))  # refuses ragged lists
    if array.dtype.kind != "i" or not array.size:
        raise ValueError(f"{name} must be a list of whole numbers, got {reprlib.repr(value)}")
    return array


Shape = Annotated[tuple[int, ...], _read_shape]
IntegerArray = Annotated[np.ndarray, _read_array]


class SpaceEntry(NamedTuple):
    """One part of a Dict space; a list of them keeps the order, which is that of the tokens."""

    key: str
    space: Any


def _build_box(
    shape: Shape,
    dtype: DType,
    low: Any,
    high: Any,
    tokens: Annotated[TokenSpec | None, spec_from_json] = None,
) -> spaces.Box:
    number = np.dtype(dtype)
    lows, highs = (_read_bound(bound, shape, number) for bound in (low, high))
    if (lows > highs).any():
        raise ValueError("low must not be above high")
    return make_box(lows, highs, tokens)


def _build_discrete(n: Count, start: int) -> spaces.Discrete:
    return spaces.Discrete(n, start=start)


def _build_multi_discrete(nvec: IntegerArray, start: IntegerArray) -> spaces.MultiDiscrete:
    if nvec.shape != start.shape or (nvec < 1).any():
        raise ValueError("nvec and start must have one shape, and nvec only entries above 0")
    return spaces.MultiDiscrete(nvec, start=start)


def _build_multi_binary(shape: Shape) -> spaces.MultiBinary:
    return spaces.MultiBinary(shape[0] if len(shape) == 1 else shape)


def _build_dict(spaces: tuple[SpaceEntry, ...]) -> gym.spaces.Dict:
    members: dict[str, gym.Space] = {}
    for key, data in spaces:
        if key in members:
            raise ValueError(f"the key {key!r} stands twice")
        if isinstance(data, dict) and data.get("kind") == "dict":
            raise ValueError("a dict inside a dict is not supported")
        with error_context(f"key {key!r}"):
            members[key] = space_from_json(data)
    return gym.spaces.Dict(list(members.items()))  # pairs: a dict would be sorted


class _Kind(NamedTuple):
    cls: type[spaces.Space]
    numbers: tuple[str, ...]
    """Attributes that are written as they are."""
    build: Callable[..., spaces.Space]


_KINDS = {
    "box": _Kind(spaces.Box, ("shape",), _build_box),
    "discrete": _Kind(spaces.Discrete, ("n", "start"), _build_discrete),
    "multi_discrete": _Kind(spaces.MultiDiscrete, ("nvec", "start"), _build_multi_discrete),
    "multi_binary": _Kind(spaces.MultiBinary, ("shape",), _build_multi_binary),
    "dict": _Kind(spaces.Dict, (), _build_dict),
}


def _bound_to_json(bound: np.ndarray) -> Any:
    """Return one number where all are equal, else a list; infinity as a string."""
    if np.isnan(bound).any():
        raise ValueError("a bound of a space must not be NaN")
    numbers = (bound.astype(np.uint8) if bound.dtype == bool else bound).ravel().tolist()
    numbers = [number if math.isfinite(number) else str(number) for number in numbers]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _read_bound(data: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if not isinstance(data, list):
        return np.full(shape, _read_number(data, dtype), dtype)
    if len(data) != math.prod(shape):
        raise ValueError(f"a bound needs 1 or {math.prod(shape)} numbers, got {len(data)}")
    return np.array([_read_number(number, dtype) for number in data], dtype).reshape(shape)


def _read_number(value: Any, dtype: np.dtype) -> float:
    if dtype.kind == "f":
        if value in ("inf", "-inf"):
            return float(value)
        valid = type(value) in (int, float) and math.isfinite(value)
    else:
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        valid = type(value) is int and low <= value <= high
    if not valid:
        raise ValueError(f"{reprlib.repr(value)} cannot be a bound of {dtype.name} numbers")
    return value
