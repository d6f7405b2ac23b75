"""Asking a policy in one recorded step with tokens hidden, as a counterfactual replay does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attention_agents.agents.faithfulness.recorded_policy import Subject
from attention_agents.agents.runs.checkpoint import LoadedPolicy
from attention_agents.recording.reader import Episode


class Hidden(NamedTuple):
    """What a policy says in a recorded step when it does not see some tokens."""

    distribution: np.ndarray
    """(A,) or (3, A), see `Header.distribution`."""
    before: np.ndarray
    """The same with all tokens there."""
    action: np.ndarray
    """The likeliest action, as the environment takes it."""
    value: float | None
    """What the critic says; None where it cannot be told."""
    change: float
    """How far the policy has moved, in `unit`."""
    unit: str


def hidden(loaded: LoadedPolicy, episode: Episode, step: int, tokens: Sequence[int]) -> Hidden:
    """Ask a policy in a recorded step as if some tokens were not there.

    What it remembers of the steps before is what it was with all tokens there.

    Args:
        loaded: the policy that was recorded.
        episode: one of its recording.
        step: of the episode.
        tokens: which are hidden; absent ones make no difference.

    Raises:
        ValueError: there is no such step or token, no token is named, or the recording is of
            another policy.
    """
    N = len(episode.header.layout)
    if not 0 <= step < len(episode):
        raise ValueError(f"step must be 0 to {len(episode) - 1} in this episode, got {step}")
    if not len(tokens) or not all(0 <= token < N for token in tokens):
        raise ValueError(f"tokens must be some of 0 to {N - 1}, got {list(tokens)}")
    subject = Subject.of(loaded.model.policy, loaded.normalize, episode)
    removed = np.zeros((1, N), bool)
    removed[0, list(tokens)] = True
    rows = np.array([step])
    said, kind = subject.without(rows, removed), subject.reader.kind
    before = subject.said.rows(slice(step, step + 1))
    return Hidden(
        distribution=kind.distribution(said)[0],
        before=kind.distribution(before)[0],
        action=kind.action(said)[0],
        value=None if said.value is None else float(said.value),
        change=float(subject.changes(rows, said)[0]),
        unit=kind.unit,
    )
