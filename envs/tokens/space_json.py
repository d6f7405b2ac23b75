"""Observation and action spaces as plain JSON, and back: what a run folder says of its environment.

Files may come from strangers. What is read is checked against a registry of kinds: no import path,
no pickle, and a ValueError that says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens import json_fields as read
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.token_json import spec_from_json, spec_to_json

MAX_NUMBERS = 2**24
"""Arrays of more numbers than this are refused, so that a small file cannot ask for all memory."""

DTYPES = (
    *("bool", "float16", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)


def space_to_json(space: spaces.Space) -> dict[str, Any]:
    """Return plain dicts, lists, numbers and strings; `space_from_json` reads them back.

    >>> space_to_json(spaces.Box(-np.inf, 1, (3,)))
    {'kind': 'box', 'shape': [3], 'dtype': 'float32', 'low': '-inf', 'high': 1.0}

    Raises:
        ValueError: the space is none of Box (with or without tokens), Discrete, MultiDiscrete,
            MultiBinary, and Dict of these, or a bound is NaN.
    """
    if isinstance(space, spaces.Box):
        tokens = {"tokens": spec_to_json(space.tokens)} if isinstance(space, TokenBox) else {}
        return {
            "kind": "box",
            "shape": list(space.shape),
            "dtype": space.dtype.name,
            "low": _bound_to_json(space.low),
            "high": _bound_to_json(space.high),
            **tokens,
        }
    if isinstance(space, spaces.Discrete):
        return {"kind": "discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {
            "kind": "multi_discrete",
            "nvec": space.nvec.tolist(),
            "start": space.start.tolist(),
        }
    if isinstance(space, spaces.MultiBinary):
        return {"kind": "multi_binary", "shape": list(space.shape)}
    if isinstance(space, spaces.Dict):
        members = [[key, space_to_json(part)] for key, part in space.spaces.items()]
        return {"kind": "dict", "spaces": members}  # pairs: their order is the tokens' order
    raise ValueError(f"{space} cannot be written; supported are {', '.join(_READERS)}")


def space_from_json(data: Any) -> spaces.Space:
    """Read what `space_to_json` wrote.

    Raises:
        ValueError: an unknown kind, a field too many, too few or of the wrong type, or values
            that break a rule of the space or do not fit its tokens.
    """
    kind = data.get("kind") if isinstance(data, dict) else data
    if not isinstance(kind, str) or kind not in _READERS:
        raise ValueError(
            f"unknown kind of space {read.short(kind)}; known are {', '.join(_READERS)}"
        )
    with read.saying(kind):
        return _READERS[kind]({name: value for name, value in data.items() if name != "kind"})


def _box(data: dict[str, Any]) -> spaces.Box:
    read.exactly(data, ("shape", "dtype", "low", "high"), optional=("tokens",))
    if data["dtype"] not in DTYPES:
        raise ValueError(
            f"dtype must be one of {', '.join(DTYPES)}, got {read.short(data['dtype'])}"
        )
    shape, dtype = _shape(data["shape"]), np.dtype(data["dtype"])
    low, high = (_bound(data[end], shape, dtype) for end in ("low", "high"))
    if (low > high).any():
        raise ValueError("low must not be above high")
    if "tokens" not in data:
        return spaces.Box(low, high, shape, dtype.type)
    return TokenBox(low, high, shape, dtype.type, tokens=spec_from_json(data["tokens"]))


def _discrete(data: dict[str, Any]) -> spaces.Discrete:
    read.exactly(data, ("n", "start"))
    return spaces.Discrete(read.count(data["n"], "n"), start=read.whole(data["start"], "start"))


def _multi_discrete(data: dict[str, Any]) -> spaces.MultiDiscrete:
    read.exactly(data, ("nvec", "start"))
    nvec, start = (_whole_array(data[name], name) for name in ("nvec", "start"))
    if nvec.shape != start.shape or (nvec < 1).any():
        raise ValueError("nvec and start must have one shape, and nvec only entries above 0")
    return spaces.MultiDiscrete(nvec, start=start)


def _multi_binary(data: dict[str, Any]) -> spaces.MultiBinary:
    read.exactly(data, ("shape",))
    shape = _shape(data["shape"])
    return spaces.MultiBinary(shape[0] if len(shape) == 1 else shape)


def _dict(data: dict[str, Any]) -> spaces.Dict:
    read.exactly(data, ("spaces",))
    members: list[tuple[str, spaces.Space]] = []
    for pair in read.items(data["spaces"], "spaces"):
        if len(read.items(pair, "spaces")) != 2:
            raise ValueError(f"spaces must be [key, space] pairs, got {read.short(pair)}")
        key, part = read.string(pair[0], "key"), pair[1]
        if isinstance(part, dict) and part.get("kind") == "dict":
            raise ValueError("a dict inside a dict is not supported")
        with read.saying(f"key {key!r}"):
            members.append((key, space_from_json(part)))
    if len(dict(members)) != len(members):
        raise ValueError(f"a key stands twice in {read.short([key for key, _ in members])}")
    return spaces.Dict(members)


_READERS: dict[str, Callable[[dict[str, Any]], spaces.Space]] = {
    "box": _box,
    "discrete": _discrete,
    "multi_discrete": _multi_discrete,
    "multi_binary": _multi_binary,
    "dict": _dict,
}


def _bound_to_json(bound: np.ndarray) -> Any:
    first = bound.flat[0]
    uniform = bool((bound == first).all())
    return _number_to_json(first) if uniform else [_number_to_json(number) for number in bound.flat]


def _number_to_json(number: Any) -> int | float | str:
    value = number.item()
    if not isinstance(value, float):
        return int(value)
    if math.isnan(value):
        raise ValueError("a bound of a space must not be NaN")
    return value if math.isfinite(value) else f"{value}"


def _bound(data: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if not isinstance(data, list):
        return np.full(shape, _number(data, dtype), dtype)
    if len(data) != math.prod(shape):
        raise ValueError(f"a bound needs 1 or {math.prod(shape)} numbers, got {len(data)}")
    return np.array([_number(number, dtype) for number in data], dtype).reshape(shape)


def _number(value: Any, dtype: np.dtype) -> float:
    if dtype.kind == "f":
        if value in ("inf", "-inf"):
            return float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if low <= value <= high:
            return value
    raise ValueError(f"{read.short(value)} cannot be a bound of {dtype.name} numbers")


def _shape(value: Any) -> tuple[int, ...]:
    shape = read.counts(value, "shape")
    if math.prod(shape) > MAX_NUMBERS:
        raise ValueError(f"the shape {read.short(value)} holds more than {MAX_NUMBERS} numbers")
    return shape


def _whole_array(value: Any, name: str) -> np.ndarray:
    array = np.array(read.items(value, name))  # ragged lists raise ValueError by themselves
    if array.dtype.kind != "i" or not array.size:
        raise ValueError(f"{name} must be a list of whole numbers, got {read.short(value)}")
    return array
