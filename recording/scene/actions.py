"""Actions in words, and which of them there is room to show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attention_agents.recording.header import ActionKind, Header
from attention_agents.recording.scene.display import MAX_ROWS, format_number


def action_names(header: Header) -> tuple[str, ...]:
    """Return a name for each of the A choices or dimensions."""
    if header.action_names is not None:
        return header.action_names
    return default_names(header.action_kind, header.action_sizes)


def default_names(kind: ActionKind, sizes: Sequence[int]) -> tuple[str, ...]:
    """Return names for the choices or dimensions of actions that have none.

    Args:
        kind: of the actions.
        sizes: choices of each part, see `Header.action_sizes`.
    """
    if kind == "multi_discrete":
        parts = enumerate(sizes)
        return tuple(f"part {part}: {choice}" for part, size in parts for choice in range(size))
    words = {"discrete": "action", "multi_binary": "bit", "continuous": "dimension"}
    return tuple(f"{words[kind]} {i}" for i in range(sum(sizes)))


def chosen_choices(header: Header, action: np.ndarray) -> set[int]:
    """Return which of the A choices an action took; none of a continuous one."""
    values = np.ravel(action)
    if header.action_kind == "continuous":
        return set()
    if header.action_kind == "multi_binary":
        return {i for i, value in enumerate(values) if value > 0.5}
    starts = np.cumsum([0, *header.action_sizes[:-1]])
    return {int(start + value) for start, value in zip(starts, values, strict=False)}


def action_text(header: Header, action: np.ndarray) -> str:
    """Return an action in words."""
    if header.action_kind == "continuous":
        return "(" + ", ".join(f"{value:.2f}" for value in np.ravel(action)) + ")"
    names = action_names(header)
    chosen = [names[i] for i in sorted(chosen_choices(header, action)) if 0 <= i < len(names)]
    return ", ".join(chosen) or "nothing"


def format_choice(header: Header, value: float) -> str:
    """Return the probability or Q value of a choice in a few characters."""
    return f"{value:.3f}" if header.distribution == "probabilities" else format_number(value)


def likeliest_action(header: Header, distribution: np.ndarray) -> np.ndarray:
    """Return the action that a distribution, (A,) or (3, A), puts first."""
    if header.action_kind == "continuous":
        return distribution[0]
    if header.action_kind == "multi_binary":
        return distribution > 0.5
    choices = np.split(distribution, np.cumsum(header.action_sizes)[:-1])
    return np.array([choice.argmax() for choice in choices])


def shown_choices(header: Header, action: np.ndarray, distribution: np.ndarray | None) -> list[int]:
    """Return the choices or dimensions to list, in order: all that fit, the chosen and the
    likeliest first."""
    rows = list(range(header.action_count))
    if len(rows) > MAX_ROWS and distribution is not None and distribution.ndim == 1:
        chosen = chosen_choices(header, action)
        rows.sort(key=lambda i: (i not in chosen, -float(distribution[i])))
    return sorted(rows[:MAX_ROWS])
