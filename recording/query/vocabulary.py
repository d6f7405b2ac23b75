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

DATED_WORD = re.compile(r"(.+?)\s*,\s*(now|-?\d+ steps?)")
"""A word, and which step of a history it is asked for."""

TokenFinder = Callable[[Step], np.ndarray]
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
        self._groups = group_slices(layout)
        offsets = [group.offsets or (0,) * len(group) for group in layout.groups]
        self._offsets = np.concatenate(offsets)
        """(N,) steps back in time, <= 0."""
        self._static: dict[str, np.ndarray] = {}
        if (self._offsets < 0).any():
            self._static["past"] = self._offsets < 0
        for i in range(len(layout)):
            self._add_word(str(i), i)
        for part in self._groups:
            for i, token in enumerate(range(part.token_slice.start, part.token_slice.stop)):
                bare = _undated_name(part, i)
                stem, _, number = bare.rpartition(" ")
                self._add_word(part.title, token)
                if number.isdigit():
                    self._add_word(stem, token)
                if part.group.kind != "entities" or not name_stem(bare):  # else it changes its row
                    self._add_word(bare, token)
                    self._add_word(part.undated_names[i], token)

    @property
    def words(self) -> tuple[str, ...]:
        """All words that mean something by themselves, lower case; numbers left out."""
        named = {word.lower() for words in self._category_words() for word in words[0]}
        named |= {
            _undated_name(part, i).lower() for part in self._groups for i in range(len(part.group))
        }
        return tuple(sorted(w for w in named | self._static.keys() if w and not w.isdigit()))

    def find_tokens(self, word: str) -> TokenFinder:
        """Return a function from a step to the tokens that a word means there.

        Raises:
            ValueError: no token is ever called so, or the history has no such step; the message
                names words that are near, or says how long the history is.
        """
        name, offset = " ".join(word.lower().split()), None
        if name not in self._static and (dated := DATED_WORD.fullmatch(name)):
            name, offset = dated[1], _parse_offset(dated[2])
        named = self._static.get(name)
        parts = [
            (part, codes)
            for part in self._groups
            if (codes := _category_codes(part.group, name.split())) is not None
        ]
        followed = [part for part in self._groups if _names_object(part, name)]
        if named is None and not parts and not followed:
            raise self._unknown_word(word)
        if offset is not None and offset not in self._offsets:
            raise ValueError(
                f"{word!r} asks for {-offset} steps back, and the history goes "
                f"{-self._offsets.min()} back"
            )

        def token_mask(step: Step) -> np.ndarray:
            mask = np.zeros(len(self._offsets), bool) if named is None else named.copy()
            for part, codes in parts:
                cells = select_history_step(part.group, step.observation[part.group.key])
                mask[part.token_slice] |= _cells_of_category(
                    cells.reshape(len(part.group), -1), codes
                )
            for part in followed:
                names = part.names_at(step, dated=False)
                mask[part.token_slice] |= [token.lower() == name for token in names]
            if offset is not None:
                mask &= self._offsets == offset
            return mask & step.present

        return token_mask

    def _add_word(self, word: str, token: int) -> None:
        blank = np.zeros(len(self._offsets), bool)
        self._static.setdefault(word.lower(), blank)[token] = True

    def _category_words(self) -> list[tuple[tuple[str, ...], ...]]:
        return [part.group.words for part in self._groups if part.group.words]

    def _unknown_word(self, word: str) -> ValueError:
        adjectives = {
            adjective.lower()
            for words in self._category_words()
            for channel in words[1:]
            for adjective in channel
        }
        if word.lower() in adjectives:
            return ValueError(
                f"{word!r} says how a thing is; say which, such as "
                f"{word + ' ' + self._category_words()[0][0][-1]!r}"
            )
        close = difflib.get_close_matches(word.lower(), self.words, n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(map(repr, close))}?" if close else ""
        examples = ", ".join(map(repr, self.words[:12])) + (", ..." if len(self.words) > 12 else "")
        return ValueError(f"no token is called {word!r}: {meant or f'there are {examples}'}")


def _undated_name(part: GroupSlice, i: int) -> str:
    """Return the name of an entity at whatever step, and of another token its own."""
    name = part.group.names[i]
    return strip_age(name, part.offset) if part.group.kind == "entities" else name


def _parse_offset(when: str) -> int:
    """Return how many steps back "now" and "-2 steps" are, <= 0."""
    return 0 if when == "now" else -abs(int(when.split()[0]))


def _names_object(part: GroupSlice, word: str) -> bool:
    """Return whether a word may name an object of a part, such as "car 12"."""
    stems = {name_stem(_undated_name(part, i)).lower() for i in range(len(part.group))} - {""}
    return part.group.kind == "entities" and name_stem(word) in stems


def _category_codes(group: TokenGroup, name: list[str]) -> list[tuple[int, int]] | None:
    """Return (channel, category) of each word of a name; None unless all are words of the group
    and one of them says what is there."""
    if not group.words or not name:
        return None
    lowered = [[word.lower() for word in words] for words in group.words]
    codes = []
    for word in name:
        channel = next((c for c, words in enumerate(lowered) if word in words), None)
        if channel is None:
            return None
        codes.append((channel, lowered[channel].index(word)))
    return codes if any(channel == 0 for channel, _ in codes) else None


def _cells_of_category(cells: np.ndarray, codes: list[tuple[int, int]]) -> np.ndarray:
    """Return which cells (n, channels) are of all these categories, (n,) bool."""
    return np.all([cells[:, channel] == category for channel, category in codes], axis=0)
