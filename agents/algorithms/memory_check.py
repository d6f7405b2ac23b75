"""What a run takes of the machine's memory at least; what cannot fit is refused before it is made.

Systems promise more memory than there is, and then stall or end the process: so it is counted.
"""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
from gymnasium import spaces

from attention_agents.agents.algorithms.hyperparameters import arguments_and_defaults
from attention_agents.agents.config.run_config import RunConfig

COPIES = 4
"""Of every weight: itself, its gradient, and the two moments of Adam."""
FLOAT = 4
"""Bytes of a number."""


def check_networks(config: RunConfig) -> None:
    """Refuse networks that the machine's memory cannot hold while they are trained.

    Raises:
        ValueError: they do not fit.
    """
    weights = least_weights(config)
    memory = machine_memory()
    if memory is not None and weights * COPIES * FLOAT > memory:
        raise ValueError(
            f"networks of at least {weights:.2g} weights take {weights * COPIES * FLOAT / 1e9:.2g} "
            f"GB to train, this machine has {memory / 1e9:.1f} GB; use a smaller width, or fewer "
            "layers, queries or hidden units"
        )


def least_weights(config: RunConfig) -> int:
    """Return a number of weights that the networks of a run have at least.

    An attention layer has four projections of width * width, or something larger in their place;
    a gate has less, and counts for nothing.
    """
    encoder, policy = config.encoder, config.policy
    state, layers, D = policy.lstm_hidden_size or 0, encoder.layers, encoder.width
    if encoder.kind != "pooled":
        layers = 0 if encoder.kind == "stock" else layers - 1
    features = D if encoder.kind == "pooled" else 1
    units = (state or features, *(policy.net_arch or ()), policy.n_quantiles or 1)
    return (
        4 * layers * D**2
        + (encoder.num_queries * D if encoder.kind == "pooled" else 0)
        + 4 * state * (state + features)
        + sum(a * b for a, b in pairwise(units))
    )


def check_steps(config: RunConfig, space: spaces.Space) -> None:
    """Refuse a rollout or replay buffer that is larger than the machine's memory.

    Args:
        config: the run.
        space: of its observations.

    Raises:
        ValueError: it does not fit.
    """
    memory = machine_memory()
    if memory is None:
        return
    sizes = arguments_and_defaults(config)
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else (space,)
    step = sum(int(np.prod(part.shape or 1)) * np.dtype(part.dtype).itemsize for part in parts)
    if "buffer_size" in sizes:
        step *= 1 if sizes.get("optimize_memory_usage") else 2  # the next observation too
        storage, option, copies = "replay buffer", "buffer_size", 1
        steps = max(sizes["buffer_size"], config.n_envs)
    else:
        storage, option, copies = "rollout", "n_steps", config.n_envs
        steps = sizes["n_steps"] * config.n_envs
    if steps * step > memory:
        raise ValueError(
            f"a {storage} of {steps:,} steps takes {steps * step / 1e9:.1f} GB, this machine "
            f"has {memory / 1e9:.1f} GB; use fewer --n-envs, or --hyperparams "
            f"{option}:{max(1, memory // 4 // step // copies)}"
        )


def machine_memory() -> int | None:
    """Return the machine's memory in bytes, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):
        return None
