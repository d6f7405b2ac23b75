"""What a word such as "key" means among the tokens of a recording, and where it is at each step."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import numpy as np

from envs.layout import TokenGroup, TokenLayout, ageless
from recording.format import Step
from recording.observed import frame_of, parts_of, stem_of

Found = Callable[[Step], np.ndarray]
"""From a step to (N,) bool: which tokens a word means there; absent ones never."""


class Contents:
    """Look up tokens by name, by kind or by what stands there.

    A word means, whatever its case: the token of that number or name ("7", "ego car", "car 12", an
    object that is followed by its identity, through all steps of a history); all whose name is the
    word and a number ("car"); all of a part of the observation ("mission"); and, where an
    environment names its categories, the cells that hold it ("key", or closer: "yellow key").

    Args:
        layout: of the recording.
    """

    def __init__(self, layout: TokenLayout):
        self._parts = parts_of(layout)
        self._count = len(layout)
        self._static: dict[str, np.ndarray] = {}
        for i in range(self._count):
            self._add(str(i), [i])
        for part in self._parts:
            self._add(part.title, np.arange(part.where.start, part.where.stop))
            for i, name in enumerate(part.group.names):
                entity, token = part.group.kind == "entities", [part.where.start + i]
                bare = ageless(name, part.offset) if entity else name
                stem, _, number = bare.rpartition(" ")
                if number.isdigit():
                    self._add(stem, token)
                if not entity or not stem_of(bare):  # else it changes its row
                    for known in {name, bare, part.name(i)}:
                        self._add(known, token)

    @property
    def words(self) -> tuple[str, ...]:
        """All words that mean something by themselves, lower case; numbers left out."""
        held = {word.lower() for words in self._holding() for word in words[0]}
        held |= {name.lower() for part in self._parts for name in part.group.names}
        return tuple(sorted(w for w in held | self._static.keys() if w and not w.isdigit()))

    def find(self, word: str) -> Found:
        """Return where a word is.

        Raises:
            ValueError: no token is ever called so; the message names words that are near.
        """
        asked = " ".join(word.lower().split())
        named = self._static.get(asked)
        parts = [
            (part, codes)
            for part in self._parts
            if (codes := _codes(part.group, asked.split())) is not None
        ]
        followed = [part for part in self._parts if _follows(part.group, asked)]
        if named is None and not parts and not followed:
            raise self._unknown(word)

        def found(step: Step) -> np.ndarray:
            where = np.zeros(self._count, bool) if named is None else named.copy()
            for part, codes in parts:
                cells = frame_of(part.group, step.observation[part.group.key])
                where[part.where] |= _holds(cells.reshape(len(part.group), -1), codes)
            for part in followed:
                names = zip(part.names_at(step), part.names_at(step, dated=False), strict=True)
                where[part.where] |= [asked in (one.lower(), bare.lower()) for one, bare in names]
            return where & step.present

        return found

    def _add(self, word: str, tokens: np.ndarray | list[int]) -> None:
        self._static.setdefault(word.lower(), np.zeros(self._count, bool))[tokens] = True

    def _holding(self) -> list[tuple[tuple[str, ...], ...]]:
        return [part.group.words for part in self._parts if part.group.words]

    def _unknown(self, word: str) -> ValueError:
        how = {
            each.lower() for words in self._holding() for channel in words[1:] for each in channel
        }
        if word.lower() in how:
            return ValueError(
                f"{word!r} says how a thing is; say which, such as "
                f"{word + ' ' + self._holding()[0][0][-1]!r}"
            )
        near = difflib.get_close_matches(word.lower(), self.words, n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
        some = ", ".join(self.words[:12])
        return ValueError(f"no token is called {word!r}: {meant or f'there are {some}, ...'}")


def _follows(group: TokenGroup, asked: str) -> bool:
    """Say whether a word may name an object of a group, such as "car 12"."""
    if group.kind != "entities":
        return False
    t = 0 if group.offsets is None else group.offsets[0]
    stems = {stem_of(ageless(name, t)).lower() for name in group.names} - {""}
    return stem_of(ageless(asked, t)) in stems


def _codes(group: TokenGroup, asked: list[str]) -> list[tuple[int, int]] | None:
    """Return (channel, category) of each asked word; None unless all are known and one says what is
    there."""
    if not group.words or not asked:
        return None
    lowered = [[word.lower() for word in words] for words in group.words]
    codes = []
    for word in asked:
        channel = next((c for c, words in enumerate(lowered) if word in words), None)
        if channel is None:
            return None
        codes.append((channel, lowered[channel].index(word)))
    return codes if any(channel == 0 for channel, _ in codes) else None


def _holds(cells: np.ndarray, codes: list[tuple[int, int]]) -> np.ndarray:
    """Return which cells (n, channels) are of all these categories, (n,) bool."""
    return np.all([cells[:, channel] == category for channel, category in codes], axis=0)
