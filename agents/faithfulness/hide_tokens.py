"""What a policy says in one recorded step when some tokens are hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attention_agents.agents.faithfulness.recorded_policy import RecordedPolicy


class HiddenTokenOutputs(NamedTuple):
    """The outputs of a policy in a recorded step when some tokens are hidden."""

    distribution: np.ndarray
    """(A,) or (3, A), see `Header.distribution`."""
    before: np.ndarray
    """The same with all tokens there."""
    action: np.ndarray
    """The likeliest action, as the environment takes it."""
    value: float | None
    """Of the critic; None where it is not known."""
    distance: float
    """From the outputs with all tokens there, in `unit`."""
    unit: str


def hide_tokens(recorded: RecordedPolicy, step: int, tokens: Sequence[int]) -> HiddenTokenOutputs:
    """Return a policy's outputs in a recorded step as if some tokens were not there.

    Its recurrent state before the step is what it was with all tokens there.

    Args:
        step: of the episode.
        tokens: which are hidden; absent ones make no difference.

    Raises:
        ValueError: there is no such step or token, or no token is named.
    """
    T, N = recorded.present.shape
    if not 0 <= step < T:
        raise ValueError(f"step must be 0 to {T - 1} in this episode, got {step}")
    if not len(tokens) or not all(0 <= token < N for token in tokens):
        raise ValueError(f"tokens must be some of 0 to {N - 1}, got {list(tokens)}")
    removed, rows = np.zeros((1, N), bool), np.array([step])
    removed[0, list(tokens)] = True
    outputs = recorded.outputs_without(rows, removed)
    before = recorded.outputs.select_states(slice(step, step + 1))
    return HiddenTokenOutputs(
        distribution=recorded.kind.compact_distribution(outputs)[0],
        before=recorded.kind.compact_distribution(before)[0],
        action=recorded.kind.likeliest_actions(outputs)[0],
        value=None if outputs.value is None else float(outputs.value),
        distance=float(recorded.distances(rows, outputs)[0]),
        unit=recorded.kind.unit,
    )
