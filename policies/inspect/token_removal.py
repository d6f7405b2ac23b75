"""Removing tokens inside a policy: between its tokenizers and its encoders, nothing else changes.

A token is removed by its mask where its tokenizer has one. Where tokens are always present, so that
the policy never met an observation without one, its embedding is replaced by its mean over the
observations that were passed before.
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
from attention_agents.policies.inspect.attention_modules import attention_extractors
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.tokens import Tokens


class RemovalVariants(NamedTuple):
    """V variants of B observations, each without some of its tokens."""

    rows: Int[Tensor, "V"]
    """Index of the observation, 0 to B - 1, that each is a variant of."""
    removed: Bool[Tensor, "V N"]
    """True where a token is removed."""


@dataclass
class TokenMean:
    """The mean embedding of every token of an extractor."""

    total: Float[Tensor, "N D"]
    """Sum of a token's embeddings over the observations in which it was present."""
    count: Float[Tensor, "N 1"]
    """Number of these observations."""
    maskable: Bool[Tensor, "N"]
    """Whether a token's tokenizer gives a mask."""

    @property
    def mean(self) -> Float[Tensor, "N D"]:
        return self.total / self.count.clamp(min=1)


class TokenRemoval:
    """Let a policy compute its outputs as if some tokens were not there.

        removal = TokenRemoval(policy)
        with removal.measure_means():
            policy.extract_features(obs)  # all observations of an episode
        with removal.remove_tokens(RemovalVariants(rows, removed)):
            policy.extract_features(obs)  # B observations in, features of V variants out

    It changes nothing outside of these two contexts. In the second, everything that comes after a
    tokenizer is computed for V variants, the tokenizer itself for the B observations alone.

    Args:
        policy: of SB3, with an `AttentionExtractor` for each role whose tokens are removed.

    Raises:
        ValueError: the policy has none.

    Source: Petsiuk et al. 2018, RISE, https://arxiv.org/abs/1806.07421; Huber et al. 2022,
        Benchmarking perturbation-based saliency maps for explaining Atari agents,
        https://doi.org/10.3389/frai.2022.903875, for agents. Differs: tokens are removed, not
        pixels blurred, so that what is removed is what attention reads.
    """

    def __init__(self, policy: nn.Module):
        self.extractors = attention_extractors(policy)
        self.means: dict[str, TokenMean] = {}

    @property
    def maskable(self) -> Bool[Tensor, "N"]:
        """Which tokens are removed by their mask; the others are replaced by their mean."""
        return next(iter(self.means.values())).maskable

    @contextmanager
    def measure_means(self) -> Iterator[None]:
        """Take the mean of every token over the observations that pass in this context."""
        self.means = {}
        with ExitStack() as stack:
            for role, extractor in self.extractors.items():
                has_mask: list[bool] = []
                for part in extractor.tokenizer.parts:
                    hook = part.register_forward_hook(partial(_note_mask, has_mask))
                    stack.callback(hook.remove)
                add = partial(self._add_to_mean, role, has_mask)
                stack.callback(extractor.tokenizer.register_forward_hook(add).remove)
            yield

    @contextmanager
    def remove_tokens(self, variants: RemovalVariants) -> Iterator[None]:
        """Put variants in place of the observations that pass in this context."""
        if not self.means:
            raise ValueError(
                "the mean of the tokens is not known yet; pass observations within "
                "measure_means() first"
            )
        changes = {role: partial(self._without, variants, role) for role in self.means}
        with self._tokens_changed(changes):
            yield

    @contextmanager
    def replace_embeddings(self, values: dict[str, Float[Tensor, "B N D"]]) -> Iterator[None]:
        """Put other embeddings in place, by role, such as ones that want a gradient; masks stay."""

        def replace_values(role: str, tokens: Tokens) -> Tokens:
            return tokens._replace(values=values[role])

        with self._tokens_changed({role: partial(replace_values, role) for role in values}):
            yield

    @contextmanager
    def capture_tokens(self) -> Iterator[dict[str, Tokens]]:
        """Hold the tokens of the latest pass in this context, by role."""
        captured: dict[str, Tokens] = {}

        def capture(role: str, tokens: Tokens) -> Tokens:
            captured[role] = tokens
            return tokens

        with self._tokens_changed({role: partial(capture, role) for role in self.extractors}):
            yield captured

    @contextmanager
    def _tokens_changed(self, changes: dict[str, Callable[[Tokens], Tokens]]) -> Iterator[None]:
        with ExitStack() as stack:
            for role, change in changes.items():
                tokenizer = self.extractors[role].tokenizer
                stack.callback(tokenizer.register_forward_hook(_output_hook(change)).remove)
            yield

    def _add_to_mean(
        self, role: str, has_mask: list[bool], _module: nn.Module, _inputs: tuple, tokens: Tokens
    ) -> None:
        values, mask, _ = tokens
        B, N, D = values.shape
        if role not in self.means:
            maskable = torch.tensor(_per_token(self.extractors[role], has_mask))
            zeros = values.new_zeros(N, D)
            self.means[role] = TokenMean(zeros, zeros.new_zeros(N, 1), maskable.to(values.device))
        present = values.new_ones(B, N) if mask is None else mask.to(values.dtype)
        mean = self.means[role]  # sums over B
        mean.total = mean.total + (present[:, :, None] * values.detach()).sum(0)
        mean.count = mean.count + present.sum(0)[:, None]
        has_mask.clear()

    def _without(self, variants: RemovalVariants, role: str, tokens: Tokens) -> Tokens:
        rows, removed = variants
        mean = self.means[role]
        masked, replaced = removed & mean.maskable, removed & ~mean.maskable
        values = torch.where(replaced[:, :, None], mean.mean, tokens.values[rows])  # (V, N, D)
        mask = None if tokens.mask is None else tokens.mask[rows] & ~masked
        return Tokens(values, mask, None if tokens.places is None else tokens.places[rows])


def describe_removal(group: TokenGroup, maskable: bool) -> str:
    """Describe how the tokens of a group are removed."""
    title = group.key or group.kind
    how = "masked" if maskable else "replaced by their mean over the episode"
    return f"{title}: {how}"


def _output_hook(change: Callable[[Tokens], Tokens]) -> Callable[..., Tokens]:
    return lambda _module, _inputs, tokens: change(tokens)


def _note_mask(has_mask: list[bool], _module: nn.Module, _inputs: tuple, tokens: Tokens) -> None:
    has_mask.append(tokens.mask is not None)


def _per_token(extractor: AttentionExtractor, of_parts: list[bool]) -> list[bool]:
    """Spread what is true of each part of an observation over its tokens."""
    keys = dict.fromkeys(group.key for group in extractor.layout.groups)
    of_key = dict(zip(keys, of_parts, strict=True))
    return [of_key[group.key] for group in extractor.layout.groups for _ in range(len(group))]
