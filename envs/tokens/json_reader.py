"""Read JSON from files that may come from strangers: values of the annotated types, or an error.

A dataclass or a function is read by its annotations; there is one rule for each kind of type, and
no conversion between types. Only a number that is a float may be written without its point.
"""

from __future__ import annotations

import inspect
import math
import reprlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

LARGEST_INTEGER = 2**62
"""Integers of this size or more are refused: they would overflow an array."""


def _at_least(least: int) -> Callable[[Any, str], int]:
    def read_integer(value: Any, name: str) -> int:
        if read_value(value, int, name) < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
        return value

    return read_integer


Count = Annotated[int, _at_least(1)]
Index = Annotated[int, _at_least(0)]


def read_object(build: Callable[..., T], data: Any, optional: Collection[str] | None = None) -> T:
    """Call a class or a function with the fields of a JSON object, one for each parameter.

    >>> def area(width: Count, height: Count = 1) -> int:
    ...     return width * height
    >>> read_object(area, {"width": 3})
    3
    >>> read_object(area, {"width": "3"})
    Traceback (most recent call last):
    ValueError: width must be a whole number, got '3'

    Args:
        build: a dataclass, a NamedTuple or a function whose parameters are annotated.
        data: the parsed JSON.
        optional: fields that may be missing; by default those whose parameter has a default.

    Raises:
        ValueError: a field is missing, unknown or of the wrong type, or breaks a rule of `build`.
    """
    parameters = inspect.signature(build).parameters
    if optional is None:
        optional = {name for name, p in parameters.items() if p.default is not p.empty}
    fields = read_value(data, dict[str, Any], "it")
    missing = sorted(parameters.keys() - fields.keys() - set(optional))
    unknown = sorted(fields.keys() - parameters.keys())
    if missing or unknown:
        faults = [f"lacks {', '.join(missing)}"] * bool(missing)
        faults += [f"has the unknown {reprlib.repr(unknown)}"] * bool(unknown)
        raise ValueError(" and ".join(faults))
    hints = get_type_hints(build, include_extras=True)
    return build(**{name: read_value(value, hints[name], name) for name, value in fields.items()})


def split_kind(data: Any, kinds: Collection[str], name: str) -> tuple[str, dict[str, Any]]:
    """Return the field `kind` of a JSON object, and the other fields.

    Raises:
        ValueError: it is no object, or of an unknown kind.
    """
    fields = dict(data) if isinstance(data, dict) else {"kind": data}
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        text = f"unknown kind of {name} {reprlib.repr(kind)}; known are {', '.join(kinds)}"
        raise ValueError(text)
    return kind, fields


def read_value(value: Any, hint: Any, name: str) -> Any:
    """Return a JSON value as the type of an annotation.

    Args:
        value: the parsed JSON.
        hint: bool, int, float, str, Any, None, a Literal, a union, a tuple, a mapping with names
            as keys, a dataclass (a JSON object), a NamedTuple (a list), or
            `Annotated[type, reader]` with a function of (value, name).
        name: of the value, for errors.

    Raises:
        ValueError: it is not of that type.
    """
    origin, members = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        read = next(filter(inspect.isfunction, members[1:]), None)
        return read(value, name) if read else read_value(value, members[0], name)
    if origin in (Union, UnionType):
        if value is None and NoneType in members:
            return None
        (member,) = (member for member in members if member is not NoneType)
        return read_value(value, member, name)
    if origin is Literal:
        if not isinstance(value, str) or value not in members:
            raise ValueError(
                f"{name} must be one of {', '.join(members)}, got {reprlib.repr(value)}"
            )
        return value
    if origin is tuple:
        return _read_tuple(value, members, name)
    if origin in (dict, Mapping):
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise ValueError(f"{name} must be an object, got {reprlib.repr(value)}")
        return {key: read_value(entry, members[1], key) for key, entry in value.items()}
    if hint in _SCALARS:
        return _read_scalar(value, hint, name)
    with error_context(name):
        if hasattr(hint, "_fields"):
            return _read_named_tuple(value, hint, name)
        return read_object(hint, value)


@contextmanager
def error_context(place: str) -> Iterator[None]:
    """Name the part of the file in which an error lies.

    Raises:
        ValueError: for each ValueError, TypeError, AssertionError and OverflowError inside.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    except (TypeError, AssertionError, OverflowError) as error:
        raise ValueError(f"{place}: {error}") from error


_SCALARS = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a finite number"),
    str: ((str,), "a string"),
}


def _read_scalar(value: Any, kind: type, name: str) -> Any:
    types, description = _SCALARS[kind]
    valid = type(value) in types
    if valid and kind is int:
        valid = abs(value) < LARGEST_INTEGER
    if valid and kind is float:
        valid = math.isfinite(value)
    if not valid:
        raise ValueError(f"{name} must be {description}, got {reprlib.repr(value)}")
    return value


def _read_tuple(value: Any, members: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {reprlib.repr(value)}")
    if members[-1] is Ellipsis:
        members = (members[0],) * len(value)
    if len(value) != len(members):
        raise ValueError(f"{name} must be a list of {len(members)}, got {reprlib.repr(value)}")
    return tuple(read_value(*pair, name) for pair in zip(value, members, strict=True))


def _read_named_tuple(value: Any, build: Any, name: str) -> Any:
    fields = build._fields
    if not isinstance(value, list) or len(value) != len(fields):
        raise ValueError(f"a list of {', '.join(fields)} is needed, got {reprlib.repr(value)}")
    return read_object(build, dict(zip(fields, value, strict=True)))
