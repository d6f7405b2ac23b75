"""Random streams that share nothing: one for each purpose, all from one seed.

Environments and action spaces of Gymnasium draw from the same kind of generator. With the same
seed, an action that is drawn at random replays the dice of its environment.
"""

from __future__ import annotations

from typing import Literal, get_args
from zlib import crc32

import numpy as np

Purpose = Literal[
    "training environments",
    "exploration",
    "random policy",
    "sampled actions, torch",
    "sampled actions, numpy",
    "bootstrap",
    "weight shuffle",
    "attention gate",
    "attention gate words",
    "attention blocks",
    "random states",
]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
BOUND = 2**31
"""Seeds are below: the generators of some environments take 32 bits."""


def derive_seed(seed: int, purpose: Purpose) -> int:
    """Return the seed of a purpose's own random stream, 0 to 2**31 - 1.

    Args:
        seed: of a run or an episode, at least 0.
        purpose: what is drawn from the stream.

    Source: numpy's `SeedSequence`, https://numpy.org/doc/stable/reference/random/parallel.html.
    """
    words = np.random.SeedSequence([seed, crc32(purpose.encode())]).generate_state(1)
    return int(words[0]) % BOUND
