"""Causal maps: what a policy says without each token in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from attention_agents.agents.faithfulness.recorded_policy import RecordedPolicy
from attention_agents.recording.leave_one_out import LeaveOneOut

STEPS_AT_ONCE = 16
"""Steps whose causal maps are computed together."""


def leave_one_out(
    recorded: RecordedPolicy,
    steps: Int[np.ndarray, "S"],
    ground_truth: Bool[np.ndarray, "S N"] | None = None,
    on_progress: Callable[[int], Any] = lambda steps: None,
) -> LeaveOneOut:
    """Compute causal maps: the policy's outputs without each present token in turn.

    `causal[s, n] = distance(policy(tokens), policy(tokens without n))`, and
    `margin_drop[s, m, n] = margin[m](tokens) - margin[m](tokens without n)`.

    Args:
        steps: of the episode, in their order.
        ground_truth: tokens that matter by the environment, see `LeaveOneOut.true`.
        on_progress: called now and then with how many steps are done.
    """
    S, N = len(steps), recorded.present.shape[1]
    before = recorded.outputs_as_stored(recorded.outputs)
    stored = {name: np.repeat(rows[steps, None], N, 1) for name, rows in before.items()}
    causal = np.zeros((S, N), np.float32)  # and `stored` (S, N, ...)
    drop = np.zeros((S, recorded.margins.shape[1], N), np.float32)
    drop[np.isnan(recorded.margins[steps])] = np.nan
    for start in range(0, S, STEPS_AT_ONCE):
        step, token = np.nonzero(recorded.present[steps[start : start + STEPS_AT_ONCE]])
        if not len(token):
            continue
        rows = steps[start + step]
        outputs = recorded.outputs_without(rows, np.eye(N, dtype=bool)[token])
        causal[start + step, token] = recorded.distances(rows, outputs)
        drop[start + step, :, token] = recorded.margin_drops(rows, outputs)
        for name, values in recorded.outputs_as_stored(outputs).items():
            stored[name][start + step, token] = values
        on_progress(min(STEPS_AT_ONCE, S - start))
    return LeaveOneOut(
        steps=steps.astype(np.int64),
        causal=causal,
        unit=recorded.kind.unit,
        ground_truth=ground_truth,
        margin_drop=drop,
        **{"value": None, **stored},
    )
