"""An episode as arrays over its steps: what happened, and where the attention was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from attention_agents.recording.header import Header
from attention_agents.recording.map_view import MapView, entropy
from attention_agents.recording.query.attention_shift import attention_shift
from attention_agents.recording.query.vocabulary import TokenVocabulary
from attention_agents.recording.reader import Episode
from attention_agents.recording.scene.actions import action_names, action_text, chosen_choices
from attention_agents.recording.step import Step


class EpisodeColumns:
    """The T steps of an episode; each column is read when it is first asked for.

    Args:
        episode: of a recording.
        view: the map whose weights `attention` means.
    """

    HELP: Mapping[str, str] = {
        "step": "number of the step, from 0",
        "action": "name of the action that was taken",
        "reward": "what it brought",
        "total": "return up to and with this step",
        "value": "the critic's, or the best Q value",
        "probability": "of the action that was taken",
        "entropy": "of the action probabilities, nats; summed over the parts of an action",
        "changed": "whether the action differs from that before",
        "shift": "share of the attention that lies elsewhere than a step before; follows objects",
        "spread": "over how many tokens the attention spreads",
        "terminated": "whether the episode ended here",
        "truncated": "whether it was cut here",
    }
    """The columns and what they hold; NaN where the policy did not say."""
    TEXTS, TRUTHS = ("action",), ("changed", "terminated", "truncated")
    """Columns that hold text, and those that hold yes or no."""

    def __init__(self, episode: Episode, view: MapView):
        self.episode, self.view, self.header = episode, view, episode.header
        self._contents = TokenVocabulary(self.header.layout)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a column, (T,): float64, bool or text."""
        if name not in self.HELP:
            raise KeyError(name)
        return getattr(self, f"_{name}")

    @property
    def steps(self) -> int:
        """T."""
        return len(self.episode)

    @property
    def actions(self) -> tuple[str, ...] | None:
        """What `action` can be; None where it is several choices at once, or numbers."""
        return action_names(self.header) if self.header.action_kind == "discrete" else None

    def attention(self, word: str) -> np.ndarray:
        """Return the weight on all tokens that a word means, (T,) float64.

        Raises:
            ValueError: no token is called so.
        """
        where = self._where(self._contents.find(word))
        return np.where(where, self.weights, 0).sum(-1)

    def present(self, word: str) -> np.ndarray:
        """Return how many tokens a word means, (T,) float64.

        Raises:
            ValueError: no token is called so.
        """
        return self._where(self._contents.find(word)).sum(-1).astype(np.float64)

    def choice(self, name: str) -> np.ndarray:
        """Return the probability (or Q value, or mean) of an action by name, (T,) float64.

        Raises:
            ValueError: no action is called so.
        """
        index = self.action_index(name)
        said = (step.distribution for step in self.episode)
        rows = (None if each is None else (each[0] if each.ndim > 1 else each) for each in said)
        return np.array([np.nan if row is None else float(row[index]) for row in rows])

    def action_index(self, name: str) -> int:
        """Return the number of an action.

        Raises:
            ValueError: no action is called so.
        """
        names = action_names(self.header)
        if name not in names:
            raise ValueError(f"no action is called {name!r}; there are {', '.join(names)}")
        return names.index(name)

    @cached_property
    def weights(self) -> np.ndarray:
        """The weight of every token by the view, (T, N) float32."""
        return np.stack([self.view.token_weights(step) for step in self.episode])

    def _where(self, found: Callable[[Step], np.ndarray]) -> np.ndarray:
        return np.stack([found(step) for step in self.episode])

    def _each(self, take: Callable[[Step], float | None]) -> np.ndarray:
        taken = (take(step) for step in self.episode)
        return np.array([np.nan if value is None else value for value in taken], np.float64)

    @cached_property
    def _step(self) -> np.ndarray:
        return np.arange(len(self.episode), dtype=np.float64)

    @cached_property
    def _action(self) -> np.ndarray:
        return np.array([action_text(self.header, step.action) for step in self.episode])

    @cached_property
    def _reward(self) -> np.ndarray:
        return self.episode.rewards

    @cached_property
    def _total(self) -> np.ndarray:
        return np.cumsum(self._reward)

    @cached_property
    def _value(self) -> np.ndarray:
        return self._each(lambda step: step.value)

    @cached_property
    def _probability(self) -> np.ndarray:
        def taken(step: Step) -> float | None:
            if step.distribution is None or self.header.distribution != "probabilities":
                return None
            said = step.distribution.astype(np.float64)
            chosen = chosen_choices(self.header, step.action)
            if self.header.action_kind == "multi_binary":
                ones = np.isin(np.arange(len(said)), list(chosen))
                return float(np.prod(np.where(ones, said, 1 - said)))
            return float(np.prod(said[sorted(chosen)]))

        return self._each(taken)

    @cached_property
    def _entropy(self) -> np.ndarray:
        def nats(step: Step) -> float | None:
            if step.distribution is None or self.header.distribution != "probabilities":
                return None
            return sum(entropy(part) for part in _parts(self.header, step.distribution))

        return self._each(nats)

    @cached_property
    def _changed(self) -> np.ndarray:
        return np.concatenate([[False], self._action[1:] != self._action[:-1]])[: len(self.episode)]

    @cached_property
    def _shift(self) -> np.ndarray:
        return attention_shift(self.episode, self.weights)

    @cached_property
    def _spread(self) -> np.ndarray:
        def tokens(step: Step, row: np.ndarray) -> float:
            if not step.attended:
                return np.nan
            return float(np.exp(entropy(row))) if row.any() else 0.0

        return np.array([tokens(*each) for each in zip(self.episode, self.weights, strict=True)])

    @cached_property
    def _terminated(self) -> np.ndarray:
        return np.array([step.terminated for step in self.episode])

    @cached_property
    def _truncated(self) -> np.ndarray:
        return np.array([step.truncated for step in self.episode])


class EmptyColumns:
    """The columns of no episode, all empty: any token and any action may be there."""

    steps, actions = 0, None

    def __getitem__(self, name: str) -> np.ndarray:
        kind = (
            str
            if name in EpisodeColumns.TEXTS
            else bool
            if name in EpisodeColumns.TRUTHS
            else np.float64
        )
        return np.zeros(0, kind)

    def attention(self, word: str) -> np.ndarray:
        return np.zeros(0)

    present = choice = attention


def _parts(header: Header, chances: np.ndarray) -> list[np.ndarray]:
    """Return the chances (A,) of an action as those of each of its independent choices."""
    chances = chances.astype(np.float64)
    if header.action_kind == "multi_binary":
        return list(np.stack([chances, 1 - chances], -1))
    return np.split(chances, np.cumsum(header.action_sizes)[:-1])
