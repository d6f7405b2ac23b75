"""Removing tokens inside a policy: before anything weighs them, nothing else changes.

A token is removed by its mask where it can be absent. Where tokens are always present, so that the
policy never met an observation without one, its numbers are replaced by their mean over the
observations that were passed before, or by zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenGroup
from attention_agents.policies.inspect.attention_modules import acting_role
from attention_agents.policies.inspect.token_capture import TokenMeans
from attention_agents.policies.inspect.token_inputs import PartTokens, token_inputs
from attention_agents.policies.tokens import Tokens

Changes = Mapping[str, Callable[[int, Tokens], Tokens | None]]
"""What is done with the tokens of each part of an observation, by the role of their extractor."""


class RemovalVariants(NamedTuple):
    """V variants of B observations, each without some of its tokens."""

    rows: Int[Tensor, "V"]
    """Index of the observation, 0 to B - 1, that each is a variant of."""
    removed: Bool[Tensor, "V N"]
    """True where a token is removed."""


class TokenRemoval:
    """Let a policy compute its outputs as if some tokens were not there.

        removal = TokenRemoval(policy)
        with removal.measure_means():
            policy.extract_features(obs)  # all observations of an episode
        with removal.remove_tokens(RemovalVariants(rows, removed)):
            policy.extract_features(obs)  # B observations in, features of V variants out

    It changes nothing outside of these two contexts. In the second, everything that comes after the
    tokens is computed for V variants, the tokens themselves for the B observations alone.

    Args:
        policy: of SB3, with attention or without; each extractor loses the same tokens.
        baseline: "mean" or "zero", what stands in place of a token that is not masked.
        masks: whether a token that can be absent is removed by its mask.
        span: what the means are taken over, in words.

    Raises:
        ValueError: it is not known where the tokens of the policy's extractor stand.

    Source: Petsiuk et al. 2018, RISE, https://arxiv.org/abs/1806.07421; Huber et al. 2022,
        Benchmarking perturbation-based saliency maps for explaining Atari agents,
        https://doi.org/10.3389/frai.2022.903875, for agents. Differs: tokens are removed, not
        pixels blurred, so that what is removed is what attention reads.
    """

    def __init__(
        self,
        policy: nn.Module,
        baseline: str = "mean",
        masks: bool = True,
        span: str = "episode",
    ):
        self.inputs = token_inputs(policy)
        self.role = acting_role(self.inputs)
        """Of the extractor that chooses the action."""
        self.baseline, self.masks, self.span = baseline, masks, span
        self.means: dict[str, TokenMeans] = {}

    @property
    def maskable(self) -> Bool[Tensor, "N"]:
        """Which tokens are removed by their mask; the others are replaced."""
        return torch.tensor(self.inputs[self.role].maskable) & self.masks

    @contextmanager
    def measure_means(self) -> Iterator[None]:
        """Take the mean of every token over the observations that pass in this context."""
        self.means = {role: TokenMeans() for role in self.inputs}
        parts: dict[str, dict[int, Tokens]] = {role: {} for role in self.inputs}

        def add(role: str, number: int, tokens: Tokens) -> None:
            own = parts[role]
            own[number] = tokens
            if len(own) == len(self.inputs[role].parts):
                self.means[role].update(tuple(own[i] for i in range(len(own))))
                own.clear()

        with self._tokens_changed({role: partial(add, role) for role in self.inputs}):
            yield

    @contextmanager
    def remove_tokens(self, variants: RemovalVariants) -> Iterator[None]:
        """Put variants in place of the observations that pass in this context."""
        if not self.means:
            raise ValueError(
                "the mean of the tokens is not known yet; pass observations within "
                "measure_means() first"
            )
        changes = {
            role: partial(self._without, variants.rows, role, self._removed_parts(variants, role))
            for role, means in self.means.items()
            if means.states
        }
        with self._tokens_changed(changes):
            yield

    @contextmanager
    def perturb_tokens(
        self,
        rows: Int[Tensor, "V"],
        zeroed: Bool[Tensor, "V N"],
        shaken: Bool[Tensor, "V N"],
        noise: Sequence[Float[Tensor, "B _ _"]],
    ) -> Iterator[None]:
        """Put variants in place of observations: some tokens are zeros, to some noise is added.

        The extractor that acts gets them; that of a critic of its own gets V unchanged variants.

        Args:
            rows: index of the observation that each is a variant of.
            noise: (B, n, D) for the tokens of each part of the B observations.
        """
        inputs = self.inputs[self.role]
        parts = list(zip(inputs.split(zeroed), inputs.split(shaken), noise, strict=True))

        def perturb(role: str, number: int, tokens: Tokens) -> Tokens:
            own = Tokens(*(None if part is None else part[rows] for part in tokens))  # type: ignore[arg-type]
            if role != self.role:
                return own
            zero, shake, shift = parts[number]
            values = own.values + torch.where(shake[:, :, None], shift[rows], 0.0)
            return own._replace(values=torch.where(zero[:, :, None], 0.0, values))

        with self._tokens_changed({role: partial(perturb, role) for role in self.inputs}):
            yield

    @contextmanager
    def replace_tokens(self, tokens: Mapping[str, PartTokens]) -> Iterator[None]:
        """Put other tokens in place, by role, such as ones that want a gradient."""

        def replace(role: str, number: int, _tokens: Tokens) -> Tokens:
            return tokens[role][number]

        with self._tokens_changed({role: partial(replace, role) for role in tokens}):
            yield

    @contextmanager
    def capture_tokens(self) -> Iterator[dict[str, list[Tokens]]]:
        """Hold the tokens of the latest pass in this context, by role and part."""
        captured = {
            role: [Tokens(torch.empty(0, 0, 0), None)] * len(inputs.parts)
            for role, inputs in self.inputs.items()
        }

        def capture(role: str, number: int, tokens: Tokens) -> None:
            captured[role][number] = tokens

        with self._tokens_changed({role: partial(capture, role) for role in self.inputs}):
            yield captured

    @contextmanager
    def _tokens_changed(self, changes: Changes) -> Iterator[None]:
        with ExitStack() as stack:
            for role, change in changes.items():
                for hook in self.inputs[role].hook_parts(change):
                    stack.callback(hook.remove)
            yield

    def _removed_parts(self, variants: RemovalVariants, role: str) -> list[_RemovedPart]:
        """Return what is removed of each part of an observation."""
        inputs, means = self.inputs[role], self.means[role]
        maskable = torch.tensor(inputs.maskable, device=variants.removed.device) & self.masks
        masked = inputs.split(variants.removed & maskable)
        replaced = inputs.split(variants.removed & ~maskable)
        values = [
            torch.zeros_like(mean) if self.baseline == "zero" else mean for mean in means.baseline
        ]
        return [_RemovedPart(*part) for part in zip(masked, replaced, values, strict=True)]

    def _without(
        self, rows: Tensor, role: str, removed: list[_RemovedPart], number: int, tokens: Tokens
    ) -> Tokens:
        masked, replaced, value = removed[number]
        values = torch.where(replaced[:, :, None], value, tokens.values[rows])  # (V, n, D)
        mask = None if tokens.mask is None else tokens.mask[rows] & ~masked
        return Tokens(values, mask, None if tokens.places is None else tokens.places[rows])


class _RemovedPart(NamedTuple):
    """What is removed of one part of an observation, in V variants."""

    masked: Bool[Tensor, "V n"]
    replaced: Bool[Tensor, "V n"]
    value: Float[Tensor, "n D"]
    """Stands in place of what is replaced."""


def describe_removal(
    group: TokenGroup, maskable: bool, span: str = "episode", baseline: str = "mean"
) -> str:
    """Describe how the tokens of a group are removed.

    Args:
        span: what means are taken over, in words.
    """
    replaced = "zeros" if baseline == "zero" else f"their mean over the {span}"
    return f"{group.key or group.kind}: {'masked' if maskable else f'replaced by {replaced}'}"
