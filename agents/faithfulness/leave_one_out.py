"""The causal map: how much the policy changes without each single token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from attention_agents.agents.faithfulness.output_distance import Said
from attention_agents.agents.faithfulness.recorded_policy import Subject
from attention_agents.recording.scores import Scores

STEPS_AT_ONCE = 16


def leave_one_out(
    subject: Subject,
    steps: Int[np.ndarray, "S"],
    true: Bool[np.ndarray, "S N"] | None = None,
    tick: Callable[[int], Any] = lambda steps: None,
) -> Scores:
    """Ask the policy at each step without each of its present tokens in turn.

    `causal[s, n] = change(policy(tokens), policy(tokens without n))`

    Args:
        steps: of the episode, in their order.
        true: what the environment knows, see `Scores.true`.
        tick: hears how many steps are done, now and then.
    """
    S, N = len(steps), subject.present.shape[1]
    kind = subject.reader.kind
    at = {name: each[steps] for name, each in _plain(subject, subject.said).items()}
    rows = {name: np.repeat(each[:, None], N, 1) for name, each in at.items()}  # (S, N, ...)
    causal = np.zeros((S, N), np.float32)
    for start in range(0, S, STEPS_AT_ONCE):
        some, token = np.nonzero(subject.present[steps[start : start + STEPS_AT_ONCE]])
        states, removed = steps[start + some], np.eye(N, dtype=bool)[token]
        if not len(token):
            continue
        said = subject.without(states, removed)
        causal[start + some, token] = subject.changes(states, said)
        for name, each in _plain(subject, said).items():
            rows[name][start + some, token] = each
        tick(min(STEPS_AT_ONCE, S - start))
    return Scores(
        steps=steps.astype(np.int64),
        causal=causal,
        distribution=rows["distribution"],
        action=rows["action"],
        value=rows.get("value"),
        unit=kind.unit,
        true=true,
    )


def _plain(subject: Subject, said: Said) -> dict[str, Float[np.ndarray, "V ..."]]:
    """Return answers as they are stored."""
    kind = subject.reader.kind
    plain = {"distribution": kind.distribution(said), "action": kind.action(said)}
    if said.value is not None:
        plain["value"] = said.value.cpu().numpy().astype(np.float32)
    return plain
