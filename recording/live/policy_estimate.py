"""How a policy rated its actions, read from the features of the pass that chose one.

Its output layers are applied once more to the extractor's stored output: no second pass of the
extractor, no random number, and nothing is written to the policy. Where a choice rests on more than
the features, on an LSTM's state or on which actions were valid, that is taken from the same pass;
what was not seen in the pass is None.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from attention_agents.policies.inspect.policy_adapter import (
    FeaturePass,
    PolicyAdapter,
    find_adapter,
)
from attention_agents.recording.header import Distribution


class PolicyEstimate(NamedTuple):
    """What a policy's output layers say of a state."""

    distribution: np.ndarray | None
    """(A,) or (3, A) float32, see `Header.distribution`; None where it is not known."""
    value: float | None
    """V(s), the largest Q(s, a), or Q(s, a) of the action taken; None where it is not known."""


UNKNOWN = PolicyEstimate(None, None)


class ValidActions(NamedTuple):
    """Which actions were valid in a pass."""

    mask: Tensor | None = None
    """(1, choices) bool; None when everything was."""
    is_known: bool = True


EVERY_ACTION = ValidActions()


class PassReader:
    """Read the estimate of a policy from the features of its latest pass.

    Args:
        adapter: of the policy.
    """

    def __init__(self, adapter: PolicyAdapter):
        self.adapter, self.policy = adapter, adapter.policy
        self.distribution: Distribution = adapter.kind.name

    def valid_actions(self, passed: FeaturePass) -> ValidActions:
        """Return which actions were valid in a pass."""
        return EVERY_ACTION

    def estimate(self, passed: FeaturePass) -> PolicyEstimate:
        """Return the estimate of one state.

        Args:
            passed: of the pass that chose the action, V = 1; without valid actions, which a reader
                finds out by itself.
        """
        outputs = self.adapter.outputs_of_pass(passed)
        value = None if outputs.value is None else float(outputs.value)
        return PolicyEstimate(self.adapter.kind.distribution(outputs)[0], value)


class UnknownPassReader:
    """Read nothing, for a policy whose networks are not those of a known family."""

    def __init__(self, policy: Any):
        continuous = isinstance(policy.action_space, spaces.Box)
        self.distribution: Distribution = "gaussian" if continuous else "probabilities"

    def valid_actions(self, passed: FeaturePass) -> ValidActions:
        return ValidActions(is_known=False)

    def estimate(self, passed: FeaturePass) -> PolicyEstimate:
        return UNKNOWN


class MaskedPassReader(PassReader):
    """Read MaskablePPO: as PPO, among the actions that were valid in that pass."""

    def __init__(self, adapter: PolicyAdapter):
        super().__init__(adapter)
        self._features = ForwardListener(self.policy.pi_features_extractor)

    def valid_actions(self, passed: FeaturePass) -> ValidActions:
        if self._features.call is None:
            return ValidActions(is_known=False)
        batch, masks = self._features.call.output, self._masks()
        rows = _matching_rows(batch, passed.features["actor"])
        fitting = masks is None or len(masks) == len(batch)
        if not (fitting and _are_equal(masks, rows)):
            return ValidActions(is_known=False)
        return EVERY_ACTION if masks is None else ValidActions(masks[rows[:1]])

    def estimate(self, passed: FeaturePass) -> PolicyEstimate:
        valid = self.valid_actions(passed)
        estimate = super().estimate(passed._replace(valid=valid.mask))
        return estimate if valid.is_known else estimate._replace(distribution=None)

    def _masks(self) -> Tensor | None:
        """Return what was valid in the latest pass, (B, choices); None when everything was."""
        latest = self.policy.action_dist
        discrete = isinstance(self.policy.action_space, spaces.Discrete)
        parts = [latest.distribution] if discrete else latest.distributions
        masks = [part.masks for part in parts]
        return None if any(mask is None for mask in masks) else torch.cat(masks, dim=-1)


class RecurrentPassReader(PassReader):
    """Read RecurrentPPO: as PPO, with the output of the LSTMs in that pass in place of features.

    A policy that only acts leaves its critic's LSTM out. That is then run along, from the step at
    which the actor's state is empty: where an episode begins.
    """

    def __init__(self, adapter: PolicyAdapter):
        super().__init__(adapter)
        self._actor_lstm = ForwardListener(self.policy.lstm_actor)
        critic_lstm = self.policy.lstm_critic
        self._critic_lstm = None if critic_lstm is None else ForwardListener(critic_lstm)
        self._critic_state: tuple[Tensor, Tensor] | None = None
        """(L, 1, K) each; None when the episode's beginning was not seen."""

    def estimate(self, passed: FeaturePass) -> PolicyEstimate:
        if self._actor_lstm.call is None:
            return UNKNOWN
        (sequence, state), (outputs, _) = self._actor_lstm.call  # (T, B, F), (L, B, K), (T, B, K)
        rows = _matching_rows(sequence[-1], passed.features["actor"])
        if not _are_equal(outputs[-1], rows):
            return UNKNOWN
        actor = outputs[-1][rows[:1]]  # (1, K)
        begins = not any(part[:, rows].any() for part in state)
        critic_features = self._critic_features(passed)
        if self.policy.shared_lstm:
            critic = actor
        elif self._critic_lstm is None:
            critic = self.policy.critic(critic_features)
        else:
            critic = self._critic_latent(self._critic_lstm, begins, critic_features)
        return super().estimate(passed._replace(features={"actor": actor, "critic": critic}))

    def _critic_features(self, passed: FeaturePass) -> Tensor:
        if self.policy.share_features_extractor:
            return passed.features["actor"]
        if "critic" in passed.features:
            return passed.features["critic"]
        return self.policy.extract_features(passed.observe())[1]

    def _critic_latent(
        self, listener: ForwardListener, begins: bool, features: Tensor
    ) -> Tensor | None:
        call, listener.call = listener.call, None
        if call is not None:
            (sequence, _), (outputs, _) = call
            rows = _matching_rows(sequence[-1], features)
            if _are_equal(outputs[-1], rows):
                return outputs[-1][rows[:1]]
        lstm = self.policy.lstm_critic
        if begins:
            zeros = features.new_zeros(lstm.num_layers, 1, lstm.hidden_size)
            self._critic_state = (zeros, zeros)
        if self._critic_state is None:
            return None
        outputs, self._critic_state = lstm(features[None], self._critic_state)
        listener.call = None  # this call was made here, not by the policy
        return outputs[-1]


class ForwardCall(NamedTuple):
    """A call of a module, without gradient."""

    inputs: Any
    output: Any


class ForwardListener:
    """Hold the latest call of a module, for as long as this object lives."""

    def __init__(self, module: nn.Module):
        self.call: ForwardCall | None = None
        reference = weakref.ref(self)

        def store_call(_module: nn.Module, inputs: Any, output: Any) -> None:
            listener = reference()
            if listener is not None:
                listener.call = ForwardCall(_detach(inputs), _detach(output))

        weakref.finalize(self, module.register_forward_hook(store_call).remove)


def pass_reader_of(policy: Any) -> PassReader | UnknownPassReader:
    """Choose how to read a policy's passes, by its family."""
    adapter = find_adapter(policy)
    if adapter is None:
        return UnknownPassReader(policy)
    if adapter.is_recurrent:
        return RecurrentPassReader(adapter)
    if adapter.masks_actions:
        return MaskedPassReader(adapter)
    return PassReader(adapter)


def _matching_rows(batch: Tensor, features: Tensor) -> Tensor:
    """Return which rows of a batch equal these features, (1, F): the recorded state is there."""
    return (batch == features).all(-1).nonzero()[:, 0]


def _are_equal(batch: Tensor | None, rows: Tensor) -> bool:
    """Return whether there are such rows and all are equal in a batch, so that any may be taken."""
    return len(rows) > 0 and (batch is None or bool((batch[rows] == batch[rows[0]]).all()))


def _detach(values: Any) -> Any:
    return values.detach() if isinstance(values, Tensor) else tuple(map(_detach, values))
