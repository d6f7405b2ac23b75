"""Token specs (`envs.tokens.specs`) as plain JSON, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attention_agents.envs.tokens import json_fields as read
from attention_agents.envs.tokens.layout import Conv
from attention_agents.envs.tokens.specs import (
    Categories,
    Cells,
    Entities,
    Features,
    FramePart,
    Frames,
    History,
    Patches,
    TokenSpec,
)

Reader = Callable[[Any, str], Any]

OPTIONAL = {"cells": ("channels_first", "words"), "entities": ("position",)}
"""Fields that files of version 0.1.0 lack."""


def spec_to_json(spec: TokenSpec) -> dict[str, Any]:
    """Return plain dicts, lists, numbers and strings; `spec_from_json` reads them back."""
    kind = next(kind for kind, (cls, _) in _KINDS.items() if type(spec) is cls)
    return {"kind": kind, **{field: _plain(getattr(spec, field)) for field in _KINDS[kind][1]}}


def spec_from_json(data: Any) -> TokenSpec:
    """Read what `spec_to_json` wrote.

    Raises:
        ValueError: an unknown kind, or a field too many, too few or of the wrong type.
    """
    kind = data.get("kind") if isinstance(data, dict) else data
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(
            f"unknown kind of tokens {read.short(kind)}; known are {', '.join(_KINDS)}"
        )
    cls, readers = _KINDS[kind]
    values = {name: value for name, value in data.items() if name != "kind"}
    with read.saying(f"{kind} tokens"):
        optional = OPTIONAL.get(kind, ())
        read.exactly(values, readers.keys() - set(optional), optional)
        return cls(**{name: readers[name](value, name) for name, value in values.items()})


def _convs(value: Any, name: str) -> tuple[Conv, ...]:
    convs = [read.items(conv, name) for conv in read.items(value, name)]
    if not convs or any(len(conv) != len(Conv._fields) for conv in convs):
        raise ValueError(
            f"{name} must be lists of {', '.join(Conv._fields)}, got {read.short(value)}"
        )
    for conv in convs:
        read.counts(conv[:3], name)
        read.index(conv[3], name)  # padding may be 0
    return tuple(Conv(*conv) for conv in convs)


def _columns(value: Any, name: str) -> tuple[int, int] | None:
    if value is None:
        return None
    columns = [read.index(item, name) for item in read.items(value, name)]
    if len(columns) != 2:
        raise ValueError(f"{name} must be the columns of x and y, got {read.short(value)}")
    return columns[0], columns[1]


def _words(value: Any, name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(read.strings(words, name) for words in read.items(value, name))


def _part(value: Any, name: str) -> FramePart:
    kind = value.get("kind") if isinstance(value, dict) else value
    if kind not in ("patches", "cells", "entities"):
        raise ValueError(f"{name} must be patches, cells or entities, got {read.short(kind)}")
    part = spec_from_json(value)
    assert isinstance(part, FramePart)
    return part


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
            "position": _columns,
        },
    ),
    "cells": (
        Cells,
        {
            "rows": read.count,
            "cols": read.count,
            "categories": read.counts,
            "channels": read.index,
            "channels_first": read.boolean,
            "words": _words,
        },
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
    "frames": (Frames, {"steps": read.count, "part": _part, "of_bytes": read.boolean}),
}


def _plain(value: Any) -> Any:
    if isinstance(value, FramePart):
        return spec_to_json(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
