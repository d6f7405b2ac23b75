"""The tokens of each step of a history. Static, and free of torch."""

from __future__ import annotations

import numpy as np

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.token_geometry import Geometry

Steps = tuple[tuple[int, ...], ...]


def group_steps(context: LayerContext, readout: str) -> Steps:
    """Return the tokens of every step, oldest step first; what has no step is of the present.

    Raises:
        ValueError: there is one step only.
    """
    offsets = Geometry.of(context.layout).step_offset
    times = np.unique(offsets)
    if len(times) < 2:
        raise _no_history_error(readout)
    return tuple(tuple(np.flatnonzero(offsets == t).tolist()) for t in times)


def find_present_tokens(context: LayerContext, readout: str) -> tuple[int, ...]:
    """Return the tokens of a history that are of its present step.

    Raises:
        ValueError: the observation is no history.
    """
    geometry = Geometry.of(context.layout)
    rows = tuple(np.flatnonzero(geometry.has_time & (geometry.step_offset == 0)).tolist())
    if not rows:
        raise _no_history_error(readout)
    return rows


def order_single_tokens(context: LayerContext, readout: str) -> tuple[int, ...]:
    """Return the tokens of a history with one token per step and none beside, oldest first.

    Raises:
        ValueError: there is one step only, or a step has several tokens.
    """
    steps = group_steps(context, readout)
    widest = max(len(step) for step in steps)
    if widest > 1:
        raise ValueError(
            f"readout {readout!r} needs one token per step, and this history has up to {widest}; "
            "use readout='attention-gru', which reads the tokens of each step"
        )
    return tuple(token for (token,) in steps)


def _no_history_error(readout: str) -> ValueError:
    return ValueError(
        f"readout {readout!r} needs a history of steps, and this observation is of one step; "
        "make it one with --history 8 (in Python attention_agents.History or FrameHistory), or use "
        "readout='query'"
    )
