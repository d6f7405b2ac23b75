"""Random numbers of a gate's own: all other layers are drawn as if there were no gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

import numpy as np
import torch


def own_seed(purpose: str) -> int:
    """Return a seed for one purpose, which torch's own seed names; draws nothing."""
    seeds = np.random.SeedSequence([torch.initial_seed(), crc32(purpose.encode())])
    return int(seeds.generate_state(1)[0])


@contextmanager
def own_stream(purpose: str) -> Iterator[None]:
    """Draw from a stream of its own inside the block, and leave torch's as it was."""
    seed = own_seed(purpose)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        yield
