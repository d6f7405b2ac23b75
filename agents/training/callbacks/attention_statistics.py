"""What the attention of a policy is like while it trains: numbers and a picture for TensorBoard."""

from __future__ import annotations

import re
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

from attention_agents.agents.rollouts.episodes import joined
from attention_agents.agents.rollouts.policy_calls import Observation
from attention_agents.agents.training.callbacks.periodic import PeriodicCallback
from attention_agents.policies.inspect.attention_modules import attention_extractors
from attention_agents.policies.inspect.tap import AttentionMap, AttentionTap, Pass

SAMPLES = 64
"""Observations that one measurement reads."""
STRIDE = 16
"""Steps of the vector environment between two of them, so that they differ."""


class HeadStatistics(NamedTuple):
    """Means over the rows of a batch, per head.

    A row is what a present query reads with. Where weights are normalised over queries, a row is
    how a present token is shared among them.
    """

    entropy: Float[Tensor, "H"] | None
    """In nats: 0 when one token has all the weight, log N when all N have the same; None where
    nothing is normalised."""
    effective: Float[Tensor, "H"] | None
    """exp(entropy) of a row: the number of keys (or queries) that would share the weight evenly,
    1 to N; None where nothing is normalised."""
    mean_weight: Float[Tensor, "H"] | None
    """Mean weight of the present keys, the mean gate; None where rows are normalised."""
    max_weight: Float[Tensor, "H"]
    """Largest weight of a row; in [0, 1] where rows are normalised."""
    share_read: Float[Tensor, "H"] | None
    """Share of the present keys that a row reads; None without hard attention."""
    extras: dict[str, Float[Tensor, "H"]]
    """Mean weight of each key beside the tokens, such as CLS."""
    similarity: float | None
    """Mean cosine between the rows of two heads, in [0, 1] where no weight is below 0; None with a
    single head."""


class AttentionStatisticsCallback(PeriodicCallback):
    """Record entropy, effective number of tokens, largest weight and head similarity.

    Where weights are gates their mean stands in for entropy; hard attention has the share of tokens
    that it reads. They are read from the latest observations of the training itself, under names
    such as `attention/actor/layer0/head1/entropy`. Attention outside of the features extractors,
    such as a recurrent part's, needs more than an observation and is left out. It draws nothing at
    random and trains bit for bit as without it.

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
            latest = self.model._last_obs
            assert latest is not None, "a step was taken from no observation"
            # SB3 writes into no array; of a dict, its replay buffer exchanges the members
            self.sample.append(dict(latest) if isinstance(latest, dict) else latest)
        return super()._on_step()

    def act(self) -> None:
        seen = attention_pass(self.model.policy, joined(self.sample, np.concatenate))
        for one in seen.maps:
            place = f"attention/{one.role}/layer{one.layer}" + (f"/{one.part}" if one.part else "")
            for name, value in named_statistics(one).items():
                self.logger.record(f"{place}/{name}", value, exclude="csv")


def named_statistics(one: AttentionMap) -> dict[str, float]:
    """Return the statistics of a map by name, such as "head1/entropy"; none where no row counts."""
    found = head_statistics(one)
    if found is None:
        return {}
    among = one.queries if one.normalized_over == "queries" else one.keys
    per_head: dict[str, Tensor | None] = {
        "entropy": found.entropy,
        f"effective_{_word(among)}": found.effective,
        "mean_weight": found.mean_weight,
        "max_weight": found.max_weight,
        "share_read": found.share_read,
        **{f"weight_of_{_word(name)}": weights for name, weights in found.extras.items()},
    }
    named = {
        f"head{head}/{name}": value
        for name, values in per_head.items()
        if values is not None
        for head, value in enumerate(values.tolist())
    }
    if found.similarity is not None:
        named["head_similarity"] = found.similarity
    return named


def attention_pass(policy: Any, observations: Observation) -> Pass:
    """Send a batch of (normalised) observations through every extractor of an SB3 policy."""
    batch = obs_as_tensor(observations, policy.device)
    with AttentionTap(policy) as tap, torch.no_grad():
        for extractor in attention_extractors(policy).values():
            extractor(preprocess_obs(batch, policy.observation_space, policy.normalize_images))
        seen = tap.take()
    assert seen is not None, "an extractor ran and its tap heard nothing"
    return seen


def head_statistics(one: AttentionMap) -> HeadStatistics | None:
    """Summarise a map; rows of absent queries, and rows with nothing to read, do not count.

    Returns:
        None when no row counts.
    """
    asks, there = _queries(one), _keys(one)
    weights = one.weights.transpose(1, 2)  # (B, Q, H, K)
    there = there[:, None].expand(-1, weights.shape[1], -1)  # (B, Q, K)
    if one.normalized_over == "queries":
        asks, there = there[:, 0], asks[:, None].expand(-1, weights.shape[3], -1)
        weights = weights.transpose(1, 3)  # (B, K, H, Q)
    counts = asks & weights.ne(0).any(-1).any(-1)
    rows, there = weights[counts], there[counts][:, None]  # (R, H, K), (R, 1, K)
    if not len(rows):
        return None
    gates = one.normalized_over == "none"
    entropy = None if gates else torch.special.entr(rows).sum(-1)  # (R, H)
    seen = there.sum(-1).clamp(min=1)
    extras = () if one.normalized_over == "queries" else one.extra_keys
    first = weights.shape[-1] - len(extras)
    return HeadStatistics(
        entropy=None if entropy is None else entropy.mean(0),
        effective=None if entropy is None else entropy.exp().mean(0),
        mean_weight=((rows * there).sum(-1) / seen).mean(0) if gates else None,
        max_weight=rows.amax(-1).mean(0),
        share_read=None if one.soft is None else ((rows.ne(0) & there).sum(-1) / seen).mean(0),
        extras={name: rows[..., first + i].mean(0) for i, name in enumerate(extras)},
        similarity=_similarity(rows),
    )


def _similarity(rows: Float[Tensor, "R H K"]) -> float | None:
    heads = F.normalize(rows, dim=-1)
    pairs = [(heads[:, i] * heads[:, j]).sum(-1) for i, j in combinations(range(rows.shape[1]), 2)]
    return float(torch.stack(pairs).mean()) if pairs else None


def _queries(one: AttentionMap) -> Bool[Tensor, "B Q"]:
    """Return which queries are there: of tokens the present ones; of others all, where any token
    is."""
    B, _, Q, _ = one.weights.shape
    if one.mask is None:
        return one.weights.new_ones(B, Q, dtype=torch.bool)
    if one.queries == "tokens":
        return F.pad(one.mask, (0, Q - one.mask.shape[1]), value=True)
    return one.mask.any(-1, keepdim=True).expand(-1, Q)


def _keys(one: AttentionMap) -> Bool[Tensor, "B K"]:
    """Return which keys are there: of tokens the present ones; extra keys do not count."""
    B, _, _, K = one.weights.shape
    there = one.weights.new_ones(B, K, dtype=torch.bool)
    if one.mask is not None and one.keys == "tokens":
        there[:, : one.mask.shape[1]] = one.mask
    if one.extra_keys:
        there[:, -len(one.extra_keys) :] = False
    return there


def _word(text: str) -> str:
    """Return a word that may stand in a name of TensorBoard."""
    return re.sub(r"\W+", "_", text)
