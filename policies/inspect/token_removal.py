"""Removing tokens inside a policy: between its tokenizers and its encoders, nothing else changes.

A token is removed by its mask where its tokenizer has one. Where tokens are always present, so that
the policy never met an observation without one, its embedding is replaced by its mean over what was
looked at before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenGroup
from attention_agents.policies.inspect.attention_modules import extractors_of
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.tokens import Tokens


class Variants(NamedTuple):
    """V variants of B observations, each without some of its tokens."""

    rows: Int[Tensor, "V"]
    """Of which of the B observations each is."""
    removed: Bool[Tensor, "V N"]
    """True where a token is removed."""


@dataclass
class Looked:
    """What the tokens of one extractor are on the average."""

    total: Float[Tensor, "N D"]
    """Sum of a token's embeddings over the observations in which it was present."""
    count: Float[Tensor, "N 1"]
    """How many these were."""
    maskable: Bool[Tensor, "N"]
    """Whether a token's tokenizer says of each observation if it is present."""

    @property
    def mean(self) -> Float[Tensor, "N D"]:
        return self.total / self.count.clamp(min=1)


class TokenRemoval:
    """Let a policy answer as if some tokens were not there.

        removal = TokenRemoval(policy)
        with removal.looking():
            policy.extract_features(obs)  # all observations of an episode
        with removal.removing(Variants(rows, removed)):
            policy.extract_features(obs)  # B observations in, features of V variants out

    It changes nothing outside of these two contexts. In the second, everything that comes after a
    tokenizer is computed for V variants, the tokenizer itself for the B observations alone.

    Args:
        policy: of SB3, with an `AttentionExtractor` for each role that is asked.

    Raises:
        ValueError: the policy has none.

    Source: Petsiuk et al. 2018, RISE, https://arxiv.org/abs/1806.07421; Huber et al. 2022,
        Benchmarking perturbation-based saliency maps for explaining Atari agents,
        https://doi.org/10.3389/frai.2022.903875, for agents. Differs: tokens are removed, not
        pixels blurred, so that what is removed is what attention reads.
    """

    def __init__(self, policy: nn.Module):
        self.extractors = extractors_of(policy)
        self.looked: dict[str, Looked] = {}

    @property
    def maskable(self) -> Bool[Tensor, "N"]:
        """Which tokens are removed by their mask; the others are replaced by their mean."""
        return next(iter(self.looked.values())).maskable

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Take the mean of every token over the observations that pass in this context."""
        self.looked = {}
        with ExitStack() as stack:
            for role, extractor in self.extractors.items():
                parts: list[bool] = []
                for part in extractor.tokenizer.parts:
                    hook = part.register_forward_hook(partial(_note_mask, parts))
                    stack.callback(hook.remove)
                look = partial(self._look, role, parts)
                stack.callback(extractor.tokenizer.register_forward_hook(look).remove)
            yield

    @contextmanager
    def removing(self, variants: Variants) -> Iterator[None]:
        """Give variants in place of the observations that pass in this context."""
        if not self.looked:
            raise ValueError("nothing was looked at yet; pass observations within looking() first")
        with self._changed({role: partial(self._without, variants, role) for role in self.looked}):
            yield

    @contextmanager
    def replacing(self, values: dict[str, Float[Tensor, "B N D"]]) -> Iterator[None]:
        """Give other embeddings, by role, such as ones that want a gradient; masks stay."""
        with self._changed({r: partial(_replaced, each) for r, each in values.items()}):
            yield

    @contextmanager
    def tokens(self) -> Iterator[dict[str, Tokens]]:
        """Keep the tokens of the latest pass in this context, by role."""
        kept: dict[str, Tokens] = {}

        def keep(role: str, tokens: Tokens) -> Tokens:
            kept[role] = tokens
            return tokens

        with self._changed({role: partial(keep, role) for role in self.extractors}):
            yield kept

    @contextmanager
    def _changed(self, changes: dict[str, Callable[[Tokens], Tokens]]) -> Iterator[None]:
        with ExitStack() as stack:
            for role, change in changes.items():
                tokenizer = self.extractors[role].tokenizer
                stack.callback(tokenizer.register_forward_hook(_hook(change)).remove)
            yield

    def _look(
        self, role: str, parts: list[bool], _module: nn.Module, _inputs: tuple, tokens: Tokens
    ) -> None:
        values, mask, _ = tokens
        B, N, D = values.shape
        if role not in self.looked:
            masked = torch.tensor(_per_token(self.extractors[role], parts), device=values.device)
            blank = values.new_zeros(N, D)
            self.looked[role] = Looked(blank, blank.new_zeros(N, 1), masked)
        there = values.new_ones(B, N) if mask is None else mask.to(values.dtype)
        looked = self.looked[role]
        looked.total = looked.total + (there[:, :, None] * values.detach()).sum(0)
        looked.count = looked.count + there.sum(0)[:, None]
        parts.clear()

    def _without(self, variants: Variants, role: str, tokens: Tokens) -> Tokens:
        rows, removed = variants
        looked = self.looked[role]
        masked, replaced = removed & looked.maskable, removed & ~looked.maskable
        values = torch.where(replaced[:, :, None], looked.mean, tokens.values[rows])  # (V, N, D)
        mask = None if tokens.mask is None else tokens.mask[rows] & ~masked
        return Tokens(values, mask, None if tokens.places is None else tokens.places[rows])


def removal_words(group: TokenGroup, maskable: bool) -> str:
    """Say how the tokens of a group are removed."""
    title = group.key or group.kind
    how = "masked" if maskable else "replaced by their mean over the episode"
    return f"{title}: {how}"


def _hook(change: Callable[[Tokens], Tokens]) -> Callable[..., Tokens]:
    return lambda _module, _inputs, tokens: change(tokens)


def _note_mask(parts: list[bool], _module: nn.Module, _inputs: tuple, tokens: Tokens) -> None:
    parts.append(tokens.mask is not None)


def _per_token(extractor: AttentionExtractor, parts: list[bool]) -> list[bool]:
    """Spread what is true of each part of an observation over its tokens."""
    keys = dict.fromkeys(group.key for group in extractor.layout.groups)
    of_key = dict(zip(keys, parts, strict=True))
    return [of_key[group.key] for group in extractor.layout.groups for _ in range(len(group))]


def _replaced(values: Tensor, tokens: Tokens) -> Tokens:
    return tokens._replace(values=values)
