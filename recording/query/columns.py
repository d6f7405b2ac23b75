"""An episode as arrays over its steps: what happened, where evidence and attention were."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from attention_agents.recording.evidence_view import EvidenceView, choose_shown
from attention_agents.recording.header import Header
from attention_agents.recording.map_view import MapView, entropy
from attention_agents.recording.query.attention_shift import attention_shift
from attention_agents.recording.query.vocabulary import TokenVocabulary
from attention_agents.recording.reader import Episode
from attention_agents.recording.scene.actions import action_names, action_text, chosen_choices
from attention_agents.recording.step import Step


class EpisodeColumns:
    """The T steps of an episode; each column is computed when it is first needed.

    Args:
        episode: of a recording.
        view: the map whose weights `attention` means; None where there are no maps.
        component: whose evidence `evidence` means, by name or number; "" for the one with most.
    """

    def __init__(self, episode: Episode, view: MapView | None, component: str = ""):
        self.episode, self.view, self.header = episode, view, episode.header
        self._component = component
        self._vocabulary = TokenVocabulary(self.header.layout)
        self._computed: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a column of `COLUMNS`, (T,): float64, bool or text."""
        if name not in self._computed:
            self._computed[name] = COLUMNS[name].compute(self)
        return self._computed[name]

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
            ValueError: no token has that name.
        """
        return np.where(self._token_mask(word), self.weights, 0).sum(-1)

    def evidence(self, word: str) -> np.ndarray:
        """Return the share of all absolute evidence on the tokens that a word means, signed, (T,)
        float64 in [-1, 1]; NaN where it is undefined.

        Raises:
            ValueError: no token has that name, or the recording has no evidence.
        """
        shares, mask = self.evidence_shares, self._token_mask(word)
        return np.where(np.isnan(shares).any(-1), np.nan, np.where(mask, shares, 0).sum(-1))

    @cached_property
    def evidence_shares(self) -> np.ndarray:
        """Evidence of every token, as a signed share of the absolute evidence of all, (T, N)
        float64; rows of NaN where it is undefined, and 0 where there is none."""
        view = choose_shown(
            self.header, show="evidence", component=self._component, episode=self.episode
        )
        assert isinstance(view, EvidenceView)
        evidence = np.stack([view.token_weights(step) for step in self.episode]).astype(float)
        evidence[[not view.is_defined(step) for step in self.episode]] = np.nan
        total = np.abs(evidence).sum(-1, keepdims=True)
        return evidence / np.where(total > 0, total, 1)

    def present(self, word: str) -> np.ndarray:
        """Return how many tokens a word means, (T,) float64.

        Raises:
            ValueError: no token has that name.
        """
        return self._token_mask(word).sum(-1).astype(np.float64)

    def policy(self, name: str) -> np.ndarray:
        """Return the probability (or Q value, or mean) of an action by name, (T,) float64.

        Raises:
            ValueError: no action has that name.
        """
        names = action_names(self.header)
        if name not in names:
            raise ValueError(f"no action is called {name!r}; there are {', '.join(names)}")
        index = names.index(name)
        return self.per_step(
            lambda step: (
                None
                if step.distribution is None
                else float(np.atleast_2d(step.distribution)[0, index])
            )
        )

    @cached_property
    def weights(self) -> np.ndarray:
        """The weight of every token by the view, (T, N) float32.

        Raises:
            ValueError: the recording has no attention maps.
        """
        if self.view is None:
            raise ValueError("this recording has no attention maps: ask for evidence")
        return np.stack([self.view.token_weights(step) for step in self.episode])

    def per_step(self, compute: Callable[[Step], float | None]) -> np.ndarray:
        """Return a number of each step, (T,) float64; NaN where it is None."""
        values = (compute(step) for step in self.episode)
        return np.array([np.nan if value is None else value for value in values], np.float64)

    def _token_mask(self, word: str) -> np.ndarray:
        """Return which tokens a word means at each step, (T, N) bool."""
        find_tokens = self._vocabulary.find_tokens(word)
        return np.stack([find_tokens(step) for step in self.episode])


class EmptyColumns:
    """The columns of no episode, all empty: any token and any action may be there."""

    steps, actions = 0, None

    def __getitem__(self, name: str) -> np.ndarray:
        return np.zeros(0, COLUMNS[name].kind)

    def attention(self, word: str) -> np.ndarray:
        return np.zeros(0)

    present = policy = evidence = attention


def _action_probabilities(columns: EpisodeColumns) -> np.ndarray:
    header = columns.header

    def probability(step: Step) -> float | None:
        if step.distribution is None or header.distribution != "probabilities":
            return None
        probabilities = step.distribution.astype(np.float64)
        chosen = chosen_choices(header, step.action)
        if header.action_kind == "multi_binary":
            bits = np.isin(np.arange(len(probabilities)), list(chosen))
            return float(np.prod(np.where(bits, probabilities, 1 - probabilities)))
        return float(np.prod(probabilities[sorted(chosen)]))

    return columns.per_step(probability)


def _action_entropies(columns: EpisodeColumns) -> np.ndarray:
    header = columns.header

    def nats(step: Step) -> float | None:
        if step.distribution is None or header.distribution != "probabilities":
            return None
        return sum(map(entropy, _split_choices(header, step.distribution)))

    return columns.per_step(nats)


def _changed_actions(columns: EpisodeColumns) -> np.ndarray:
    actions = columns["action"]
    return np.concatenate([[False], actions[1:] != actions[:-1]])[: columns.steps]


def _effective_tokens(columns: EpisodeColumns) -> np.ndarray:
    def count(step: Step, weights: np.ndarray) -> float:
        if not step.attended:
            return np.nan
        return float(np.exp(entropy(weights))) if weights.any() else 0.0

    return np.array(list(map(count, columns.episode, columns.weights)))


def _split_choices(header: Header, probabilities: np.ndarray) -> list[np.ndarray]:
    """Return the probabilities (A,) of an action as those of each of its independent choices."""
    probabilities = probabilities.astype(np.float64)
    if header.action_kind == "multi_binary":
        return list(np.stack([probabilities, 1 - probabilities], -1))
    return np.split(probabilities, np.cumsum(header.action_sizes)[:-1])


class Column(NamedTuple):
    """One column of an episode."""

    help: str
    compute: Callable[[EpisodeColumns], np.ndarray]
    kind: type = np.float64
    """Of its entries: numbers, text or truth values."""


COLUMNS = {
    "step": Column(
        "number of the step, from 0", lambda columns: np.arange(columns.steps, dtype=np.float64)
    ),
    "action": Column(
        "name of the action that was taken",
        lambda columns: np.array([action_text(columns.header, s.action) for s in columns.episode]),
        str,
    ),
    "reward": Column("what it brought", lambda columns: columns.episode.rewards),
    "total": Column(
        "return up to and with this step", lambda columns: np.cumsum(columns["reward"])
    ),
    "value": Column(
        "the critic's, or the best Q value",
        lambda columns: columns.per_step(lambda step: step.value),
    ),
    "probability": Column("of the action that was taken", _action_probabilities),
    "entropy": Column(
        "of the action probabilities, nats; summed over the parts of an action", _action_entropies
    ),
    "changed": Column("whether the action differs from that before", _changed_actions, bool),
    "shift": Column(
        "share of the attention that lies elsewhere than a step before; follows objects",
        lambda columns: attention_shift(columns.episode, columns.weights),
    ),
    "spread": Column("over how many tokens the attention spreads", _effective_tokens),
    "terminated": Column(
        "whether the episode ended here",
        lambda columns: np.array([step.terminated for step in columns.episode]),
        bool,
    ),
    "truncated": Column(
        "whether it was cut here",
        lambda columns: np.array([step.truncated for step in columns.episode]),
        bool,
    ),
}
"""The columns by name; numbers are NaN where they are unknown."""
