"""Which recorded steps are scored: evenly spread, and each state once."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from jaxtyping import Int

from attention_agents.agents.faithfulness.recorded_states import Recorded
from attention_agents.recording.reader import Recording


def distinct_steps(recording: Recording, remembers: bool) -> list[Int[np.ndarray, "S"]]:
    """Return for each episode the steps whose state has not been met before.

    A state that is met again says nothing more; to count it would make intervals too narrow. Steps
    whose action did not come from the policy are left out, and those with a single token, or none,
    where there is nothing to choose.

    Args:
        remembers: the policy's state is all that the episode has shown so far.
    """
    met: set[bytes] = set()
    steps = []
    for episode in recording.episodes:
        own: list[int] = []
        if len(episode):
            read, past = Recorded.read(episode), hashlib.sha256()
            for t in range(len(episode)):
                if not remembers:
                    past = hashlib.sha256()
                past.update(_bytes(read.observations, t))
                key = past.digest()
                if key not in met and read.attended[t] and read.present[t].sum() > 1:
                    own.append(t)
                met.add(key)
        steps.append(np.array(own, int))
    return steps


def spread(steps: list[Int[np.ndarray, "S"]], most: int) -> list[Int[np.ndarray, "S"]]:
    """Choose at most so many steps of all episodes together, evenly spread.

    >>> [part.tolist() for part in spread([np.array([0, 1, 2, 3]), np.array([0, 5])], 3)]
    [[0, 2], [5]]
    """
    lengths = [len(own) for own in steps]
    total = sum(lengths)
    chosen = np.arange(total)
    if total > most:
        chosen = np.unique(np.rint(np.linspace(0, total - 1, most)).astype(int))
    ends = np.cumsum(lengths)
    parts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    starts = ends - lengths
    return [own[part - start] for own, part, start in zip(steps, parts, starts, strict=True)]


def _bytes(observations: Any, t: int) -> bytes:
    if isinstance(observations, dict):
        return b"".join(observations[key][t].tobytes() for key in sorted(observations))
    return observations[t].tobytes()
