"""Names of mechanisms: a word for each piece, ours and yours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Generic, TypeVar

Piece = TypeVar("Piece", bound=type)
WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Registry(Generic[Piece]):
    """Classes by name, each with a line of help.

    >>> scores = Registry("score")
    >>> @scores.register("ones", "every token weighs the same")
    ... class Ones: ...
    >>> scores["ones"].__name__, scores.help("ones")
    ('Ones', 'every token weighs the same')

    Args:
        kind: what is registered, in the words of error messages.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._pieces: dict[str, tuple[Piece, str]] = {}

    def register(self, name: str, help: str) -> Callable[[Piece], Piece]:
        """Return a decorator that enters a class under `name`.

        Args:
            name: lower-case words and numbers, joined by hyphens.
            help: what it does, in a line.

        Raises:
            ValueError: the name is taken by another class, or is no such word.
        """
        if not WORD.fullmatch(name):
            raise ValueError(f"a {self.kind} is named like 'scaled-dot-product', got {name!r}")

        def enter(piece: Piece) -> Piece:
            other = self._pieces.get(name, (piece,))[0]
            if (other.__module__, other.__qualname__) != (piece.__module__, piece.__qualname__):
                raise ValueError(
                    f"{self.kind} {name!r} is {other.__qualname__} of {other.__module__} already; "
                    f"choose another name for {piece.__qualname__}"
                )
            self._pieces[name] = (piece, help)
            return piece

        return enter

    def __getitem__(self, name: str) -> Piece:
        """Return the class of a name.

        Raises:
            ValueError: nobody registered it; the text names the nearest one, or all of them.
        """
        if name in self._pieces:
            return self._pieces[name][0]
        near = difflib.get_close_matches(str(name), self.names, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.names)}"
        raise ValueError(f"unknown {self.kind} {name!r}; {advice}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._pieces)

    def help(self, name: str) -> str:
        """Return the line of help of a name."""
        self[name]
        return self._pieces[name][1]
