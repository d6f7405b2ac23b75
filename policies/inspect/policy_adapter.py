"""What the policies of Stable-Baselines3 and sb3-contrib are made of: one class for each family.

An adapter reads a policy in two ways. `evaluate` passes many states through all of its networks,
with gradient; while tokens are removed (`TokenRemoval`), B states come out as V variants.
`outputs_of_pass` applies the output layers alone, to the features of a pass that has been.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from attention_agents.policies.inspect.action_distribution import (
    INVALID_LOGIT,
    ActionDistributionKind,
    CategoricalActions,
    DeterministicActions,
    GaussianActions,
    PolicyOutputs,
    QValues,
)
from attention_agents.policies.sb3.pointer import PointerPolicyMixin

STATES_AT_ONCE = 64
"""States whose recurrent state is computed at a time."""

Observations = Tensor | dict[str, Tensor]
"""(B, ...), as the policy takes them."""
RecurrentState = tuple[Float[Tensor, "L B K"], ...]
"""Hidden and cell state of the actor, then those of the critic where it has its own."""


@dataclass(frozen=True)
class StateBatch:
    """B states, and what was done in them; tensors on the policy's device."""

    observations: Observations
    actions: Shaped[Tensor, "B ..."]
    """In the environment's units."""
    valid: Bool[Tensor, "B C"] | None = None
    """Which choices were valid; None where the policy does not mask actions."""
    recurrent_state: RecurrentState | None = None
    """Before the states were observed; None where the policy is not recurrent."""

    def __len__(self) -> int:
        return len(self.actions)

    def __getitem__(self, index: slice | Tensor) -> StateBatch:
        """Return some of the states."""
        observations, valid, recurrent = self.observations, self.valid, self.recurrent_state
        if isinstance(observations, dict):
            observations = {key: part[index] for key, part in observations.items()}
        else:
            observations = observations[index]
        valid = None if valid is None else valid[index]
        recurrent = None if recurrent is None else tuple(part[:, index] for part in recurrent)
        return StateBatch(observations, self.actions[index], valid, recurrent)


class FeaturePass(NamedTuple):
    """What the output layers of a policy read of a pass over V states."""

    features: Mapping[str, Any]
    """(V, F) by role, as extractors gave them, or the LSTMs that follow; None where not known."""
    actions: Shaped[Tensor, "V ..."]
    """That were taken."""
    observe: Callable[[], Observations]
    """Gives the observations, for a critic that is not among the features."""
    valid: Bool[Tensor, "V C"] | None = None
    """Which choices were valid; None where all were."""


class PolicyAdapter(ABC):
    """How a policy is read.

    Args:
        policy: of Stable-Baselines3 or sb3-contrib.
    """

    kind: ActionDistributionKind
    masks_actions = False
    """Whether the policy heeds which actions are valid."""
    is_recurrent = False

    def __init__(self, policy: Any):
        self.policy = policy

    def evaluate(self, states: StateBatch, rows: Int[Tensor, "V"]) -> PolicyOutputs:
        """Pass states through the policy.

        Args:
            states: B of them.
            rows: of which state each output is: 0 to B - 1, unless tokens are removed.
        """
        return self.outputs_of_pass(self.pass_features(states, rows))

    def pass_features(self, states: StateBatch, rows: Int[Tensor, "V"]) -> FeaturePass:
        """Pass states through the extractors, see `evaluate`."""
        valid = None if states.valid is None else states.valid[rows]
        features = self._extract(states, rows)
        return FeaturePass(features, states.actions[rows], lambda: states.observations, valid)

    @abstractmethod
    def outputs_of_pass(self, passed: FeaturePass) -> PolicyOutputs:
        """Apply the output layers to the features of a pass."""

    @abstractmethod
    def action_outputs(
        self, features: Float[Tensor, "V F"], valid: Bool[Tensor, "V C"] | None = None
    ) -> PolicyOutputs:
        """Apply the output layers of the actor, or of the Q values, alone; no value comes with it.

        Args:
            features: of the acting role, as in `FeaturePass`.
            valid: which choices were valid; None where all were.
        """

    def acting_features(
        self, features: Float[Tensor, "V F"], recurrent_state: RecurrentState | None = None
    ) -> Float[Tensor, "V F"]:
        """Return what the output layers of the actor read of its extractor's features.

        Args:
            recurrent_state: of the actor before the pass, for a policy that has one.
        """
        return features

    def add_recurrent_states(self, states: StateBatch) -> StateBatch:
        """Add the recurrent state before each of the states, which are a whole episode."""
        return states

    @abstractmethod
    def _extract(self, states: StateBatch, rows: Tensor) -> dict[str, Any]:
        """Return the features of states by role."""


class ActorCriticAdapter(PolicyAdapter):
    """PPO, A2C, TRPO and MaskablePPO."""

    def __init__(self, policy: Any):
        super().__init__(policy)
        self.masks_actions, space = accepts_action_masks(policy.forward), policy.action_space
        if isinstance(space, spaces.Box):
            squashes = bool(policy.squash_output)
            self.kind = GaussianActions(space, tanh=squashes, scaled=squashes)
        else:
            bits = isinstance(space, spaces.MultiBinary)
            self.kind = CategoricalActions(space, bernoulli=bits and not self.masks_actions)

    def evaluate(self, states: StateBatch, rows: Int[Tensor, "V"]) -> PolicyOutputs:
        passed = self.pass_features(states, rows)
        outputs = self.outputs_of_pass(passed)
        if isinstance(self.policy, PointerPolicyMixin) and self.policy.action_net.listeners:
            self.policy.action_net.report_probabilities(
                outputs.params.softmax(-1), passed.features["actor"]
            )
        return outputs

    def outputs_of_pass(self, passed: FeaturePass) -> PolicyOutputs:
        policy, features, value = self.policy, passed.features, None
        outputs = self.action_outputs(features["actor"], passed.valid)
        shared = features["actor"] if policy.share_features_extractor else None
        critic = features.get("critic", shared)
        if critic is not None:
            value = policy.value_net(policy.mlp_extractor.forward_critic(critic))[:, 0]
        elif "critic" not in features:
            value = policy.predict_values(passed.observe())[:, 0]
        return outputs._replace(value=value)

    def action_outputs(
        self, features: Float[Tensor, "V F"], valid: Bool[Tensor, "V C"] | None = None
    ) -> PolicyOutputs:
        policy, std = self.policy, None
        latent = policy.mlp_extractor.forward_actor(features)
        params = policy.action_net(latent)  # (V, C)
        if isinstance(self.kind, GaussianActions):
            std = _standard_deviation(policy, policy.log_std, latent, params)
        if valid is not None:
            params = torch.where(valid, params, INVALID_LOGIT)
        return PolicyOutputs(params, std)

    def _extract(self, states: StateBatch, rows: Tensor) -> dict[str, Any]:
        features = self.policy.extract_features(states.observations)
        actor, critic = features if isinstance(features, tuple) else (features, features)
        return {"actor": actor, "critic": critic}


class RecurrentAdapter(ActorCriticAdapter):
    """RecurrentPPO: the recurrent state before a step stays when tokens are removed in the step."""

    is_recurrent = True

    def acting_features(
        self, features: Float[Tensor, "V F"], recurrent_state: RecurrentState | None = None
    ) -> Float[Tensor, "V K"]:
        assert recurrent_state is not None, "a recurrent policy needs its recurrent state"
        return self.policy.lstm_actor(features[None], recurrent_state[:2])[0][0]

    def add_recurrent_states(self, states: StateBatch) -> StateBatch:
        """Replay the episode, which begins with an empty recurrent state."""
        lstm, history = self.policy.lstm_actor, []
        zeros = torch.zeros(lstm.num_layers, 1, lstm.hidden_size, device=self.policy.device)
        state: RecurrentState = (zeros,) * (2 if self.policy.lstm_critic is None else 4)
        with torch.no_grad():
            for start in range(0, len(states), STATES_AT_ONCE):
                batch = states[start : start + STATES_AT_ONCE]
                features = super()._extract(batch, torch.arange(len(batch)))
                for t in range(len(batch)):
                    history.append(state)
                    step = {role: part[t : t + 1] for role, part in features.items()}
                    _, state = self._advance(step, state)
        joined = tuple(torch.cat(parts, 1) for parts in zip(*history, strict=True))  # (L, T, K)
        return replace(states, recurrent_state=joined)

    def _extract(self, states: StateBatch, rows: Tensor) -> dict[str, Any]:
        assert states.recurrent_state is not None, "a recurrent policy needs its recurrent state"
        state = tuple(part[:, rows] for part in states.recurrent_state)
        return self._advance(super()._extract(states, rows), state)[0]

    def _advance(
        self, features: Mapping[str, Any], state: RecurrentState
    ) -> tuple[dict[str, Any], RecurrentState]:
        """Return what the LSTMs make of features, by role, and their state after one step."""
        policy = self.policy  # sequences of one step: (1, V, F) in, (1, V, K) out
        (actor,), actor_state = policy.lstm_actor(features["actor"][None], state[:2])
        if policy.lstm_critic is not None:
            (critic,), critic_state = policy.lstm_critic(features["critic"][None], state[2:])
            return {"actor": actor, "critic": critic}, (*actor_state, *critic_state)
        critic = actor if policy.shared_lstm else policy.critic(features["critic"])
        return {"actor": actor, "critic": critic}, tuple(actor_state)


class QNetworkAdapter(PolicyAdapter):
    """DQN and QR-DQN."""

    def __init__(self, policy: Any):
        super().__init__(policy)
        networks = dict(policy.named_children())
        self.network: Any = networks.get("q_net", networks.get("quantile_net"))
        self.kind, self._quantiles = QValues(), "quantile_net" in networks

    def outputs_of_pass(self, passed: FeaturePass) -> PolicyOutputs:
        outputs = self.action_outputs(passed.features["online"])
        return outputs._replace(value=outputs.params.amax(1))

    def action_outputs(
        self, features: Float[Tensor, "V F"], valid: Bool[Tensor, "V C"] | None = None
    ) -> PolicyOutputs:
        if not self._quantiles:
            return PolicyOutputs(self.network.q_net(features))
        quantiles = self.network.quantile_net(features)  # (V, quantiles * A)
        return PolicyOutputs(quantiles.view(len(quantiles), self.network.n_quantiles, -1).mean(1))

    def _extract(self, states: StateBatch, rows: Tensor) -> dict[str, Any]:
        network = self.network
        return {"online": network.extract_features(states.observations, network.features_extractor)}


class SeparateCriticsAdapter(PolicyAdapter):
    """SAC, TD3, TQC and CrossQ: an actor, and critics that value the action that was taken."""

    def __init__(self, policy: Any):
        super().__init__(policy)
        self._stochastic = "latent_pi" in dict(policy.actor.named_children())
        kind = GaussianActions if self._stochastic else DeterministicActions
        scaled = self._stochastic or bool(policy.squash_output)
        self.kind = kind(policy.action_space, tanh=self._stochastic, scaled=scaled)

    def outputs_of_pass(self, passed: FeaturePass) -> PolicyOutputs:
        value = self._value_of(passed.observe(), passed.actions)
        return self.action_outputs(passed.features["actor"])._replace(value=value)

    def action_outputs(
        self, features: Float[Tensor, "V F"], valid: Bool[Tensor, "V C"] | None = None
    ) -> PolicyOutputs:
        actor = self.policy.actor
        if not self._stochastic:
            mean, before = _squashed_mean(actor.mu, features)
            return PolicyOutputs(mean, unsquashed=before)
        latent = actor.latent_pi(features)
        log_std = actor.log_std if actor.use_sde else actor.log_std(latent).clamp(-20, 2)
        mean, before = _squashed_mean(actor.mu, latent)
        std = _standard_deviation(actor, log_std, latent, mean)
        return PolicyOutputs(mean, std, unsquashed=before)

    def _extract(self, states: StateBatch, rows: Tensor) -> dict[str, Any]:
        actor = self.policy.actor
        return {"actor": actor.extract_features(states.observations, actor.features_extractor)}

    def _value_of(self, observations: Observations, actions: Tensor) -> Float[Tensor, "V"]:
        scaled = self.policy.scale_action(actions.cpu().numpy())
        inputs = torch.as_tensor(scaled, dtype=torch.float32, device=self.policy.device)
        values = self.policy.critic(observations, inputs)
        if isinstance(values, tuple):
            return torch.cat(values, 1).amin(1).detach()
        return values.flatten(1).mean(1).detach()  # TQC: (V, critics, quantiles)


def find_adapter(policy: Any) -> PolicyAdapter | None:
    """Return how to read a policy, by the networks that it has; None where that is not known."""
    networks = dict(policy.named_children())
    if "q_net" in networks or "quantile_net" in networks:
        return QNetworkAdapter(policy)
    if {"actor", "critic"} <= networks.keys():
        return SeparateCriticsAdapter(policy)
    if not {"mlp_extractor", "action_net"} <= networks.keys():
        return None
    if "lstm_actor" in networks:
        return RecurrentAdapter(policy)
    return None if any(name.startswith("lstm") for name in networks) else ActorCriticAdapter(policy)


def adapter_of(policy: Any) -> PolicyAdapter:
    """Return how to read a policy.

    Raises:
        ValueError: its networks are not those of a known family.
    """
    adapter = find_adapter(policy)
    if adapter is None:
        raise ValueError(
            f"{type(policy).__name__} is made in a way that is not known, so its outputs with "
            "tokens removed cannot be computed; use a policy of Stable-Baselines3 or sb3-contrib"
        )
    return adapter


def accepts_action_masks(method: Callable[..., Any]) -> bool:
    """Return whether a policy's `forward`, or an algorithm's `predict`, takes `action_masks`."""
    return "action_masks" in inspect.signature(method).parameters


def _squashed_mean(layers: nn.Module, latent: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the mean, and what it was before the squashing that ends its layers, if one does."""
    if not isinstance(layers, nn.Sequential) or not isinstance(layers[-1], nn.Tanh | nn.Hardtanh):
        return layers(latent), None
    before = layers[:-1](latent)
    return layers[-1](before), before


def _standard_deviation(module: Any, log_std: Tensor, latent: Tensor, mean: Tensor) -> Tensor:
    """Return the standard deviation of each number of an action, (V, A), with SDE of its noise."""
    if module.use_sde:
        return (latent**2 @ module.action_dist.get_std(log_std) ** 2).sqrt()
    return log_std.exp().expand_as(mean)
