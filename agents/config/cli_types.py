"""How a command line writes an option."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import tyro
import yaml


def read_pairs(words: Iterable[str]) -> dict[str, Any]:
    """Read words like `gamma:0.98` or `net_arch:[64,64]`; the values are YAML, so nothing is run.

    >>> read_pairs(["gamma:0.98", "learning_rate:lin_1e-3", "train_freq:[1, episode]"])
    {'gamma': 0.98, 'learning_rate': 'lin_1e-3', 'train_freq': [1, 'episode']}

    Raises:
        ValueError: a word has no colon, an empty key, or a value that is no YAML.
    """
    pairs: dict[str, Any] = {}
    for word in words:
        key, colon, text = word.partition(":")
        if not (key and colon):
            raise ValueError(f"expected key:value, got {word!r}")
        try:
            pairs[key] = _number(yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise ValueError(f"cannot read the value of {word!r}: {error}") from error
    return pairs


def _number(value: Any) -> Any:
    """Return a float for texts like 1e-3, which YAML 1.1 takes for a string."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Pairs = Annotated[
    dict[str, Any],
    tyro.conf.arg(help_behavior_hint="(default: none)"),
    tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="KEY:VALUE",
        instance_from_str=read_pairs,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda pairs: [f"{key}:{value}" for key, value in pairs.items()],
    ),
]


def optional_arg(metavar: str, default: str = "preset", aliases: tuple[str, ...] = ()) -> Any:
    """Return how `--help` tells an option that may stay open."""
    hint = f"(default: {default})"
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint, aliases=aliases)


def read_normalize(words: Sequence[str]) -> bool:
    """Read True or False, and tell `--normalize` from `--normalizer`.

    >>> read_normalize(["true"])
    True

    Raises:
        ValueError: it is another word, such as that of a normalizer.
    """
    values = {"true": True, "false": False}
    if words[0].lower() not in values:
        raise ValueError(
            f"expected True or False, got {words[0]!r}; the word for how scores become weights "
            "is --normalizer"
        )
    return values[words[0].lower()]


Normalize = Annotated[
    bool | None,
    optional_arg("BOOL"),
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="BOOL",
        instance_from_str=read_normalize,
        is_instance=lambda value: value is None or isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    ),
]
Count = Annotated[int | None, optional_arg("INT")]
Word = Annotated[str | None, optional_arg("STR")]
Modules = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="MODULE", help_behavior_hint="(default: none)")
]
