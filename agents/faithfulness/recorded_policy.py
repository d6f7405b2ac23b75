"""A policy in one recorded episode: its outputs with all tokens, and without some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from attention_agents.agents.faithfulness.recorded_episode import RecordedEpisode
from attention_agents.policies.inspect.action_distribution import (
    ActionDistributionKind,
    PolicyOutputs,
)
from attention_agents.policies.inspect.attention_modules import acting_role
from attention_agents.policies.inspect.policy_adapter import PolicyAdapter, StateBatch, adapter_of
from attention_agents.policies.inspect.token_inputs import PartTokens, TokenInputs, token_inputs
from attention_agents.policies.inspect.token_removal import (
    RemovalVariants,
    TokenRemoval,
    describe_removal,
)
from attention_agents.recording.reader import Episode

FLOATS_AT_ONCE = 2_000_000
"""Numbers of the largest tensor of a pass: more do not make it faster, and take memory."""
Truth = Literal["margin", "kl"]
"""What is called the effect of removing a token: how much less the action taken is preferred when
the token is replaced by its mean; or how far the whole output moves, whatever was done, when the
token is masked, where that can be, and else replaced by its mean."""
TOLERANCE = 2e-3
"""Probabilities, and others in units of their range, may differ so much from the recorded ones."""


@dataclass(frozen=True)
class RecordedPolicy:
    """A policy, and the T states of an episode that it was recorded in."""

    policy: Any
    adapter: PolicyAdapter
    removal: TokenRemoval
    states: StateBatch
    outputs: PolicyOutputs
    """With all tokens there."""
    present: Bool[np.ndarray, "T N"]
    """True where a token is present."""
    role: str
    """Of the extractor that acts."""
    truth: Truth = "kl"

    @classmethod
    def from_episode(
        cls,
        policy: Any,
        normalize: Callable[[Any], Any],
        episode: Episode,
        truth: Truth = "kl",
        removal: TokenRemoval | None = None,
    ) -> RecordedPolicy:
        """Compute the outputs of a policy in an episode.

        Args:
            policy: of SB3, in evaluation mode.
            normalize: what is done to observations before the policy gets them.
            episode: a recorded one.
            truth: what counts as the effect of a token, and so how tokens are removed.
            removal: with the means of tokens over more than this episode; None to measure those of
                the episode.

        Raises:
            ValueError: the policy is another than the recorded one, or of an unknown kind.
        """
        check_layout(policy, episode)
        adapter = adapter_of(policy)
        if removal is None:
            removal = measure_removal(policy, normalize, [episode], truth)
        recorded = RecordedEpisode.read(episode)
        states = recorded.states(adapter, normalize)
        role, inputs = removal.role, removal.inputs[removal.role]
        outputs, present = [], []
        with torch.no_grad(), removal.capture_tokens() as tokens:
            for part in _split_range(len(states), states_at_once(inputs)):
                batch = states[part]
                rows = torch.arange(len(batch), device=policy.device)
                outputs.append(adapter.evaluate(batch, rows))
                present.append(inputs.present(tuple(tokens[role])).cpu().numpy())
        joined = PolicyOutputs.concatenate(outputs)
        check_outputs(adapter.kind.distribution(joined), recorded, episode)
        present = np.concatenate(present)
        return cls(policy, adapter, removal, states, joined, present, role, truth)

    @property
    def kind(self) -> ActionDistributionKind:
        return self.adapter.kind

    @property
    def inputs(self) -> TokenInputs:
        """The tokens of the extractor that acts."""
        return self.removal.inputs[self.role]

    @property
    def unit(self) -> str:
        """Of `effects`."""
        if self.truth == "kl":
            return self.kind.unit
        return (
            f"drop of the margin: {self.kind.margin_text}"
            if self.kind.is_choice
            else "change of the mean action, in its standard deviations"
        )

    @property
    def change_scale(self) -> float:
        """The effect that counts as large."""
        if self.truth == "margin" and not self.kind.is_choice:
            return 1.0
        return self.kind.distance_scale(self.outputs)

    @cached_property
    def margins(self) -> Float[np.ndarray, "T M"]:
        """By how much each part of the action was preferred, see `ActionDistributionKind`."""
        return _float32(self.kind.margins(self.outputs, self.states.actions))

    @cached_property
    def _part_scale(self) -> Float[np.ndarray, "M"]:
        """What the numbers of a continuous action are measured in: their spread over the states."""
        return np.maximum(self.margins.std(0), 1e-8)

    def combine_parts(self, by_part: Float[np.ndarray, "S M N"]) -> Float[np.ndarray, "S N"]:
        """Return one number for each token from those for every part of an action.

        They are added up; of a continuous action, their magnitudes in standard deviations are.
        """
        if self.kind.is_choice:
            return np.nansum(by_part, 1)
        return (np.abs(by_part) / self._part_scale[:, None]).sum(1)

    def margin_drops(
        self, rows: Int[np.ndarray, "V"], outputs: PolicyOutputs
    ) -> Float[np.ndarray, "V M"]:
        """Return how much smaller margins are in outputs than with all tokens there."""
        index = torch.as_tensor(rows, device=self.policy.device)
        return self.margins[rows] - _float32(self.kind.margins(outputs, self.states.actions[index]))

    def effects(self, rows: Int[np.ndarray, "V"], outputs: PolicyOutputs) -> Float[np.ndarray, "V"]:
        """Return what removing tokens did, in `unit`; below 0 where the action gained by it."""
        if self.truth == "kl":
            return self.distances(rows, outputs)
        return self.combine_parts(self.margin_drops(rows, outputs)[:, :, None])[:, 0]

    @property
    def removal_texts(self) -> tuple[str, ...]:
        """How tokens are removed, for each part of the observation."""
        layout, maskable = self.inputs.layout, self.removal.maskable
        parts = zip(layout.slices, layout.groups, strict=True)
        texts = (
            describe_removal(group, bool(maskable[part.start]), self.removal.span)
            for part, group in parts
        )
        return tuple(dict.fromkeys(texts))

    def select_steps(self, steps: Int[np.ndarray, "S"]) -> RecordedPolicy:
        """Return the policy in some of the states alone."""
        index = torch.as_tensor(steps, device=self.policy.device)
        outputs, present = self.outputs.select_states(index), self.present[steps]
        return replace(self, states=self.states[index], outputs=outputs, present=present)

    def tokens_at(self, steps: slice) -> PartTokens:
        """Return the tokens of neighbouring states, part by part."""
        states = self.states[steps]
        rows = torch.arange(len(states), device=self.policy.device)
        with torch.no_grad(), self.removal.capture_tokens() as tokens:
            self.adapter.pass_features(states, rows)
        return tuple(tokens[self.role])

    def outputs_perturbed(
        self,
        zeroed: Bool[np.ndarray, "T N"],
        shaken: Bool[np.ndarray, "T N"],
        noise: Sequence[Float[torch.Tensor, "T _ _"]],
    ) -> PolicyOutputs:
        """Return the policy's outputs in every state with some tokens zeros, or with noise.

        Args:
            noise: (T, n, D) for the tokens of each part of an observation.
        """
        device, outputs = self.policy.device, []
        with torch.no_grad():
            for part in _split_range(len(zeroed), states_at_once(self.inputs)):
                states = self.states[part]
                rows = torch.arange(len(states), device=device)
                zero = torch.as_tensor(zeroed[part], device=device)
                shake = torch.as_tensor(shaken[part], device=device)
                own = [values[part] for values in noise]
                with self.removal.perturb_tokens(rows, zero, shake, own):
                    outputs.append(self.adapter.evaluate(states, rows))
        return PolicyOutputs.concatenate(outputs)

    def outputs_without(
        self, rows: Int[np.ndarray, "V"], removed: Bool[np.ndarray, "V N"]
    ) -> PolicyOutputs:
        """Return the policy's outputs without some tokens.

        Args:
            rows: the state of each of V outputs; neighbours should be of the same state.
            removed: True where a token is removed.
        """
        device = self.policy.device
        outputs = []
        with torch.no_grad():
            for part in _split_range(len(rows), states_at_once(self.inputs)):
                low, high = int(rows[part].min()), int(rows[part].max()) + 1
                of_part = torch.as_tensor(rows[part] - low, device=device)
                mask = torch.as_tensor(removed[part], device=device)
                with self.removal.remove_tokens(RemovalVariants(of_part, mask)):
                    outputs.append(self.adapter.evaluate(self.states[low:high], of_part))
        return PolicyOutputs.concatenate(outputs)

    def distances(
        self, rows: Int[np.ndarray, "V"], outputs: PolicyOutputs
    ) -> Float[np.ndarray, "V"]:
        """Return how far outputs lie from those with all tokens there, in `kind.unit`."""
        index = torch.as_tensor(rows, device=self.policy.device)
        before, actions = self.outputs.select_states(index), self.states.actions[index]
        return self.kind.distance(before, outputs, actions).cpu().numpy()

    def outputs_as_stored(self, outputs: PolicyOutputs) -> dict[str, Float[np.ndarray, "V ..."]]:
        """Return outputs by the names of `LeaveOneOut`."""
        stored = {
            "distribution": self.kind.compact_distribution(outputs),
            "action": self.kind.likeliest_actions(outputs),
        }
        if outputs.value is not None:
            stored["value"] = outputs.value.cpu().numpy().astype(np.float32)
        return stored


def measure_removal(
    policy: Any, normalize: Callable[[Any], Any], episodes: Sequence[Episode], truth: Truth
) -> TokenRemoval:
    """Return how tokens are removed, with the mean of each over all states of some episodes.

    Raises:
        ValueError: the policy, or an episode, has other tokens than the other.
    """
    span = "episode" if len(episodes) == 1 else "recording"
    removal, adapter = TokenRemoval(policy, masks=truth == "kl", span=span), adapter_of(policy)
    at_once = states_at_once(removal.inputs[removal.role])
    with torch.no_grad(), removal.measure_means():
        for episode in episodes:
            states = RecordedEpisode.read(episode).states(adapter, normalize)
            for part in _split_range(len(states), at_once):
                batch = states[part]
                adapter.evaluate(batch, torch.arange(len(batch), device=policy.device))
    return removal


def check_layout(policy: Any, episode: Episode) -> None:
    """Refuse an episode whose tokens are not the policy's.

    Raises:
        ValueError: they are others, or it is not known where the policy's stand.
    """
    inputs = token_inputs(policy)
    role = acting_role(inputs)
    layout, recorded = inputs[role].layout, episode.header.layout
    if layout != recorded:
        raise ValueError(
            f"the recording {episode.folder.parent} is of another run: it has {len(recorded)} "
            f"tokens ({_describe_groups(recorded)}), the {role} of this policy {len(layout)} "
            f"({_describe_groups(layout)})"
        )


def check_outputs(distribution: np.ndarray, recorded: RecordedEpisode, episode: Episode) -> None:
    """Refuse a policy whose outputs are not the recorded ones.

    Raises:
        ValueError: they differ by more than `TOLERANCE`.
    """
    before = recorded.distribution
    after = distribution.reshape(before.shape).astype(np.float64)
    comparable = ~np.isnan(before).any((1, 2)) & recorded.attended
    if not comparable.any():
        return
    spread = 1.0
    if episode.header.distribution != "probabilities":
        spread = max(float(np.ptp(before[comparable])), 1e-3)
    error = float(np.abs(after - before)[comparable].max()) / spread
    if not error <= TOLERANCE:
        raise ValueError(
            f"the policy's outputs are not those recorded in {episode.folder} (off by {error:.2g})"
            ": the recording is of another run or checkpoint; name the right one with --checkpoint"
        )


def states_at_once(inputs: TokenInputs) -> int:
    """Return how many variants are worth computing at a time."""
    return max(8, FLOATS_AT_ONCE // inputs.floats)


def _split_range(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _describe_groups(layout: Any) -> str:
    return ", ".join(f"{len(group)} {group.key or group.kind}" for group in layout.groups)


def _float32(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)
