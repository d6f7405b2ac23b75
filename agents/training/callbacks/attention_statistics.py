"""What the attention of a policy is like while it trains: numbers and a picture for TensorBoard."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.utils import obs_as_tensor
from torch import Tensor
from torch.nn import functional as F

from attention_agents.agents.rollouts.episodes import stack_observations
from attention_agents.agents.rollouts.policy_calls import Observation
from attention_agents.agents.training.callbacks.observation_sample import SampleCallback
from attention_agents.policies.inspect.attention_modules import features_extractors, token_layouts
from attention_agents.policies.inspect.tap import AttentionMap, AttentionTap, Pass


class HeadStatistics(NamedTuple):
    """Means over the rows of a batch, per head.

    A row is what a present query reads with. Where weights are normalized over queries, a row is
    how a present token is shared among them.
    """

    entropy: Float[Tensor, "H"] | None
    """In nats: 0 when one token has all the weight, log N when all N have the same; None where
    nothing is normalized."""
    effective: Float[Tensor, "H"] | None
    """exp(entropy) of a row: the number of keys (or queries) that would share the weight evenly,
    1 to N; None where nothing is normalized."""
    mean_weight: Float[Tensor, "H"] | None
    """Mean weight of the present keys, the mean gate; None where rows are normalized."""
    max_weight: Float[Tensor, "H"]
    """Largest weight of a row; in [0, 1] where rows are normalized."""
    share_read: Float[Tensor, "H"] | None
    """Share of the present keys that a row reads; None without hard attention."""
    extras: dict[str, Float[Tensor, "H"]]
    """Mean weight of each key beside the tokens, such as CLS."""
    similarity: float | None
    """Mean cosine between the rows of two heads, in [0, 1] where no weight is below 0; None with a
    single head."""


class AttentionStatisticsCallback(SampleCallback):
    """Record entropy, effective number of tokens, largest weight and head similarity.

    Where weights are gates their mean stands in for entropy; hard attention has the share of tokens
    that it reads. They are read from the latest observations of the training itself, under names
    such as `attention/actor/layer0/head1/entropy`. Attention outside of the features extractors,
    such as a recurrent part's, needs more than an observation and is left out. It draws nothing at
    random and trains bit for bit as without it.

    Args:
        interval: environment steps between two measurements.
    """

    def on_interval(self) -> None:
        maps = attention_pass(
            self.model.policy, stack_observations(self.sample, np.concatenate)
        ).maps
        for attention in maps:
            module = f"{attention.role}/layer{attention.layer}"
            prefix = f"attention/{module}" + (f"/{attention.part}" if attention.part else "")
            for name, value in named_statistics(attention).items():
                self.logger.record(f"{prefix}/{name}", value, exclude="csv")


def named_statistics(attention: AttentionMap) -> dict[str, float]:
    """Return the statistics of a map by name, such as "head1/entropy"; none where no row counts."""
    statistics = head_statistics(attention)
    if statistics is None:
        return {}
    axis = attention.queries if attention.normalized_over == "queries" else attention.keys
    per_head: dict[str, Tensor | None] = {
        "entropy": statistics.entropy,
        f"effective_{_tensorboard_name(axis)}": statistics.effective,
        "mean_weight": statistics.mean_weight,
        "max_weight": statistics.max_weight,
        "share_read": statistics.share_read,
        **{
            f"weight_of_{_tensorboard_name(name)}": weights
            for name, weights in statistics.extras.items()
        },
    }
    named = {
        f"head{head}/{name}": value
        for name, values in per_head.items()
        if values is not None
        for head, value in enumerate(values.tolist())
    }
    if statistics.similarity is not None:
        named["head_similarity"] = statistics.similarity
    return named


def attention_pass(policy: Any, observations: Observation) -> Pass:
    """Send a batch of (normalized) observations through every extractor with attention.

    Raises:
        ValueError: the policy has none.
    """
    extractors = features_extractors(policy)
    batch = obs_as_tensor(observations, policy.device)
    with AttentionTap(policy) as tap, torch.no_grad():
        for role in token_layouts(policy):
            extractors[role](
                preprocess_obs(batch, policy.observation_space, policy.normalize_images)
            )
        recorded = tap.take()
    assert recorded is not None, "an extractor ran and its tap received nothing"
    return recorded


def head_statistics(attention: AttentionMap) -> HeadStatistics | None:
    """Summarize a map; rows of absent queries, and rows with nothing to read, do not count.

    Returns:
        None when no row counts.
    """
    queries, keys = _present_queries(attention), _present_keys(attention)
    weights = attention.weights.transpose(1, 2)  # (B, Q, H, K)
    keys = keys[:, None].expand(-1, weights.shape[1], -1)  # (B, Q, K)
    if attention.normalized_over == "queries":
        queries, keys = keys[:, 0], queries[:, None].expand(-1, weights.shape[3], -1)
        weights = weights.transpose(1, 3)  # (B, K, H, Q)
    counts = queries & weights.ne(0).any(-1).any(-1)
    rows, keys = weights[counts], keys[counts][:, None]  # (R, H, K), (R, 1, K)
    if not len(rows):
        return None
    gates = attention.normalized_over == "none"
    entropy = None if gates else torch.special.entr(rows).sum(-1)  # (R, H)
    counts_present = keys.sum(-1).clamp(min=1)
    extras = () if attention.normalized_over == "queries" else attention.extra_keys
    first = weights.shape[-1] - len(extras)
    return HeadStatistics(
        entropy=None if entropy is None else entropy.mean(0),
        effective=None if entropy is None else entropy.exp().mean(0),
        mean_weight=((rows * keys).sum(-1) / counts_present).mean(0) if gates else None,
        max_weight=rows.amax(-1).mean(0),
        share_read=None
        if attention.soft is None
        else ((rows.ne(0) & keys).sum(-1) / counts_present).mean(0),
        extras={name: rows[..., first + i].mean(0) for i, name in enumerate(extras)},
        similarity=_head_similarity(rows),
    )


def _head_similarity(rows: Float[Tensor, "R H K"]) -> float | None:
    heads = F.normalize(rows, dim=-1)
    pairs = [(heads[:, i] * heads[:, j]).sum(-1) for i, j in combinations(range(rows.shape[1]), 2)]
    return float(torch.stack(pairs).mean()) if pairs else None


def _present_queries(attention: AttentionMap) -> Bool[Tensor, "B Q"]:
    """Return which queries are there: of tokens the present ones; of others all, where any token
    is."""
    B, _, Q, _ = attention.weights.shape
    if attention.mask is None:
        return attention.weights.new_ones(B, Q, dtype=torch.bool)
    if attention.queries == "tokens":
        return F.pad(attention.mask, (0, Q - attention.mask.shape[1]), value=True)
    return attention.mask.any(-1, keepdim=True).expand(-1, Q)


def _present_keys(attention: AttentionMap) -> Bool[Tensor, "B K"]:
    """Return which keys are there: of tokens the present ones; extra keys do not count."""
    B, _, _, K = attention.weights.shape
    present = attention.weights.new_ones(B, K, dtype=torch.bool)
    if attention.mask is not None and attention.keys == "tokens":
        present[:, : attention.mask.shape[1]] = attention.mask
    if attention.extra_keys:
        present[:, -len(attention.extra_keys) :] = False
    return present


def _tensorboard_name(text: str) -> str:
    """Return a word that may stand in a name of TensorBoard."""
    return re.sub(r"\W+", "_", text)
