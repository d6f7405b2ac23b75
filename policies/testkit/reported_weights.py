"""Checks of reported weights: they are a map, and the one that tokens were read by."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import MultiHead
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.testkit.fixtures import (
    B,
    Make,
    build_module,
    record_weights,
)
from attention_agents.policies.tokens import Tokens

FAR_SCORES = torch.tensor([-110.0, -25.0, 25.0, 110.0])
"""Beyond what exponentials of 32 bits hold, and below what 1 can be told from."""


def check_weights(make: Make, tokens: Tokens, attends: bool = True) -> None:
    """Weights are at least 0, sum to what the module says, and are 0 for absent tokens."""
    out, reports = record_weights(build_module(make), tokens)
    assert bool(reports) == attends, "the module has no attention that can be listened to"
    for attention, report in reports:
        for weights in (report.weights, report.soft):
            if weights is not None:
                _check_map(attention, weights, len(out), tokens)


def _check_map(attention: TappableAttention, weights: Tensor, batch: int, tokens: Tokens) -> None:
    kind, count = type(attention).__name__, tokens.values.shape[1]
    assert weights.shape[:2] == (batch, attention.heads), f"{kind}: shape {weights.shape}"
    assert not weights.requires_grad, f"{kind}: weights must be reported without gradient"
    if attention.normalized_over != "none":
        assert (weights >= 0).all(), f"{kind}: weights below 0"
        total = weights.sum(-1 if attention.normalized_over == "keys" else -2)
        is_one = (total - 1).abs() < 1e-5
        assert (is_one | (total == 0)).all(), f"{kind}: rows sum to {total}"
    if attention.keys == "tokens" and tokens.mask is not None:
        expected = count + len(attention.extra_keys)
        assert weights.shape[-1] == expected, f"{kind}: {weights.shape}"
        absent = ~tokens.mask[:, None, None].expand_as(weights[..., :count])
        assert weights[..., :count][absent].eq(0).all(), f"{kind}: absent tokens weigh"


def check_reads(make: Make, tokens: Tokens) -> None:
    """The weights reported, times the values, are what multi-head attention has given.

    `output(join(weights @ values))`, with `MultiHead.project_values`. Attention of another kind,
    which is no `MultiHead`, must be tested for this by itself.
    """
    for attention, inputs, out, report in record_reads(build_module(make), tokens):
        kind = type(attention).__name__
        assert report is not None, f"{kind}: a pass reported no weights"
        visible = report.weights.ne(0).any(1, keepdim=True)  # (B, 1, Q, N)
        read = report.weights @ attention.project_values(*inputs)  # (B, H, Q, K)
        expected = attention.combine_heads(read, visible)
        if attention.queries == "asking tokens":  # rows of absent ones are reported as 0
            present = visible.any(-1)[:, 0, :, None]  # (B, Q, 1)
            expected, out = torch.where(present, expected, 0.0), torch.where(present, out, 0.0)
        near = torch.isclose(out, expected, atol=1e-5, rtol=1e-3)
        assert near.all(), f"{kind}: the weights reported are not those that tokens were read with"


class ReadPass(NamedTuple):
    """One call of multi-head attention in a pass with listeners."""

    attention: MultiHead
    inputs: tuple[Any, ...]
    out: Tensor
    report: AttentionWeights | None
    """The last of this call."""


def record_reads(module: nn.Module, tokens: Tokens) -> list[ReadPass]:
    """Return every call of multi-head attention in one pass, with what each reported."""
    passes: list[ReadPass] = []
    last: dict[MultiHead, AttentionWeights] = {}
    attention_modules = [part for part in module.modules() if isinstance(part, MultiHead)]

    def remember(attention: MultiHead, weights: AttentionWeights) -> None:
        last[attention] = weights
        MultiHead.report(attention, weights)

    def end_pass(attention: Any, inputs: tuple[Any, ...], out: Tensor) -> None:
        passes.append(ReadPass(attention, inputs, out, last.pop(attention, None)))

    hooks = [attention.register_forward_hook(end_pass) for attention in attention_modules]
    for attention in attention_modules:
        attention.report = partial(remember, attention)  # type: ignore[method-assign]
    try:
        record_weights(module, tokens)
    finally:
        for attention, hook in zip(attention_modules, hooks, strict=True):
            hook.remove()
            del attention.report
    return passes


def check_far_scores(make: Make, context: LayerContext) -> None:
    """A normalizer keeps its norm where all scores of a row are far from 0, on either side."""
    module = build_module(make)
    for attention in (part for part in module.modules() if isinstance(part, MultiHead)):
        normalizer = attention.weighting.normalizer
        if normalizer.normalized_over != "keys" or attention.keys != "tokens":
            continue
        count = context.num_tokens + len(attention.extra_keys)
        scores = torch.randn(B, attention.heads, len(FAR_SCORES), count) + FAR_SCORES[:, None]
        mask = torch.ones(B, 1, 1, count, dtype=torch.bool)
        mask[0, ..., 0] = False
        for visible in (None, mask) if count > 1 else (None,):
            weights = normalizer(scores, visible)
            kind, total = type(normalizer).__name__, weights.sum(-1)
            assert (weights >= 0).all(), f"{kind}: weights below 0, or not finite, of far scores"
            assert (total - 1).abs().max() < 1e-4, (
                f"{kind}: rows of scores near {FAR_SCORES.tolist()} sum to {total[0, 0].tolist()}"
            )
