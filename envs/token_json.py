"""Token specs (`envs.spaces`) as plain JSON, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from envs import json_fields as read
from envs.layout import Conv
from envs.spaces import Categories, Cells, Entities, Features, History, Patches, TokenSpec

Reader = Callable[[Any, str], Any]


def spec_to_json(spec: TokenSpec) -> dict[str, Any]:
    """Return plain dicts, lists, numbers and strings; `spec_from_json` reads them back."""
    kind = next(kind for kind, (cls, _) in _KINDS.items() if type(spec) is cls)
    return {"kind": kind, **{field: _plain(getattr(spec, field)) for field in _KINDS[kind][1]}}


def spec_from_json(data: Any, shape: tuple[int, ...]) -> TokenSpec:
    """Read what `spec_to_json` wrote.

    Args:
        data: the parsed JSON.
        shape: the array that the tokens are cut from.

    Raises:
        ValueError: an unknown kind, wrong fields, or tokens that do not fit the shape.
    """
    kind = data.get("kind") if isinstance(data, dict) else data
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"unknown kind of tokens {read.short(kind)}; known are {', '.join(_KINDS)}")
    cls, readers = _KINDS[kind]
    values = {name: value for name, value in data.items() if name != "kind"}
    with read.saying(f"{kind} tokens"):
        read.exactly(values, readers)
        spec = cls(**{name: readers[name](value, name) for name, value in values.items()})
        if not _fits(spec, shape):
            raise ValueError(f"{read.short(spec)} does not fit the shape {shape}")
    return spec


def _convs(value: Any, name: str) -> tuple[Conv, ...]:
    convs = [read.items(conv, name) for conv in read.items(value, name)]
    if not convs or any(len(conv) != len(Conv._fields) for conv in convs):
        raise ValueError(f"{name} must be lists of {', '.join(Conv._fields)}, got {read.short(value)}")
    return tuple(Conv(*read.counts(conv[:3], name), read.index(conv[3], name)) for conv in convs)


_KINDS: dict[str, tuple[type, dict[str, Reader]]] = {
    "features": (Features, {"names": read.strings}),
    "categories": (Categories, {"sizes": read.counts, "names": read.strings}),
    "entities": (
        Entities,
        {
            "count": read.count,
            "features": read.strings,
            "presence": read.index_or_none,
            "ego": read.index_or_none,
            "label": read.string,
        },
    ),
    "cells": (
        Cells,
        {"rows": read.count, "cols": read.count, "categories": read.counts, "channels": read.index},
    ),
    "patches": (
        Patches,
        {
            "height": read.count,
            "width": read.count,
            "channels": read.count,
            "convs": _convs,
            "channels_first": read.boolean,
        },
    ),
    "history": (History, {"steps": read.count, "features": read.count}),
}


def _fits(spec: TokenSpec, shape: tuple[int, ...]) -> bool:
    size = math.prod(shape)
    if isinstance(spec, Features):
        return len(spec.names) == size
    if isinstance(spec, Categories):
        return len(spec.names) == len(spec.sizes) == size
    if isinstance(spec, Entities):
        rows, columns = spec.count, len(spec.features)
        return shape == (rows, columns) and (spec.presence or 0) < columns and (spec.ego or 0) < rows
    if isinstance(spec, Cells):
        by_category = (spec.rows * spec.cols, len(spec.categories))
        return shape == (by_category if spec.categories else (spec.rows, spec.cols, spec.channels))
    if isinstance(spec, Patches):
        return size == spec.height * spec.width * spec.channels
    return shape == (spec.steps, 1 + spec.features)


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
