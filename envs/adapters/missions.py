"""Missions of MiniGrid and BabyAI as word indices."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from minigrid.core.mission import MissionSpace
from minigrid.envs.babyai.core.levelgen import LevelGen
from minigrid.envs.babyai.core.roomgrid_level import BabyAIMissionSpace
from minigrid.minigrid_env import MiniGridEnv

from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Cells

PADDING, UNKNOWN = 0, 1

BABYAI_WORDS = (
    *("red", "green", "blue", "purple", "yellow", "grey", "ball", "box", "key", "door", "object"),
    *("go", "to", "open", "pick", "up", "put", "next", "the", "a", "on", "your", "left", "right"),
    *("in", "front", "of", "you", "behind", "and", "then", "after"),
)
"""Every word of BabyAI's language (Chevalier-Boisvert et al. 2019, https://arxiv.org/abs/1810.08272)."""

FEW_CLAUSES, MANY_CLAUSES = 24, 72
"""Most words of a BabyAI mission: in levels of a fixed form, and in those that string clauses."""


@dataclass(frozen=True)
class MissionWords:
    """The words of an environment's missions. Index 0 is padding, index 1 an unknown word."""

    vocabulary: tuple[str, ...]
    length: int
    """Most words that a mission has."""

    @classmethod
    def from_env(cls, env: MiniGridEnv) -> MissionWords | None:
        """Return the words of the environment's missions; None when there is only one mission."""
        space: Any = env.observation_space
        missions: MissionSpace = space["mission"]
        if isinstance(missions, BabyAIMissionSpace):
            sequences = isinstance(env, LevelGen) and set(env.instr_kinds) != {"action"}
            return cls(BABYAI_WORDS, MANY_CLAUSES if sequences else FEW_CLAUSES)
        options = missions.ordered_placeholders or []
        firsts = [words[0] for words in options]
        texts = [
            missions.mission_func(*firsts[:i], word, *firsts[i + 1 :])
            for i, words in enumerate(options)
            for word in words
        ]
        if len(set(texts)) < 2:
            return None
        longest = [max(words, key=lambda text: len(text.split())) for words in options]
        words = sorted(set(itertools.chain(*map(_split_words, texts))))
        return cls(tuple(words), len(_split_words(missions.mission_func(*longest))))

    @property
    def space(self) -> TokenBox:
        size = len(self.vocabulary) + 2
        words = ("", "unknown", *self.vocabulary)
        tokens = Cells(1, self.length, (size,), words=(words,))
        return TokenBox(0, size - 1, (self.length, 1), np.int16, tokens=tokens)

    def encode_mission(self, mission: str) -> np.ndarray:
        """Return the (length, 1) word indices of a mission.

        Raises:
            ValueError: the mission is longer than the environment's missions can be.
        """
        words = _split_words(mission)
        if len(words) > self.length:
            raise ValueError(
                f"a mission may have {self.length} words, got {len(words)}: {mission!r}"
            )
        index_of = {word: i for i, word in enumerate(self.vocabulary, start=2)}
        indices = np.full((self.length, 1), PADDING, np.int16)
        indices[: len(words), 0] = [index_of.get(word, UNKNOWN) for word in words]
        return indices


class MissionEncoder:
    """Give the missions of an environment as word indices, where they vary.

    Args:
        env: the bare environment.
    """

    def __init__(self, env: MiniGridEnv):
        self._words = MissionWords.from_env(env)
        self._mission, self._encoded = "", np.empty(0)

    @property
    def spaces(self) -> dict[str, TokenBox]:
        """The part of the observation that missions are; none where there is only one mission."""
        return {} if self._words is None else {"mission": self._words.space}

    def encode(self, mission: str) -> dict[str, np.ndarray]:
        """Return the mission as such a part; none where there is only one mission."""
        if self._words is None:
            return {}
        if mission != self._mission:
            self._mission, self._encoded = mission, self._words.encode_mission(mission)
        return {"mission": self._encoded}


def _split_words(mission: str) -> list[str]:
    return mission.lower().replace(",", " ").split()
