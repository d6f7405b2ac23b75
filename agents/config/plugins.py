"""Modules of your own that register mechanisms: imported when they are named, never before."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from attention_agents.agents.config.catalogue import glossary


class PluginError(ValueError):
    """A plugin cannot be imported, or a run needs one that is not imported."""


def import_plugins(names: Iterable[str]) -> None:
    """Import modules, so that what they register has a name here.

    Raises:
        PluginError: a name is no module's, there is no such module, or it fails; the text says
            where and why.
    """
    for name in names:
        if not is_module(name):
            raise PluginError(f"a plugin is named like a module, such as my_scores, got {name!r}")
        try:
            import_module(name)
        except Exception as error:  # whatever a module of somebody else's raises
            raise PluginError(
                f"cannot import the plugin {name!r}: {_explain_failure(name, error)}"
            ) from error


def check_imported(names: Iterable[str]) -> None:
    """Refuse to go on without a run's plugins, and to import them only because a file names them.

    Args:
        names: modules that a run was trained with, perhaps a stranger's.

    Raises:
        PluginError: some are not imported.
    """
    names = tuple(names)
    missing = [name for name in names if name not in sys.modules]
    if missing:
        raise PluginError(
            f"this run imports {' and '.join(map(repr, missing))} for its mechanisms; if you trust "
            f"that, add --plugins {shlex.join(names)} (in Python, import it first)"
        )


def words_for_help(argv: Sequence[str]) -> str:
    """Return the table of all words that `--help` ends with.

    Those of the plugins that stand beside `--help` are among them, or why they cannot be. Without
    `--help` nothing is imported.
    """
    if not {"-h", "--help"} & set(argv):
        return ""
    try:
        with current_folder():
            import_plugins(plugins_named(argv))
    except PluginError as error:
        return f"{glossary()}{error}\n"
    return glossary()


def plugins_named(words: Sequence[str]) -> tuple[str, ...]:
    """Return the modules that a command line names, whatever else it says.

    >>> plugins_named(["--plugins", "my_scores", "my_blocks", "--help"])
    ('my_scores', 'my_blocks')
    """
    names: list[str] = []
    reading = False
    for word in words:
        if word.startswith("-"):
            option, _, value = word.partition("=")
            reading = option == "--plugins"
            names += [value] if reading and value else []
        elif reading:
            names.append(word)
    return tuple(names)


@contextmanager
def current_folder() -> Iterator[None]:
    """Find modules in the current folder too, after all that are installed."""
    before = list(sys.path)
    sys.path.append(os.getcwd())
    try:
        yield
    finally:
        sys.path[:] = before


def is_module(name: str) -> bool:
    """Return whether a text is the name of a module, and not that of a file.

    >>> is_module("my_package.scores"), is_module("my_scores.py"), is_module("../scores")
    (True, False, False)
    """
    return all(part.isidentifier() for part in name.split(".")) and not name.endswith(".py")


def _explain_failure(name: str, error: Exception) -> str:
    """Return in a line what went wrong inside a module, and where."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and f"{name}.".startswith(f"{missing}."):
        return f"there is no module {missing!r} in the current folder, nor installed"
    message = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.name == "<module>"]
    return f"{frames[-1].filename}:{frames[-1].lineno}: {message}" if frames else message
