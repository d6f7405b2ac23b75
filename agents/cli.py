"""The border between a command line and a verb: options in, exit codes out.

Exit codes: 0 done, 2 the caller's mistake (one to three lines on stderr), 130 interrupted. A fault
of the program itself keeps its traceback and exits with 1.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

import tyro

from attention_agents.agents.config.plugins import current_folder

Config = TypeVar("Config")
ELSEWHERE = {"score": "attention", "scores": "attention", "normalization": "normaliser"}
"""What options are called by others, and here."""


def run_verb(
    verb: Callable[[Config], None],
    config_type: type[Config],
    argv: Sequence[str] | None = None,
    examples: str = "",
) -> NoReturn:
    """Read `config_type` from the command line, call `verb` with it, and exit.

    Modules in the current folder can be imported meanwhile, after all that are installed.

    Args:
        verb: does the work and prints its result; its ValueErrors are the caller's mistakes, and
            so is more than the memory holds.
        config_type: a frozen dataclass; its docstrings are the help.
        argv: the words after the script's name; None takes those of this process.
        examples: what `--help` ends with.
    """
    try:
        with current_folder():
            verb(read_config(config_type, sys.argv[1:] if argv is None else argv, examples))
    except ValueError as error:
        refuse(str(error))
    except MemoryError as error:
        refuse(f"this machine has not enough memory for that: {error}")
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def refuse(message: str) -> NoReturn:
    """Say what was wrong, in at most three lines on stderr, and exit with 2."""
    lines = [line.strip() for line in message.splitlines() if line.strip()][:3]
    print(
        "\n".join([f"{_script()}: {lines[0] if lines else 'error'}", *lines[1:]]), file=sys.stderr
    )
    sys.exit(2)


def read_config(config_type: type[Config], argv: Sequence[str], examples: str = "") -> Config:
    """Read a dataclass from words; `--help` and mistakes leave through SystemExit."""
    said = io.StringIO()
    groups = _groups(config_type)
    try:
        with contextlib.redirect_stderr(said):
            found, unknown = tyro.cli(
                make_dataclass("Groups", groups) if groups else config_type,
                description=inspect.getdoc(config_type),
                args=list(argv),
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if stop.code == 0:
            print(examples, end="")
            raise
        refuse(_plain(said.getvalue()))
    if unknown:
        refuse(_about(unknown[0], _options(config_type)))
    if not groups:
        return found
    return config_type(
        **{name: value for group in vars(found).values() for name, value in vars(group).items()}
    )


def _groups(config_type: type) -> list[tuple[str, Any, Any]]:
    """Return a field per dataclass that `config_type` is made of: `--help` groups options so.

    `EncoderOptions` is shown as "encoder options".
    """
    return [
        (
            base.__name__.removesuffix("Options").lower(),
            tyro.conf.OmitArgPrefixes[base],
            field(default_factory=base),
        )
        for base in reversed(config_type.__bases__)
        if is_dataclass(base)
    ]


def _plain(box: str) -> str:
    """Take the first paragraph out of the box that tyro draws round a mistake, below its title."""
    inside = [line.strip("│ ") for line in box.strip().splitlines()[1:]]
    inside = list(dropwhile(lambda line: not line.strip("─- "), inside))
    first = " ".join(takewhile(lambda line: line.strip("─- "), inside))
    first = first.replace("{None}|", "").replace("Error parsing ", "")
    return re.sub(r"no type matching (\S+) could be instantiated from", r"expected \1, got", first)


def _about(word: str, options: Sequence[str]) -> str:
    if not word.startswith("-"):
        return f"unexpected word {word!r}; see {_script()} --help"
    name = word.partition("=")[0].replace("_", "-").lstrip("-")
    if f"--{ELSEWHERE.get(name)}" in options:
        return f"unknown option --{name}; it is called --{ELSEWHERE[name]}"
    near = difflib.get_close_matches(name, [each.lstrip("-") for each in options], n=1)
    advice = f"did you mean --{near[0]}?" if near else f"see {_script()} --help"
    return f"unknown option {word.partition('=')[0]}; {advice}"


def _options(config_type: type) -> list[str]:
    """Return the words that name an option; what stands by its place has none."""
    hints = get_type_hints(config_type, include_extras=True)
    placed = {name for name, hint in hints.items() if tyro.conf.Positional in get_args(hint)}
    names = (each.name for each in fields(config_type) if each.name not in placed)
    return ["--help", *(f"--{name.replace('_', '-')}" for name in names)]


def _script() -> str:
    return Path(sys.argv[0]).name or "python"
