"""What a page should show, from what is stored."""

from __future__ import annotations

import numpy as np

from attention_agents.recording.map_view import MapView
from attention_agents.recording.reader import Episode


def weights_of(episode: Episode, index: int, head: int | str, t: int) -> np.ndarray:
    """Return what a page should show of a map: weights of tokens, (N,)."""
    spec, step = episode.header.maps[index], episode[t]
    if isinstance(head, int) or head == "mean":
        return MapView(spec, None if head == "mean" else int(head)).token_weights(step)
    return np.max([MapView(spec, h).token_weights(step) for h in range(spec.heads)], 0)
