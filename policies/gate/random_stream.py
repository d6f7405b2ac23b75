"""Random numbers of a gate's own: all other layers are drawn as if there were no gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from attention_agents.envs.random_streams import Purpose, derive_seed

REDRAWN = (nn.Linear, nn.Conv2d)
"""Layers whose weights SB3 draws after an extractor is made, from torch's stream."""


@contextmanager
def own_stream(purpose: Purpose) -> Iterator[None]:
    """Draw from a stream of its own inside the block, and leave torch's as it was.

    torch's own seed names the stream.
    """
    seed = derive_seed(torch.initial_seed(), purpose)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        yield


def has_redrawn_layer(module: nn.Module) -> bool:
    """Return whether a module holds a layer that SB3's `ortho_init` draws again."""
    return any(isinstance(layer, REDRAWN) for layer in module.modules())


def check_initialization(module: nn.Module, name: str) -> None:
    """Refuse layers that SB3's `ortho_init` draws again, moving torch's random stream.

    Args:
        module: which may hold some.
        name: of it, in the words of the error.

    Raises:
        ValueError: there is one.
    """
    for layer in module.modules():
        if isinstance(layer, REDRAWN):
            raise ValueError(
                f"{name} holds an nn.{type(layer).__name__}, which Stable-Baselines3 initializes "
                "again after this; use Projection of attention_agents.policies.plugin_api instead"
            )
