"""A table of mechanisms: a word for each class, ours and yours. Free of torch."""

from __future__ import annotations

import ast
import difflib
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import import_module
from typing import Any, Generic, NamedTuple, TypeVar

Piece = TypeVar("Piece", bound=type)
WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Entry(NamedTuple):
    """A word of our own, as it stands in the source."""

    help: str
    module: str
    """Imported when the word is first used."""


class Registry(Generic[Piece]):
    """Classes by word, each with a line of help.

    Our own classes lie in the modules of one folder, each below `@REGISTRY.register(word, help)`.
    Words and help are read from the source of these modules, so that a new file is a new word and
    nothing is imported before somebody uses it. Modules of others register when they are imported.

    >>> from attention_agents.policies.registries import SCORES
    >>> SCORES.words["dot"], SCORES["dot"].__name__
    ('q.k, without a scale', 'Dot')

    Args:
        kind: what is registered, in the words of error messages.
        package: the folder of our own modules.
        default: the word that stands first.
        default_help: of a default that has no class, because it adds nothing.
    """

    def __init__(self, kind: str, package: str, default: str, default_help: str = ""):
        self.kind, self.package, self.default = kind, package, default
        self._default_help = default_help
        self._pieces: dict[str, tuple[Piece, str]] = {}

    def register(self, word: str, help: str) -> Callable[[Piece], Piece]:
        """Return a decorator that enters a class under `word`.

        Args:
            word: lower-case words and numbers, joined by hyphens.
            help: what it does, in a line.

        Raises:
            ValueError: the word is taken by another class, or is no such word.
        """
        if not WORD.fullmatch(word):
            raise ValueError(f"a {self.kind} is named like 'scaled-dot-product', got {word!r}")

        def enter(piece: Piece) -> Piece:
            if word in self.builtin and self.builtin[word].module != piece.__module__:
                self._import_entry(word)
            present = self._pieces.get(word, (piece,))[0]
            if (present.__module__, present.__qualname__) != (piece.__module__, piece.__qualname__):
                raise ValueError(
                    f"{self.kind} {word!r} is {present.__qualname__} of {present.__module__} "
                    f"already; choose another name for {piece.__qualname__}"
                )
            self._pieces[word] = (piece, help)
            return piece

        return enter

    def __getitem__(self, word: str) -> Piece:
        """Return the class of a word.

        Raises:
            ValueError: it is not registered; the text names the nearest word, or all of them.
        """
        if word not in self._pieces and word in self.builtin:
            self._import_entry(word)
        if word in self._pieces:
            return self._pieces[word][0]
        near = difflib.get_close_matches(str(word), self.words, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.words)}"
        raise ValueError(f"unknown {self.kind} {word!r}; {advice}")

    def build(self, word: str, *arguments: Any) -> Any:
        """Return an instance of a word's class; None for a default that adds nothing.

        Raises:
            ValueError: the word is unknown, or its class refuses the arguments.
        """
        return None if self.is_empty(word) else self[word](*arguments)

    def is_empty(self, word: str) -> bool:
        """Return whether a word is the default and has no class."""
        return bool(self._default_help) and word == self.default

    @cached_property
    def builtin(self) -> dict[str, Entry]:
        """Our own words, the default first."""
        entries = dict(sorted(_read_entries(self.package)))
        first = Entry(self._default_help, "") if self._default_help else entries[self.default]
        return {self.default: first} | entries

    @property
    def words(self) -> dict[str, str]:
        """Every word with its line of help: our own, then those of plugins."""
        builtin = {word: entry.help for word, entry in self.builtin.items()}
        return builtin | {word: help for word, (_, help) in self._pieces.items()}

    def _import_entry(self, word: str) -> None:
        if self.builtin[word].module:
            import_module(self.builtin[word].module)


def _read_entries(package: str) -> Iterator[tuple[str, Entry]]:
    """Yield the words that modules of a folder register, read from their source."""
    for module in pkgutil.iter_modules(import_module(package).__path__):
        name = f"{package}.{module.name}"
        loader: Any = module.module_finder.find_spec(module.name, None).loader  # type: ignore
        for node in ast.walk(ast.parse(loader.get_source(module.name))):
            for call in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "register":
                    word, help = (ast.literal_eval(argument) for argument in call.args)
                    yield word, Entry(help, name)
