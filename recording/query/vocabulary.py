"""What a word such as "key" means among the tokens of a recording, and where it is at each step."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

import numpy as np

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, strip_age
from attention_agents.recording.observation_images import (
    GroupSlice,
    group_slices,
    name_stem,
    select_history_step,
)
from attention_agents.recording.step import Step

DATED = re.compile(r"(.+?)\s*,\s*(now|-?\d+ steps?)")
"""A word, and which step of a history it is asked for."""

Found = Callable[[Step], np.ndarray]
"""From a step to (N,) bool: which tokens a word means there; absent ones never."""


class TokenVocabulary:
    """Look up tokens by name, by kind or by what stands there.

    A word means, whatever its case: the token of that number or name ("7", "ego car", "car 12", an
    object that is followed by its identity); all whose name is the word and a number ("car"); all
    of a part of the observation ("mission"); and, where an environment names its categories, the
    cells that hold it ("key", or closer: "yellow key").

    Of a history, objects, parts and what cells hold mean all of its steps. One step is asked for
    with the word: "car 12, now", "car, -2 steps"; all but the present are the "past".

    Args:
        layout: of the recording.
    """

    def __init__(self, layout: TokenLayout):
        self._parts = group_slices(layout)
        offsets = [group.offsets or (0,) * len(group) for group in layout.groups]
        self._offsets = np.concatenate(offsets)
        """(N,) steps back in time, <= 0."""
        self._static: dict[str, np.ndarray] = {}
        if (self._offsets < 0).any():
            self._static["past"] = self._offsets < 0
        for i in range(len(layout)):
            self._add(str(i), i)
        for part in self._parts:
            for i, token in enumerate(range(part.token_slice.start, part.token_slice.stop)):
                bare = _bare(part, i)
                stem, _, number = bare.rpartition(" ")
                self._add(part.title, token)
                if number.isdigit():
                    self._add(stem, token)
                if part.group.kind != "entities" or not name_stem(bare):  # else it changes its row
                    self._add(bare, token)
                    self._add(part.undated_names[i], token)

    @property
    def words(self) -> tuple[str, ...]:
        """All words that mean something by themselves, lower case; numbers left out."""
        held = {word.lower() for words in self._holding() for word in words[0]}
        held |= {_bare(part, i).lower() for part in self._parts for i in range(len(part.group))}
        return tuple(sorted(w for w in held | self._static.keys() if w and not w.isdigit()))

    def find(self, word: str) -> Found:
        """Return where a word is.

        Raises:
            ValueError: no token is ever called so, or the history has no such step; the message
                names words that are near, or says how long the history is.
        """
        asked, then = " ".join(word.lower().split()), None
        if asked not in self._static and (dated := DATED.fullmatch(asked)):
            asked, then = dated[1], _offset(dated[2])
        named = self._static.get(asked)
        parts = [
            (part, codes)
            for part in self._parts
            if (codes := _codes(part.group, asked.split())) is not None
        ]
        followed = [part for part in self._parts if _follows(part, asked)]
        if named is None and not parts and not followed:
            raise self._unknown(word)
        if then is not None and then not in self._offsets:
            raise ValueError(
                f"{word!r} asks for {-then} steps back, and the history goes "
                f"{-self._offsets.min()} back"
            )

        def found(step: Step) -> np.ndarray:
            where = np.zeros(len(self._offsets), bool) if named is None else named.copy()
            for part, codes in parts:
                cells = select_history_step(part.group, step.observation[part.group.key])
                where[part.token_slice] |= _holds(cells.reshape(len(part.group), -1), codes)
            for part in followed:
                names = part.names_at(step, dated=False)
                where[part.token_slice] |= [name.lower() == asked for name in names]
            if then is not None:
                where &= self._offsets == then
            return where & step.present

        return found

    def _add(self, word: str, token: int) -> None:
        blank = np.zeros(len(self._offsets), bool)
        self._static.setdefault(word.lower(), blank)[token] = True

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
        some = ", ".join(map(repr, self.words[:12])) + (", ..." if len(self.words) > 12 else "")
        return ValueError(f"no token is called {word!r}: {meant or f'there are {some}'}")


def _bare(part: GroupSlice, i: int) -> str:
    """Return the name of an entity at whatever step, and of another token its own."""
    name = part.group.names[i]
    return strip_age(name, part.offset) if part.group.kind == "entities" else name


def _offset(when: str) -> int:
    """Return how many steps back "now" and "-2 steps" are, <= 0."""
    return 0 if when == "now" else -abs(int(when.split()[0]))


def _follows(part: GroupSlice, asked: str) -> bool:
    """Say whether a word may name an object of a part, such as "car 12"."""
    stems = {name_stem(_bare(part, i)).lower() for i in range(len(part.group))} - {""}
    return part.group.kind == "entities" and name_stem(asked) in stems


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
