"""JSON of the files of a recording, read with suspicion."""

from __future__ import annotations

import json
from typing import Any

JSON_TYPES: dict[str, tuple[type, ...]] = {
    "layer": (int,),
    "heads": (int,),
    "key_count": (int, type(None)),
    "query_count": (int, type(None)),
    "extra_keys": (list,),
    "soft": (bool,),
    "head_weights": (bool,),
    "fps": (int, float),
    "versions": (dict,),
    "observation_keys": (list,),
    "action_sizes": (list,),
    "action_names": (list, type(None)),
    "action_bounds": (list, type(None)),
}
"""JSON types of the fields of `Header` and `MapSpec`; the others are strings."""
ITEMS: dict[str, type] = {
    "observation_keys": str,
    "action_sizes": int,
    "action_names": str,
    "extra_keys": str,
}


def read_json(text: bytes) -> Any:
    """Parse JSON; NaN and infinity are refused.

    Raises:
        ValueError: it is no JSON.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not allowed")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write_json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()


def typed(cls: Any, data: dict[str, Any], **ready: Any) -> Any:
    """Build a dataclass from JSON values, each of the type that its field wants."""
    values = {}
    for key, value in data.items():
        types = JSON_TYPES.get(key, (str,))
        wrong = not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
        if isinstance(value, list):
            value = tuple(_pair(item) for item in value) if key == "action_bounds" else tuple(value)
            wrong = wrong or any(type(item) is not ITEMS.get(key, tuple) for item in value)
        if wrong:
            raise ValueError(f"it is damaged: {key} is {str(value)[:60]!r}")
        values[key] = value
    return cls(**values, **ready)


def _pair(item: Any) -> tuple[float, float]:
    low, high = item
    return float(low), float(high)
