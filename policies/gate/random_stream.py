"""Random numbers of a gate's own: all other layers are drawn as if there were no gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

import numpy as np
import torch
from torch import nn


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


def check_initialization(module: nn.Module, name: str) -> None:
    """Refuse layers that SB3's `ortho_init` draws again, moving torch's random stream.

    Args:
        module: which may hold some.
        name: of it, in the words of the error.

    Raises:
        ValueError: there is one.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            raise ValueError(
                f"{name} holds an nn.{type(layer).__name__}, which Stable-Baselines3 initializes "
                "again after this; use Projection of attention_agents.policies.plugin_api instead"
            )
