"""Strict readers of values in files that may come from strangers: the value, or a ValueError."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any


def exactly(data: dict[str, Any], names: Collection[str], optional: Collection[str] = ()) -> None:
    """Refuse an object that lacks one of `names`, or has more than these and the optional ones."""
    missing, extra = set(names) - set(data), set(data) - set(names) - set(optional)
    wrong = [f"lacks {', '.join(sorted(missing))}"] * bool(missing)
    wrong += [f"has the unknown {short(sorted(map(str, extra)))}"] * bool(extra)
    if wrong:
        raise ValueError(" and ".join(wrong))


def whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**62:
        raise ValueError(f"{name} must be a whole number, got {short(value)}")
    return value


def count(value: Any, name: str) -> int:
    if whole(value, name) < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


def index(value: Any, name: str) -> int:
    if whole(value, name) < 0:
        raise ValueError(f"{name} must be at least 0, got {value}")
    return value


def index_or_none(value: Any, name: str) -> int | None:
    return None if value is None else index(value, name)


def boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {short(value)}")
    return value


def string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, got {short(value)}")
    return value


def items(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {short(value)}")
    return value


def strings(value: Any, name: str) -> tuple[str, ...]:
    return tuple(string(item, name) for item in items(value, name))


def counts(value: Any, name: str) -> tuple[int, ...]:
    return tuple(count(item, name) for item in items(value, name))


@contextmanager
def saying(what: str) -> Iterator[None]:
    """Say in which part of the file a fault lies."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    except (TypeError, AssertionError, OverflowError) as error:
        raise ValueError(f"{what}: {error}") from error


def short(value: Any) -> str:
    """Return a value's text, cut to fit on a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
