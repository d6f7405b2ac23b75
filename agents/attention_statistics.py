"""What the attention of a policy is like while it trains: numbers and a picture for TensorBoard."""

from __future__ import annotations

from collections import deque
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.utils import obs_as_tensor
from torch import Tensor
from torch.nn import functional as F

from agents.episodes import Observation, joined
from agents.periodic import PeriodicCallback
from policies.tap import AttentionMap, AttentionTap, Pass, extractors_of

SAMPLES = 64
"""Observations that one measurement reads."""
STRIDE = 16
"""Steps of the vector environment between two of them, so that they differ."""


class HeadStatistics(NamedTuple):
    """Means over the present queries of a batch, per head."""

    entropy: Float[Tensor, "H"]
    """In nats: 0 when one token has all the weight, log N when all N have the same."""
    effective_tokens: Float[Tensor, "H"]
    """exp(entropy) of a row: the number of tokens that would share the weight evenly, 1 to N."""
    max_weight: Float[Tensor, "H"]
    """In [0, 1]."""
    similarity: float | None
    """Mean cosine between the rows of two heads, in [0, 1]; None with a single head."""


class AttentionStatisticsCallback(PeriodicCallback):
    """Record entropy, effective number of tokens, largest weight and head similarity.

    Read from the latest observations of the training itself, under names such as
    `attention/actor/layer0/head1/entropy`. It draws nothing at random and trains bit for bit as
    without it.

    Args:
        every: environment steps between two measurements.
    """

    def __init__(self, every: int):
        super().__init__(every)
        self.sample: deque[Observation] = deque()

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self.sample = deque(maxlen=max(1, SAMPLES // self.training_env.num_envs))

    def _on_step(self) -> bool:
        if self.n_calls % STRIDE == 1:
            latest = self.model._last_obs  # SB3 replaces it, and never writes into it
            assert latest is not None, "a step was taken from no observation"
            self.sample.append(latest)
        return super()._on_step()

    def act(self) -> None:
        seen = attention_pass(self.model.policy, joined(self.sample, np.concatenate))
        for one in seen.maps:
            statistics = head_statistics(one)
            if statistics is None:
                continue
            place = f"attention/{one.role}/layer{one.layer}"
            for name in ("entropy", "effective_tokens", "max_weight"):
                for head, value in enumerate(getattr(statistics, name).tolist()):
                    self.logger.record(f"{place}/head{head}/{name}", value, exclude="csv")
            if statistics.similarity is not None:
                name = f"{place}/head_similarity"
                self.logger.record(name, statistics.similarity, exclude="csv")


def attention_pass(policy: Any, observations: Observation) -> Pass:
    """Send a batch of (normalised) observations through every extractor of an SB3 policy."""
    batch = obs_as_tensor(observations, policy.device)
    with AttentionTap(policy) as tap, torch.no_grad():
        for extractor in extractors_of(policy).values():
            extractor(preprocess_obs(batch, policy.observation_space, policy.normalize_images))
        seen = tap.take()
    assert seen is not None, "an extractor ran and its tap heard nothing"
    return seen


def head_statistics(one: AttentionMap) -> HeadStatistics | None:
    """Summarise a map; rows of absent queries, and rows with nothing to read, do not count.

    Returns:
        None when no row counts.
    """
    rows = one.weights.transpose(1, 2)[_queries(one)]  # (R, H, N)
    if not len(rows):
        return None
    entropy = torch.special.entr(rows).sum(-1)  # (R, H)
    heads = F.normalize(rows, dim=-1)
    pairs = [(heads[:, i] * heads[:, j]).sum(-1) for i, j in combinations(range(rows.shape[1]), 2)]
    return HeadStatistics(
        entropy=entropy.mean(0),
        effective_tokens=entropy.exp().mean(0),
        max_weight=rows.amax(-1).mean(0),
        similarity=float(torch.stack(pairs).mean()) if pairs else None,
    )


def _queries(one: AttentionMap) -> Bool[Tensor, "B Q"]:
    B, _, Q, _ = one.weights.shape
    if one.mask is None:
        return torch.ones(B, Q, dtype=torch.bool, device=one.weights.device)
    return one.mask if one.queries == "tokens" else one.mask.any(-1, keepdim=True)
