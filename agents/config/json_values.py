"""Arguments of environments as JSON, and back: tuples stay tuples, and keys may be numbers.

Lists, dicts with texts as keys, texts, numbers, True, False and None are written as they are.
"""

from __future__ import annotations

from typing import Any

TUPLE, ITEMS = "__tuple__", "__items__"
"""Keys of the objects that a tuple, and a dict with other keys than texts, are written as."""


def to_json_value(value: Any) -> Any:
    """Return a value that JSON holds as it is.

    >>> to_json_value({"shape": (84, 84), "speeds": {0: 20.0}})
    {'shape': {'__tuple__': [84, 84]}, 'speeds': {'__items__': [[0, 20.0]]}}
    """
    if isinstance(value, tuple):
        return {TUPLE: [to_json_value(member) for member in value]}
    if isinstance(value, list):
        return [to_json_value(member) for member in value]
    if not isinstance(value, dict):
        return value
    if all(isinstance(key, str) for key in value):
        return {key: to_json_value(member) for key, member in value.items()}
    return {ITEMS: [[to_json_value(key), to_json_value(member)] for key, member in value.items()]}


def from_json_value(value: Any) -> Any:
    """Return what `to_json_value` was given.

    >>> from_json_value({"shape": {"__tuple__": [84, 84]}, "speeds": {"__items__": [[0, 20.0]]}})
    {'shape': (84, 84), 'speeds': {0: 20.0}}
    """
    if isinstance(value, list):
        return [from_json_value(member) for member in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {TUPLE}:
        return tuple(from_json_value(member) for member in value[TUPLE])
    if value.keys() == {ITEMS}:
        return {from_json_value(key): from_json_value(member) for key, member in value[ITEMS]}
    return {key: from_json_value(member) for key, member in value.items()}
