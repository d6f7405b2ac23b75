"""Random states of an observation space, as an extractor gets them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import preprocess_obs
from torch import Tensor

from attention_agents.envs.tokens.specs import Entities, TokenSpec

PRESENT = 0.5
"""Chance of an entity to be there."""


def random_states(
    space: spaces.Space, specs: Mapping[str, TokenSpec], count: int, seed: int
) -> Iterator[Any]:
    """Yield batches of one state each, drawn from a space as SB3 would hand them to an extractor.

    A bounded number is uniform, an unbounded one normal. Each entity is present with probability
    1/2, the agent's own always. No other random stream moves.

    Args:
        space: of the observations.
        specs: how each part is cut into tokens, by key; "" for an observation that is no Dict.
        count: how many states.
        seed: of the draws.
    """
    space = copy.deepcopy(space)
    space.seed(seed)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        drawn: Any = space.sample()
        tensors = (
            {key: torch.as_tensor(value)[None] for key, value in drawn.items()}
            if isinstance(drawn, dict)
            else torch.as_tensor(drawn)[None]
        )
        states: Any = preprocess_obs(tensors, space)
        if isinstance(states, dict):
            yield {key: _populate(x, specs[key], generator) for key, x in states.items()}
        else:
            yield _populate(states, specs[""], generator)


def _populate(x: Tensor, spec: TokenSpec, generator: torch.Generator) -> Tensor:
    """Return a table of entities in which each is there or not; other parts as they are."""
    if not isinstance(spec, Entities) or spec.presence is None:
        return x
    present = torch.rand(x.shape[:2], generator=generator) < PRESENT
    if spec.ego is not None:
        present[:, spec.ego] = True
    column = torch.arange(x.shape[2]) == spec.presence
    return torch.where(column, present[:, :, None].to(x.dtype), x)
