"""Asking policies for everything they say, many states at a time, gradient included.

One reader for each way in which policies of SB3 and sb3-contrib are made. A reader may be asked
while tokens are removed: then the B states that go in come out as V variants.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any, Protocol

import torch
from gymnasium import spaces
from torch import Tensor

from attention_agents.agents.faithfulness.output_distance import (
    Choices,
    Gaussians,
    Kind,
    Points,
    QValues,
    Said,
)
from attention_agents.agents.faithfulness.recorded_states import Memory, Observed, States
from attention_agents.policies.inspect.policy_adapter import INVALID_LOGIT as INVALID
from attention_agents.policies.sb3.pointer import Pointing

AT_ONCE = 64
"""States whose memory is computed at a time."""


class Reader(Protocol):
    """How to ask a policy."""

    kind: Kind
    masked: bool
    """Whether it heeds which actions are valid."""

    def ask(self, states: States, rows: Tensor) -> Said:
        """Return what the policy says.

        Args:
            states: B of them.
            rows: (V,), of which state each answer is: 0 to B - 1, unless tokens are removed.
        """
        ...

    def remembering(self, states: States) -> States:
        """Add what the policy remembers in each of the states, which are a whole episode."""
        ...


def reader_of(policy: Any) -> Reader:
    """Choose how to ask a policy, by the networks that it has.

    Raises:
        ValueError: it is made in a way that is not known.
    """
    networks = dict(policy.named_children())
    if "q_net" in networks or "quantile_net" in networks:
        return QReader(policy)
    if "actor" in networks and "critic" in networks:
        return ActorReader(policy)
    if "lstm_actor" in networks:
        return RecurrentReader(policy)
    if "mlp_extractor" in networks and "action_net" in networks:
        return ActorCriticReader(policy)
    raise ValueError(
        f"{type(policy).__name__} is made in a way that is not known, so it cannot be asked with "
        "tokens removed; the policies of Stable-Baselines3 and sb3-contrib can"
    )


class ActorCriticReader:
    """PPO, A2C, TRPO and MaskablePPO."""

    def __init__(self, policy: Any):
        self.policy, space = policy, policy.action_space
        self.masked = "action_masks" in inspect.signature(policy.forward).parameters
        self.kind: Kind = _kind(policy, space)
        self._doubled = isinstance(space, spaces.MultiBinary) and not self.masked

    def ask(self, states: States, rows: Tensor) -> Said:
        acting, judging = _both(self.policy.extract_features(states.observed))
        return self._said(acting, judging, states, rows)

    def remembering(self, states: States) -> States:
        return states

    def _said(self, acting: Tensor, judging: Tensor, states: States, rows: Tensor) -> Said:
        policy = self.policy
        latent = policy.mlp_extractor.forward_actor(acting)
        value = policy.value_net(policy.mlp_extractor.forward_critic(judging))[:, 0]
        first = policy.action_net(latent)  # (V, C): logits, or means
        if isinstance(self.kind, Gaussians):
            return Said(first, deviation(policy, policy.log_std, latent, first), value)
        assert isinstance(self.kind, Choices)
        if self._doubled:
            first = torch.stack([torch.zeros_like(first), first], 2).flatten(1)
        if states.valid is not None:
            first = torch.where(states.valid[rows], first, INVALID)
        if isinstance(policy, Pointing) and policy.action_net.listeners:
            policy.action_net.told(first.softmax(-1), latent)
        return self.kind.said(first, value)


class RecurrentReader(ActorCriticReader):
    """RecurrentPPO: what was remembered before the step is the same whatever is removed in it."""

    def ask(self, states: States, rows: Tensor) -> Said:
        assert states.memory is not None, "a recurrent policy is asked with its memory"
        acting, judging = _both(self.policy.extract_features(states.observed))
        acting, judging, _ = self._carried(acting, judging, _at(states.memory, rows))
        return self._said(acting, judging, states, rows)

    def remembering(self, states: States) -> States:
        """Replay the episode, whose first state has an empty memory."""
        lstm, kept = self.policy.lstm_actor, []
        blank = torch.zeros(lstm.num_layers, 1, lstm.hidden_size, device=self.policy.device)
        memory: Memory = (blank,) * (2 if self.policy.lstm_critic is None else 4)
        with torch.no_grad():
            for start in range(0, len(states), AT_ONCE):
                some = states[start : start + AT_ONCE].observed
                acting, judging = _both(self.policy.extract_features(some))
                for t in range(len(acting)):
                    kept.append(memory)
                    *_, memory = self._carried(acting[t : t + 1], judging[t : t + 1], memory)
        joined = tuple(torch.cat(parts, 1) for parts in zip(*kept, strict=True))
        return replace(states, memory=joined)

    def _carried(
        self, acting: Tensor, judging: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor, Memory]:
        """Return what the LSTMs, or what there is in their place, make of features (V, F)."""
        policy = self.policy
        (read,), own = policy.lstm_actor(acting[None], memory[:2])
        if policy.lstm_critic is not None:
            (judged,), other = policy.lstm_critic(judging[None], memory[2:])
            return read, judged, (*own, *other)
        return read, read if policy.shared_lstm else policy.critic(judging), tuple(own)


class QReader:
    """DQN and QR-DQN."""

    masked = False

    def __init__(self, policy: Any):
        networks = dict(policy.named_children())
        self.net: Any = networks.get("q_net", networks.get("quantile_net"))
        self.quantiles = "quantile_net" in networks
        self.kind: Kind = QValues()

    def ask(self, states: States, rows: Tensor) -> Said:
        values = self.net(states.observed)
        q = values.mean(1) if self.quantiles else values  # (V, A)
        return Said(q, None, q.amax(1))

    def remembering(self, states: States) -> States:
        return states


class ActorReader:
    """SAC, TD3 and their kin: the critic judges the action that was really taken."""

    masked = False

    def __init__(self, policy: Any):
        self.policy = policy
        self.drawn = "latent_pi" in dict(policy.actor.named_children())
        self.kind: Kind = Gaussians(policy, True) if self.drawn else Points(policy, False)
        space = policy.action_space
        self._low, self._high = (
            torch.as_tensor(bound, dtype=torch.float32, device=policy.device)
            for bound in (space.low, space.high)
        )

    def ask(self, states: States, rows: Tensor) -> Said:
        actor = self.policy.actor
        value = self._value(states, rows)
        if not self.drawn:
            return Said(actor(states.observed), None, value)
        mean, log_std, latent = actor.get_action_dist_params(states.observed)
        if not actor.use_sde:
            return Said(mean, log_std.exp(), value)
        return Said(mean, deviation(actor, log_std, latent["latent_sde"], mean), value)

    def remembering(self, states: States) -> States:
        return states

    def _value(self, states: States, rows: Tensor) -> Tensor:
        taken = 2 * (states.chosen - self._low) / (self._high - self._low) - 1
        judged = self.policy.critic(states.observed, taken.float()[rows])
        if isinstance(judged, tuple):
            return torch.cat(judged, 1).amin(1).detach()
        return judged.flatten(1).mean(1).detach()  # TQC: (V, critics, quantiles)


def deviation(module: Any, log_std: Tensor, latent: Tensor, mean: Tensor) -> Tensor:
    """Return the standard deviation of each number of an action, (V, A)."""
    if module.use_sde:
        return (latent**2 @ module.action_dist.get_std(log_std) ** 2).sqrt()
    return log_std.exp().expand_as(mean)


def _kind(policy: Any, space: spaces.Space) -> Kind:
    if isinstance(space, spaces.Box):
        return Gaussians(policy, bool(policy.squash_output))
    if isinstance(space, spaces.Discrete):
        return Choices(space, (int(space.n),))
    if isinstance(space, spaces.MultiDiscrete):
        return Choices(space, tuple(int(n) for n in space.nvec.ravel()))
    return Choices(space, (2,) * spaces.flatdim(space))


def _both(features: Observed | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the features of the actor and of the critic, which may be the same."""
    if isinstance(features, tuple):
        return features
    assert isinstance(features, Tensor)
    return features, features


def _at(memory: Memory, rows: Tensor) -> Memory:
    return tuple(part[:, rows] for part in memory)
