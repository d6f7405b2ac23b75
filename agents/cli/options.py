"""Options from a command line, read through tyro into dataclasses."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, field, fields, is_dataclass, make_dataclass
from itertools import dropwhile, takewhile
from typing import Annotated, Any, TypeVar, Union, get_args, get_type_hints

import tyro

Options = TypeVar("Options")
SYNONYMS = {"scores": "score", "normalization": "normalizer"}
"""Names of options in other projects, and ours."""


def read_options(
    options_type: type[Options],
    argv: Sequence[str],
    prog: str,
    flags: Mapping[str, str] | None = None,
    hints: Mapping[str, str] | None = None,
) -> Options:
    """Read a dataclass from words; `--help` prints its docstrings and leaves with SystemExit.

    Args:
        argv: words after the name of the command.
        prog: how the command was called, for help and mistakes.
        flags: options of earlier versions, each with the positional argument it gives, or "".
        hints: what to do about options that it does not have.

    Raises:
        ValueError: a value is missing or cannot be read, or there is no such option.
    """
    parsed_type: type = _with_flags(options_type, flags) if flags else options_type
    groups = _option_groups(parsed_type)
    error_box = io.StringIO()
    try:
        with contextlib.redirect_stderr(error_box):
            parsed, unknown = tyro.cli(
                make_dataclass("Groups", groups) if groups else parsed_type,
                prog=prog,
                description=inspect.getdoc(options_type),
                args=list(argv),
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if stop.code == 0:
            raise
        raise ValueError(_first_paragraph(error_box.getvalue())) from None
    if unknown:
        raise ValueError(_explain_unknown(unknown[0], option_names(parsed_type), prog, hints or {}))
    values = vars(parsed)
    if groups:
        values = {name: value for group in values.values() for name, value in vars(group).items()}
    return options_type(**{f.name: values[f.name] for f in fields(options_type)})  # pyright: ignore[reportArgumentType]


def show_verbs(
    prog: str, description: str, summaries: Mapping[str, str], default: bool = False
) -> None:
    """Print the help of a command that has verbs.

    Args:
        summaries: what each verb does, in a line.
        default: whether the first verb is taken where none is named.
    """
    verbs = {name: make_dataclass(name, ()) for name in summaries}
    union: Any = Union[  # noqa: UP007
        tuple(
            Annotated[verb, tyro.conf.subcommand(name, description=summaries[name])]
            for name, verb in verbs.items()
        )
    ]
    first: Any = next(iter(verbs.values()))() if default else tyro.MISSING_NONPROP
    with contextlib.suppress(SystemExit):
        tyro.cli(union, prog=prog, description=description, default=first, args=["--help"])


def option_names(options_type: type) -> list[str]:
    """Return the names of options, without dashes; positional arguments have none."""
    hints = get_type_hints(options_type, include_extras=True)
    positional = {name for name, hint in hints.items() if tyro.conf.Positional in get_args(hint)}
    names = (f.name for f in fields(options_type) if f.name not in positional)
    return ["help", *(name.replace("_", "-") for name in names)]


def _with_flags(options_type: type, flags: Mapping[str, str]) -> type:
    """Return `options_type` with options in place of positional arguments."""
    hints: dict[str, Any] = get_type_hints(options_type, include_extras=True)
    defaults: dict[str, Field] = {f.name: f for f in fields(options_type)}
    for flag, name in flags.items():
        if name:
            hints[name] = Annotated[str, tyro.conf.arg(name=flag)]
        else:
            hints[flag] = tyro.conf.FlagCreatePairsOff[bool]
            defaults[flag] = field(default=False)  # pyright: ignore[reportArgumentType]
    return make_dataclass(
        options_type.__name__,
        [(name, hints[name], _same_default(default)) for name, default in defaults.items()],
        kw_only=True,
    )


def _same_default(declared: Field) -> Field:
    return field(default=declared.default, default_factory=declared.default_factory)  # pyright: ignore


def _option_groups(options_type: type) -> list[tuple[str, Any, Any]]:
    """Return a field per dataclass that `options_type` is made of: `--help` groups options so.

    `EncoderOptions` is shown as "encoder options".
    """
    if inspect.get_annotations(options_type):
        return []
    return [
        (
            base.__name__.removesuffix("Options").lower(),
            tyro.conf.OmitArgPrefixes[base],
            field(default_factory=base),
        )
        for base in reversed(options_type.__bases__)
        if is_dataclass(base)
    ]


def _first_paragraph(box: str) -> str:
    """Return the text of the box that tyro draws around a mistake, below its title."""
    inside = [line.strip("│ ") for line in box.strip().splitlines()[1:]]
    inside = list(dropwhile(lambda line: not line.strip("─- "), inside))
    first = " ".join(takewhile(lambda line: line.strip("─- "), inside))
    first = first.replace("{None}|", "").replace("Error parsing ", "")
    return re.sub(r"no type matching (\S+) could be instantiated from", r"expected \1, got", first)


def _explain_unknown(word: str, names: Sequence[str], prog: str, hints: Mapping[str, str]) -> str:
    """Return what is wrong with a word that is no option, and what to do about it."""
    if not word.startswith("-"):
        return f"unexpected word {word!r}; see {prog} --help"
    option = word.partition("=")[0]
    name = option.replace("_", "-").lstrip("-")
    if name in hints:
        return f"--{name} {hints[name]}"
    synonym = SYNONYMS.get(name)
    if synonym in names:
        return f"unknown option --{name}; it is called --{synonym}"
    near = difflib.get_close_matches(name, names, n=1)
    advice = f"did you mean --{near[0]}?" if near else f"see {prog} --help"
    return f"unknown option {option}; {advice}"
