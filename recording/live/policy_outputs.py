"""How a policy judged its actions, read from the features of the pass that chose one.

Stable-Baselines3's heads are applied once more to the extractor's stored output: no second pass
of the extractor, no random number, and nothing is written to the policy. Where a choice rests on
more than the features, on what an LSTM remembers or on which actions were valid, that is heard in
the same pass; what was not heard is not said.
"""

from __future__ import annotations

import inspect
import weakref
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from attention_agents.recording.format import ActionKind, Distribution

INVALID = -1e8
"""Logit that MaskablePPO gives an action that is not valid."""


class Judgement(NamedTuple):
    """What a policy thinks of a state."""

    distribution: np.ndarray | None
    """(A,) or (3, A) float32, see `Header.distribution`; None where it cannot be told."""
    value: float | None
    """V(s), the largest Q(s, a), or Q(s, a) of the action taken; None where it cannot be told."""


class Heads(Protocol):
    """The part of a policy that follows its features extractor."""

    distribution: Distribution

    def judge(self, features: dict[str, Tensor], observation: Any, action: np.ndarray) -> Judgement:
        """Judge one state.

        Args:
            features: (1, F) by role, of the pass that chose the action.
            observation: what the policy saw, for a critic with an extractor of its own.
            action: what was done, in the environment's units.
        """
        ...


def heads_of(policy: Any) -> Heads:
    """Choose how to read an SB3 policy, by the networks that it has."""
    networks = dict(policy.named_children())
    if "q_net" in networks or "quantile_net" in networks:
        return QHeads(policy)
    if "actor" in networks:
        return ActorHeads(policy)
    if "mlp_extractor" not in networks:
        return UnknownHeads(policy)
    if "lstm_actor" in networks:
        return RecurrentHeads(policy)
    if "action_masks" in inspect.signature(policy.forward).parameters:
        return MaskedHeads(policy)
    if not any(name.startswith("lstm") for name in networks):
        return ActorCriticHeads(policy)
    return UnknownHeads(policy)


class UnknownHeads:
    """A policy that cannot be read from its features alone: nothing is said."""

    def __init__(self, policy: Any):
        continuous = isinstance(policy.action_space, spaces.Box)
        self.distribution: Distribution = "gaussian" if continuous else "probabilities"

    def judge(self, features: dict[str, Tensor], observation: Any, action: np.ndarray) -> Judgement:
        return Judgement(None, None)


class _Heard(NamedTuple):
    """A call of a module, without gradient."""

    inputs: Any
    output: Any


class _Ear:
    """Hears the latest call of a module, for as long as somebody holds this."""

    def __init__(self, module: nn.Module):
        self.heard: _Heard | None = None
        held = weakref.ref(self)

        def hear(_module: nn.Module, inputs: Any, output: Any) -> None:
            ear = held()
            if ear is not None:
                ear.heard = _Heard(_detached(inputs), _detached(output))

        weakref.finalize(self, module.register_forward_hook(hear).remove)


class QHeads:
    """DQN and QR-DQN: one value per action."""

    distribution: Distribution = "q_values"

    def __init__(self, policy: Any):
        networks = dict(policy.named_children())
        self.q_net: Any = networks.get("q_net")
        self.quantile_net: Any = networks.get("quantile_net")

    def judge(self, features: dict[str, Tensor], observation: Any, action: np.ndarray) -> Judgement:
        if self.q_net is not None:
            q_values = self.q_net.q_net(features["online"])[0]  # (A,)
        else:
            net = self.quantile_net
            q_values = net.quantile_net(features["online"]).view(net.n_quantiles, -1).mean(0)
        q_values = _numpy(q_values)
        return Judgement(q_values, float(q_values.max()))


class ActorCriticHeads:
    """PPO, A2C and TRPO: a distribution over actions and a state value."""

    def __init__(self, policy: Any):
        self.policy, self.space = policy, policy.action_space
        continuous = isinstance(self.space, spaces.Box)
        self.distribution: Distribution = "gaussian" if continuous else "probabilities"

    def judge(self, features: dict[str, Tensor], observation: Any, action: np.ndarray) -> Judgement:
        return Judgement(self._said(features["actor"]), self._value(features, observation))

    def _said(self, features: Tensor) -> np.ndarray:
        policy = self.policy
        latent = policy.mlp_extractor.forward_actor(features)
        means = policy.action_net(latent)  # (1, A): means, or logits
        if self.distribution == "gaussian":
            std = _deviation(policy, policy.log_std, latent)
            return gaussian(policy, means, std, squashed=policy.squash_output)
        if isinstance(self.space, spaces.MultiBinary):
            return _numpy(means[0].sigmoid())
        return _probabilities(means[0], action_sizes(self.space))

    def _value(self, features: dict[str, Tensor], observation: Any) -> float:
        if self.policy.share_features_extractor:
            features = {"critic": features["actor"]}
        if "critic" not in features:
            return float(self.policy.predict_values(_tensors(self.policy, observation)))
        latent = self.policy.mlp_extractor.forward_critic(features["critic"])
        return float(self.policy.value_net(latent))


class MaskedHeads(ActorCriticHeads):
    """MaskablePPO: as PPO, among the actions that were valid in that pass."""

    def __init__(self, policy: Any):
        super().__init__(policy)
        self._read = _Ear(policy.pi_features_extractor)

    def judge(self, features: dict[str, Tensor], observation: Any, action: np.ndarray) -> Judgement:
        value = self._value(features, observation)
        if self._read.heard is None:
            return Judgement(None, value)
        batch, masks = self._read.heard.output, self._masks()
        rows = _rows(batch, features["actor"])
        if (masks is not None and len(masks) != len(batch)) or not _alike(masks, rows):
            return Judgement(None, value)
        latent = self.policy.mlp_extractor.forward_actor(features["actor"])
        logits = self.policy.action_net(latent)[0]
        if masks is not None:
            logits = torch.where(masks[rows[0]], logits, INVALID)
        if isinstance(self.space, spaces.MultiBinary):  # off and on of every bit
            said = _probabilities(logits, (2,) * spaces.flatdim(self.space))[1::2]
        else:
            said = _probabilities(logits, action_sizes(self.space))
        return Judgement(said, value)

    def _masks(self) -> Tensor | None:
        """Return what was valid in the latest pass, (B, choices); None when everything was."""
        last = self.policy.action_dist
        discrete = isinstance(self.space, spaces.Discrete)
        parts = [part.masks for part in ([last.distribution] if discrete else last.distributions)]
        return None if any(part is None for part in parts) else torch.cat(parts, dim=-1)


class RecurrentHeads(ActorCriticHeads):
    """RecurrentPPO: as PPO, with what the LSTMs gave in that pass in the features' place.

    A policy that only acts leaves its critic's LSTM out. That is then run along, from the step at
    which the actor's memory is empty: where an episode begins.
    """

    def __init__(self, policy: Any):
        super().__init__(policy)
        self._actor = _Ear(policy.lstm_actor)
        self._critic = None if policy.lstm_critic is None else _Ear(policy.lstm_critic)
        self._memory: tuple[Tensor, Tensor] | None = None
        """Of the critic, (L, 1, K) each; None when the episode's beginning was not heard."""

    def judge(self, features: dict[str, Tensor], observation: Any, action: np.ndarray) -> Judgement:
        if self._actor.heard is None:
            return Judgement(None, None)
        (sequence, memory), (outputs, _) = self._actor.heard
        rows = _rows(sequence[-1], features["actor"])
        if not _alike(outputs[-1], rows):
            return Judgement(None, None)
        latent = outputs[-1][rows[:1]]  # (1, K)
        empty = not any(part[:, rows].any() for part in memory)
        value = self._judged(latent, empty, self._critics_features(features, observation))
        return Judgement(self._said(latent), value)

    def _critics_features(self, features: dict[str, Tensor], observation: Any) -> Tensor:
        if self.policy.share_features_extractor:
            return features["actor"]
        if "critic" in features:
            return features["critic"]
        return self.policy.extract_features(_tensors(self.policy, observation))[1]

    def _judged(self, actor: Tensor, empty: bool, features: Tensor) -> float | None:
        policy = self.policy
        if policy.shared_lstm:
            latent = actor
        elif self._critic is None:
            latent = policy.critic(features)
        else:
            latent = self._critics_latent(self._critic, empty, features)
        if latent is None:
            return None
        return float(policy.value_net(policy.mlp_extractor.forward_critic(latent)))

    def _critics_latent(self, critic: _Ear, empty: bool, features: Tensor) -> Tensor | None:
        heard, critic.heard = critic.heard, None
        if heard is not None:
            (sequence, _), (outputs, _) = heard
            rows = _rows(sequence[-1], features)
            if _alike(outputs[-1], rows):
                return outputs[-1][rows[:1]]
        lstm = self.policy.lstm_critic
        if empty:
            blank = features.new_zeros(lstm.num_layers, 1, lstm.hidden_size)
            self._memory = (blank, blank)
        if self._memory is None:
            return None
        outputs, self._memory = lstm(features[None], self._memory)
        critic.heard = None  # what was heard just now was asked for here
        return outputs[-1]


class ActorHeads:
    """SAC, TD3 and their kin: an actor, and critics that judge state and action together."""

    distribution: Distribution = "gaussian"

    def __init__(self, policy: Any):
        self.policy = policy

    def judge(self, features: dict[str, Tensor], observation: Any, action: np.ndarray) -> Judgement:
        actor = self.policy.actor
        networks = dict(actor.named_children())
        if "latent_pi" in networks:
            latent = actor.latent_pi(features["actor"])
            log_std = actor.log_std if actor.use_sde else actor.log_std(latent).clamp(-20, 2)
            std = _deviation(actor, log_std, latent)
            said = gaussian(self.policy, actor.mu(latent), std, squashed=True)
        else:
            means = actor.mu(features["actor"])  # (1, A), squashed by the network itself
            said = gaussian(self.policy, means, torch.zeros_like(means), squashed=False)
            said = np.stack([self.policy.unscale_action(row) for row in said])
        return Judgement(said, self._value(observation, action))

    def _value(self, observation: Any, action: np.ndarray) -> float:
        policy = self.policy
        scaled = torch.as_tensor(policy.scale_action(action), dtype=torch.float32)
        judged = policy.critic(_tensors(policy, observation), scaled[None].to(policy.device))
        if isinstance(judged, tuple):
            return float(torch.stack(judged).min())
        return float(judged.mean())  # TQC: (1, critics, quantiles)


def gaussian(policy: Any, mean: Tensor, std: Tensor, squashed: bool) -> np.ndarray:
    """Return the mean action and one deviation below and above it, (3, A) in environment units.

    What the policy does to a draw (squash and unscale, or clip) is done to these three rows.
    """
    rows = torch.cat([mean, mean - std, mean + std])  # (3, A)
    space = policy.action_space
    if squashed:
        return np.stack([np.ravel(policy.unscale_action(_numpy(row))) for row in rows.tanh()])
    if policy.squash_output:
        return _numpy(rows)
    return np.clip(_numpy(rows), np.ravel(space.low), np.ravel(space.high))


def action_kind(space: spaces.Space) -> ActionKind:
    """Return the kind of an action space.

    Raises:
        ValueError: it is none that Stable-Baselines3 knows.
    """
    kinds: dict[type, ActionKind] = {
        spaces.Discrete: "discrete",
        spaces.MultiDiscrete: "multi_discrete",
        spaces.MultiBinary: "multi_binary",
        spaces.Box: "continuous",
    }
    for kind, name in kinds.items():
        if isinstance(space, kind):
            return name
    raise ValueError(f"actions must be Discrete, MultiDiscrete, MultiBinary or Box, got {space}")


def action_sizes(space: spaces.Space) -> tuple[int, ...]:
    """Return the number of choices of each part of an action, 1 for a bit or a number."""
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(n) for n in space.nvec.ravel())
    return (1,) * spaces.flatdim(space)


def _rows(batch: Tensor, features: Tensor) -> Tensor:
    """Return which rows of a batch are these features, (1, F): the step that is judged is there."""
    return (batch == features).all(-1).nonzero()[:, 0]


def _alike(batch: Tensor | None, rows: Tensor) -> bool:
    """Return whether there are such rows, and none of a batch differs, so that any may be taken."""
    return len(rows) > 0 and (batch is None or bool((batch[rows] == batch[rows[0]]).all()))


def _detached(values: Any) -> Any:
    if isinstance(values, Tensor):
        return values.detach()
    return tuple(_detached(each) for each in values)


def _probabilities(logits: Tensor, sizes: tuple[int, ...]) -> np.ndarray:
    """Return the probability of every choice, part by part of an action."""
    return _numpy(torch.cat([part.softmax(-1) for part in logits.split(list(sizes))]))


def _deviation(module: Any, log_std: Tensor, latent: Tensor) -> Tensor:
    """Return the standard deviation of each dimension, (1, A)."""
    if module.use_sde:
        return (latent**2 @ module.action_dist.get_std(log_std) ** 2).sqrt()
    return log_std.exp().expand(latent.shape[0], -1)


def _tensors(policy: Any, observation: Any) -> Any:
    return policy.obs_to_tensor(observation)[0]


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)
