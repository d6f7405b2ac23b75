"""Rules that several configs hold their values to."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any


def check_choice(kind: str, name: str, names: Iterable[str]) -> str:
    """Return `name` when it is one of `names`.

    Raises:
        ValueError: it is not; the text names the nearest one, or all of them.
    """
    names = tuple(names)
    if name in names:
        return name
    near = difflib.get_close_matches(str(name), names, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    raise ValueError(f"unknown {kind} {name!r}; {advice}")


def check_word(name: str, value: Any) -> None:
    """Refuse what is no text.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a word, got {value!r}")


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")


def check_count(name: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Refuse what is no whole number of at least `least`, and at most `most`.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, got {value}")


def check_number(
    name: str, value: Any, least: float = -math.inf, most: float | None = None
) -> None:
    """Refuse what is no finite number of at least `least`, and at most `most`.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, got {value}")


CHECKS: dict[str, Callable[..., None]] = {
    "str": check_word,
    "bool": check_flag,
    "int": check_count,
    "float": check_number,
}
"""By annotation."""


def check_fields(config: Any, limits: Mapping[str, tuple[int, int | None]] | None = None) -> None:
    """Hold the fields of a dataclass to their annotations, where these are plain types.

    Args:
        config: its annotations are texts.
        limits: the least and the most of numbers; else whole numbers are at least 1.

    Raises:
        ValueError: a value is of another type, or beyond a limit.
    """
    for declared in fields(config):
        kind, _, alternative = declared.type.partition(" | ")
        value = getattr(config, declared.name)
        if kind in CHECKS and not (value is None and alternative == "None"):
            CHECKS[kind](declared.name, value, *(limits or {}).get(declared.name, ()))


def check_used(
    name: str, value: Any, chosen: Mapping[str, str], users: Mapping[str, Iterable[str]]
) -> None:
    """Refuse a value that none of the chosen words uses.

    Args:
        name: of the value.
        value: the value.
        chosen: the word of each option that decides.
        users: for each of these options, the words that use the value.

    Raises:
        ValueError: none of them is chosen; the text names them.
    """
    if any(chosen[option] in words for option, words in users.items()):
        return
    named = ", ".join(f"{option}={word!r}" for option, word in chosen.items())
    able = [f"{option}={word!r}" for option, words in users.items() for word in words]
    raise ValueError(
        f"{name}={value} would change nothing with {named}; leave it out, or use one of "
        f"{', '.join(able)}"
    )


def check_plain(name: str, value: Any) -> None:
    """Refuse what JSON cannot hold and give back.

    Raises:
        ValueError: it is or contains something else than finite numbers, words, True, False, null,
            lists and dicts.
    """
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be finite numbers or words, got {value!r}") from None


def first_line(error: Exception) -> str:
    """Return the first line of an error, or its type where it has no text."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
