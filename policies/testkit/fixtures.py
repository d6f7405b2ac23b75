"""Where a mechanism stands in a test, what it is given, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention import Attentive, Heard, Mechanism, Site
from attention_agents.policies.tokens import Tokens

Make = Callable[[], nn.Module]
Order = Literal["equivariant", "invariant", "ordered"]
B, N, K = 2, 5, 7


def site(heads: int = 3, layout: TokenLayout | None = None, **parts: Any) -> Site:
    """Return a place of prime sizes: 5 feature tokens of width 7 per head, unless told otherwise.

    Args:
        heads: H.
        layout: of the tokens.
        parts: further fields of `Site`.
    """
    if layout is None:
        layout = TokenLayout((TokenGroup("features", tuple(f"x{i}" for i in range(N))),))
    count = len(layout)
    parts = {"askers": tuple(range(count)), "mechanism": Mechanism(), **parts}
    return Site(width=heads * K, heads=heads, keys=count, layout=layout, **parts)


def with_mechanism(place: Site, **words: Any) -> Site:
    """Return a place with some words of its mechanism changed."""
    return replace(place, mechanism=replace(place.mechanism, **words))


def example(place: Site, seed: int = 0) -> Tokens:
    """Return tokens of two samples; in the first, every third from the second on is absent."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(B, place.keys, place.width, generator=generator)
    mask = torch.ones(B, place.keys, dtype=torch.bool)
    mask[0, 1::3] = False
    return Tokens(values, mask, torch.randn(B, place.keys, 2, generator=generator))


def without_mask(tokens: Tokens) -> Tokens:
    """Return the same tokens, all present."""
    return tokens._replace(mask=None)


def built(make: Make, seed: int = 0) -> nn.Module:
    """Build a module under a seed, and give parameters that start at 0 something to do."""
    torch.manual_seed(seed)
    module = make()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.eq(0).all():
                parameter.normal_(std=0.1)
    return module


def listened(module: nn.Module, tokens: Tokens) -> tuple[Tensor, list[tuple[Attentive, Heard]]]:
    """Return the output of a pass and what each of its attention modules told."""
    heard: list[tuple[Attentive, Heard]] = []
    ears = [each for each in module.modules() if isinstance(each, Attentive)]
    for ear in ears:
        ear.listeners += (lambda told, ear=ear: heard.append((ear, told)),)
    try:
        return module(tokens), heard
    finally:
        for ear in ears:
            ear.listeners = ear.listeners[:-1]


def each_part(tokens: Tokens, change: Callable[[Tensor], Tensor]) -> Tokens:
    """Change every tensor of some tokens alike."""
    values, mask, places = tokens
    return Tokens(
        change(values),
        None if mask is None else change(mask),
        None if places is None else change(places),
    )


def mask_of(tokens: Tokens) -> Tensor:
    if tokens.mask is None:
        return tokens.values.new_ones(tokens.values.shape[:2], dtype=torch.bool)
    return tokens.mask


def present_rows(out: Tensor, tokens: Tokens) -> Tensor:
    """Return the rows of present tokens; a module without a row per token gives all it has."""
    mask = mask_of(tokens)
    return out[mask] if out.shape[:2] == mask.shape and out.dim() == 3 else out
