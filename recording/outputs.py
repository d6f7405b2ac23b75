"""How a policy judged its actions, read from the features of the pass that chose one.

Stable-Baselines3's heads are applied once more to the extractor's stored output: no second pass
of the extractor, no random number, and nothing is written to the policy.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from recording.format import ActionKind, Distribution


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
    if "mlp_extractor" in networks and not any(name.startswith("lstm") for name in networks):
        return ActorCriticHeads(policy)
    return UnknownHeads(policy)


class UnknownHeads:
    """A policy that cannot be read from its features alone: nothing is said."""

    def __init__(self, policy: Any):
        continuous = isinstance(policy.action_space, spaces.Box)
        self.distribution: Distribution = "gaussian" if continuous else "probabilities"

    def judge(self, features: dict[str, Tensor], observation: Any, action: np.ndarray) -> Judgement:
        return Judgement(None, None)


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
    """PPO and A2C: a distribution over actions and a state value."""

    def __init__(self, policy: Any):
        self.policy, self.space = policy, policy.action_space
        continuous = isinstance(self.space, spaces.Box)
        self.distribution: Distribution = "gaussian" if continuous else "probabilities"

    def judge(self, features: dict[str, Tensor], observation: Any, action: np.ndarray) -> Judgement:
        policy = self.policy
        latent = policy.mlp_extractor.forward_actor(features["actor"])
        means = policy.action_net(latent)  # (1, A): means, or logits
        if self.distribution == "gaussian":
            std = _deviation(policy, policy.log_std, latent)
            said = gaussian(policy, means, std, squashed=policy.squash_output)
        elif isinstance(self.space, spaces.MultiBinary):
            said = _numpy(means[0].sigmoid())
        else:
            sizes = action_sizes(self.space)
            said = _numpy(torch.cat([part.softmax(-1) for part in means[0].split(list(sizes))]))
        return Judgement(said, self._value(features, observation))

    def _value(self, features: dict[str, Tensor], observation: Any) -> float:
        if self.policy.share_features_extractor:
            features = {"critic": features["actor"]}
        if "critic" not in features:
            return float(self.policy.predict_values(_tensors(self.policy, observation)))
        latent = self.policy.mlp_extractor.forward_critic(features["critic"])
        return float(self.policy.value_net(latent))


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


def _deviation(module: Any, log_std: Tensor, latent: Tensor) -> Tensor:
    """Return the standard deviation of each dimension, (1, A)."""
    if module.use_sde:
        return (latent**2 @ module.action_dist.get_std(log_std) ** 2).sqrt()
    return log_std.exp().expand(latent.shape[0], -1)


def _tensors(policy: Any, observation: Any) -> Any:
    return policy.obs_to_tensor(observation)[0]


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)
