"""Contexts, tokens and modules for tests of mechanisms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.tokens import Tokens, present_mask

Make = Callable[[], nn.Module]
Order = Literal["equivariant", "invariant", "ordered"]
B, N, K = 2, 5, 7


def layer_context(heads: int = 3, layout: TokenLayout | None = None, **parts: Any) -> LayerContext:
    """Return a context of prime sizes: 5 feature tokens of width 7 per head by default.

    Args:
        heads: H.
        layout: of the tokens.
        parts: further fields of `LayerContext`.
    """
    if layout is None:
        layout = TokenLayout((TokenGroup("features", tuple(f"x{i}" for i in range(N))),))
    count = len(layout)
    parts = {"query_tokens": tuple(range(count)), "attention": AttentionConfig(), **parts}
    return LayerContext(width=heads * K, heads=heads, num_tokens=count, layout=layout, **parts)


def with_attention(context: LayerContext, **words: Any) -> LayerContext:
    """Return a context with some words of its attention changed."""
    return replace(context, attention=replace(context.attention, **words))


def example_tokens(context: LayerContext, seed: int = 0) -> Tokens:
    """Return tokens of two samples; in the first, every third from the second on is absent."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(B, context.num_tokens, context.width, generator=generator)
    mask = torch.ones(B, context.num_tokens, dtype=torch.bool)
    mask[0, 1::3] = False
    return Tokens(values, mask, torch.randn(B, context.num_tokens, 2, generator=generator))


def without_mask(tokens: Tokens) -> Tokens:
    """Return the same tokens, all present."""
    return tokens._replace(mask=None)


def build_module(make: Make, seed: int = 0) -> nn.Module:
    """Build a module under a seed, and give parameters that start at 0 something to do."""
    torch.manual_seed(seed)
    module = make()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.eq(0).all():
                parameter.normal_(std=0.1)
    return module


def record_weights(
    module: nn.Module, tokens: Tokens
) -> tuple[Tensor, list[tuple[TappableAttention, AttentionWeights]]]:
    """Return the output of a pass and what each of its attention modules reported."""
    reports: list[tuple[TappableAttention, AttentionWeights]] = []
    attention_modules = [part for part in module.modules() if isinstance(part, TappableAttention)]
    for attention in attention_modules:
        attention.listeners += (partial(_append_report, reports, attention),)
    try:
        return module(tokens), reports
    finally:
        for attention in attention_modules:
            attention.listeners = attention.listeners[:-1]


def _append_report(reports: list, attention: TappableAttention, weights: AttentionWeights) -> None:
    reports.append((attention, weights))


def map_tensors(tokens: Tokens, change: Callable[[Tensor], Tensor]) -> Tokens:
    """Change every tensor of some tokens alike."""
    return Tokens(*(None if tensor is None else change(tensor) for tensor in tokens))  # type: ignore


def present_rows(out: Tensor, tokens: Tokens) -> Tensor:
    """Return the rows of present tokens; a module without a row per token gives all it has."""
    mask = present_mask(tokens)
    return out[mask] if out.shape[:2] == mask.shape and out.dim() == 3 else out
