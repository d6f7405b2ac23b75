"""Which tokens are of which step of a history. Static, and free of torch."""

from __future__ import annotations

import numpy as np

from attention_agents.policies.attention import Geometry, Site

Steps = tuple[tuple[int, ...], ...]


def steps_of(site: Site, readout: str) -> Steps:
    """Return the tokens of every step, oldest step first; what has no step is of the present.

    Raises:
        ValueError: there is one step only.
    """
    step = Geometry.of(site.layout).step
    times = np.unique(step)
    if len(times) < 2:
        raise _timeless(readout)
    return tuple(tuple(np.flatnonzero(step == t).tolist()) for t in times)


def present_tokens(site: Site, readout: str) -> tuple[int, ...]:
    """Return the tokens of a history that are of its present step.

    Raises:
        ValueError: the observation is no history.
    """
    here = Geometry.of(site.layout)
    rows = tuple(np.flatnonzero(here.timed & (here.step == 0)).tolist())
    if not rows:
        raise _timeless(readout)
    return rows


def line_of(site: Site, readout: str) -> tuple[int, ...]:
    """Return the tokens of a history with one token per step and none beside, oldest first.

    Raises:
        ValueError: there is one step only, or a step has several tokens.
    """
    steps = steps_of(site, readout)
    widest = max(len(step) for step in steps)
    if widest > 1:
        raise ValueError(
            f"readout {readout!r} needs one token per step, and this history has up to {widest}; "
            "use readout='attention-gru', which reads the tokens of each step"
        )
    return tuple(token for (token,) in steps)


def _timeless(readout: str) -> ValueError:
    return ValueError(
        f"readout {readout!r} needs a history of steps, and this observation is of one step; "
        "make it one with --history 8 (in Python attention_agents.History or FrameHistory), or use "
        "readout='query'"
    )
