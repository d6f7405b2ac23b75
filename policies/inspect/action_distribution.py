"""What policies decide by: probabilities, Gaussians, Q values or bare actions, V states at a time.

One class for each kind of output. It knows the likeliest action, the numbers that a recording
holds, and how far two outputs lie apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

INVALID_LOGIT = -1e8
"""Logit of a choice that is not valid, as MaskablePPO and pointers give it."""
CHANGED_SHARE = 0.05
"""A number of a continuous action counts as changed from this share of its range on."""


class PolicyOutputs(NamedTuple):
    """What a policy's networks give for V states, with gradient where that is wanted."""

    params: Float[Tensor, "V C"]
    """Logits, Q values, or means."""
    std: Float[Tensor, "V A"] | None = None
    """Standard deviations; None where there are none."""
    value: Float[Tensor, "V"] | None = None
    """The critic's value, or the largest Q value; None where it is not known."""
    unsquashed: Float[Tensor, "V A"] | None = None
    """Means before the squashing that `params` have gone through; None where they have not."""

    def select_states(self, index: Tensor | slice) -> PolicyOutputs:
        """Return the outputs for some of the states."""
        return PolicyOutputs(*(None if part is None else part[index] for part in self))  # type: ignore[arg-type]

    @classmethod
    def concatenate(cls, batches: Sequence[PolicyOutputs]) -> PolicyOutputs:
        """Return the outputs for several batches of states as one batch."""
        columns: list[tuple[Any, ...]] = list(zip(*batches, strict=True))
        return cls(*(None if column[0] is None else torch.cat(column) for column in columns))  # type: ignore[arg-type]


class ActionDistributionKind(ABC):
    """A kind of distribution over actions, or of what stands in its place."""

    name: Literal["probabilities", "gaussian", "q_values"]
    """As in the header of a recording."""
    unit: str
    """Of `distance`."""
    margin_text: str
    """What `margins` are, in words."""
    is_choice = True
    """Whether margins say how much an action was preferred; else they are its own numbers."""

    @property
    @abstractmethod
    def components(self) -> int:
        """M, the parts of an action that are explained one by one."""

    @abstractmethod
    def margins(self, outputs: PolicyOutputs, actions: Tensor) -> Float[Tensor, "V M"]:
        """Return by how much the policy preferred the action taken, part by part of it.

        With gradient where outputs have one.

        Args:
            actions: that were taken, (V, ...).

        Returns:
            NaN where a part had one valid choice alone, or was not chosen among the valid ones.
        """

    @abstractmethod
    def distribution(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        """Return the numbers that a recording holds, float32, see `Header.distribution`."""

    def compact_distribution(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        """Return the numbers that scores hold, for every state and token."""
        return self.distribution(outputs)

    @abstractmethod
    def likeliest_actions(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        """Return the likeliest actions in the environment's units."""

    @abstractmethod
    def distance(self, before: PolicyOutputs, after: PolicyOutputs, actions: Tensor) -> Tensor:
        """Return how far two outputs lie apart, (V,), >= 0.

        Args:
            actions: that were taken, (V, ...).
        """

    def distance_scale(self, outputs: PolicyOutputs) -> float:
        """Return the distance that counts as large: between different states, or 1 nat."""
        return 1.0

    @abstractmethod
    def gradient_targets(self, outputs: PolicyOutputs, actions: Tensor) -> Float[Tensor, "V G"]:
        """Return the numbers whose gradient explains the actions that were taken."""

    def actions_changed(self, before: np.ndarray, after: np.ndarray) -> Bool[np.ndarray, "V"]:
        """Return which actions differ from those before."""
        return np.any((before != after).reshape(len(before), -1), axis=1)


class CategoricalActions(ActionDistributionKind):
    """Probabilities of choices: `KL(p || q)`, added up over the parts of an action.

    Args:
        space: Discrete, MultiDiscrete or MultiBinary.
        bernoulli: `params` hold one logit for each bit, that of a 1, not one for each choice.
    """

    name, unit = "probabilities", "KL, nats"
    margin_text = "logit of the action taken, less the log-sum-exp of the other valid ones"

    def __init__(self, space: spaces.Space, bernoulli: bool):
        self.space, self.sizes, self.bernoulli = space, list(choice_sizes(space)), bernoulli
        self._of_bits = slice(1, None, 2) if isinstance(space, spaces.MultiBinary) else slice(None)

    @property
    def components(self) -> int:
        return len(self.sizes)

    def margins(self, outputs: PolicyOutputs, actions: Tensor) -> Float[Tensor, "V M"]:
        """Return `logit(chosen) - log(sum(exp(logits of the other valid choices)))`."""
        parts = self._logits(outputs).split(self.sizes, 1)
        choices = actions.reshape(len(outputs.params), -1).long().unbind(1)
        rivals = [_rivals(part, choice) for part, choice in zip(parts, choices, strict=True)]
        return torch.stack([r.chosen - r.others.logsumexp(1) for r in rivals], 1)

    def _logits(self, outputs: PolicyOutputs) -> Float[Tensor, "V C"]:
        """Return a logit for every choice, those of the bits 0 and 1 too."""
        if not self.bernoulli:
            return outputs.params
        logits = outputs.params
        return torch.stack([torch.zeros_like(logits), logits], 2).flatten(1)  # (V, 2 A)

    def log_probabilities(self, outputs: PolicyOutputs) -> Float[Tensor, "V C"]:
        """Return the log-probability of every choice, part by part of an action."""
        parts = self._logits(outputs).split(self.sizes, 1)
        return torch.cat([part.log_softmax(-1) for part in parts], 1)

    def distribution(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        if self.bernoulli:
            return _float32(outputs.params.sigmoid())
        parts = [part.softmax(-1) for part in outputs.params.split(self.sizes, 1)]
        return _float32(torch.cat(parts, 1))[:, self._of_bits]

    def compact_distribution(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        """Return probabilities as float16."""
        p = self.log_probabilities(outputs).exp().cpu().numpy().astype(np.float16)
        return p[:, self._of_bits]

    def likeliest_actions(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        parts = self.log_probabilities(outputs).split(self.sizes, 1)
        best = torch.stack([part.argmax(1) for part in parts], 1).cpu().numpy()
        return best.reshape(len(best), *(self.space.shape or ()))

    def distance(self, before: PolicyOutputs, after: PolicyOutputs, actions: Tensor) -> Tensor:
        log_p, log_q = self.log_probabilities(before), self.log_probabilities(after)
        return (log_p.exp() * (log_p - log_q)).sum(1).clamp(min=0)

    def gradient_targets(self, outputs: PolicyOutputs, actions: Tensor) -> Float[Tensor, "V G"]:
        """Return the log-probability of the action."""
        parts = self.log_probabilities(outputs).split(self.sizes, 1)
        choices = actions.reshape(len(outputs.params), -1).long().split(1, 1)
        logs = [part.gather(1, choice) for part, choice in zip(parts, choices, strict=True)]
        return torch.cat(logs, 1).sum(1, keepdim=True)


class QValues(ActionDistributionKind):
    """Q values of every action: the change of that of the action taken."""

    name, unit = "q_values", "change of Q of the chosen action"
    margin_text = "Q value of the action taken, less the best other one"

    @property
    def components(self) -> int:
        return 1

    def margins(self, outputs: PolicyOutputs, actions: Tensor) -> Float[Tensor, "V M"]:
        """Return `Q(chosen) - max(Q of the others)`."""
        rivals = _rivals(outputs.params, actions.reshape(-1).long())
        return (rivals.chosen - rivals.others.amax(1))[:, None]

    def distribution(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        return _float32(outputs.params)

    def likeliest_actions(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        return outputs.params.argmax(1).cpu().numpy()

    def distance(self, before: PolicyOutputs, after: PolicyOutputs, actions: Tensor) -> Tensor:
        q, q_after = self.gradient_targets(before, actions), self.gradient_targets(after, actions)
        return (q - q_after)[:, 0].abs()

    def distance_scale(self, outputs: PolicyOutputs) -> float:
        """Return the standard deviation of Q over states and actions."""
        return max(float(outputs.params.std(correction=0)), 1e-8)

    def gradient_targets(self, outputs: PolicyOutputs, actions: Tensor) -> Float[Tensor, "V G"]:
        return outputs.params.gather(1, actions.reshape(-1, 1).long())


class ContinuousActions(ActionDistributionKind):
    """Continuous actions.

    Args:
        space: of the actions.
        tanh: means are those of a Gaussian before a tanh.
        scaled: actions of the network run from -1 to 1, not over the range of the space.
    """

    name = "gaussian"
    margin_text = "mean of the action before it is squashed: above 0 a token raises it"
    is_choice = False

    def __init__(self, space: Any, *, tanh: bool, scaled: bool):
        self.space, self.tanh, self.scaled = space, tanh, scaled

    @property
    def components(self) -> int:
        return spaces.flatdim(self.space)

    def margins(self, outputs: PolicyOutputs, actions: Tensor) -> Float[Tensor, "V M"]:
        """Return each number of the mean action before it is squashed, whatever was taken."""
        return outputs.params if outputs.unsquashed is None else outputs.unsquashed

    def likeliest_actions(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        rows = self._to_environment_units(outputs.params)
        return rows.reshape(len(rows), *self.space.shape)

    def distribution(self, outputs: PolicyOutputs) -> Shaped[np.ndarray, "V ..."]:
        """Return the mean action, and one deviation below and above it, (V, 3, A)."""
        mean = outputs.params
        std = torch.zeros_like(mean) if outputs.std is None else outputs.std
        return self._to_environment_units(torch.stack([mean, mean - std, mean + std], 1))

    def actions_changed(self, before: np.ndarray, after: np.ndarray) -> Bool[np.ndarray, "V"]:
        low, high = self.space.low, self.space.high
        span = high - low if self.space.is_bounded() else before.std(0) + 1e-8
        shares = np.abs(after - before) / np.where(span > 0, span, 1)
        return np.any((shares > CHANGED_SHARE).reshape(len(before), -1), axis=1)

    def _to_environment_units(self, means: Tensor) -> np.ndarray:
        """Do to means what the policy does to an action: squash and unscale, or clip."""
        rows = _float32(means.tanh() if self.tanh else means)
        low, high = np.ravel(self.space.low), np.ravel(self.space.high)
        if self.scaled:
            return low + np.float32(0.5) * (rows + 1) * (high - low)
        return np.clip(rows, low, high)


class GaussianActions(ContinuousActions):
    """Gaussians: `KL(p || q)`, which no squashing afterwards changes."""

    unit = "KL, nats"

    def distance(self, before: PolicyOutputs, after: PolicyOutputs, actions: Tensor) -> Tensor:
        p, q = before.std, after.std
        assert p is not None and q is not None, "a Gaussian has a deviation"
        quadratic = (p**2 + (before.params - after.params) ** 2) / (2 * q**2)
        return (q.log() - p.log() + quadratic - 0.5).sum(1).clamp(min=0)

    def gradient_targets(self, outputs: PolicyOutputs, actions: Tensor) -> Float[Tensor, "V G"]:
        """Return the means in units of the deviations."""
        assert outputs.std is not None, "a Gaussian has a deviation"
        return outputs.params / outputs.std.detach()


class DeterministicActions(ContinuousActions):
    """Actions without a distribution: the squared change, in units of their range."""

    unit = "squared change of the action, in units of its range"

    def distance(self, before: PolicyOutputs, after: PolicyOutputs, actions: Tensor) -> Tensor:
        return (((before.params - after.params) / 2) ** 2).sum(1)

    def distance_scale(self, outputs: PolicyOutputs) -> float:
        """Return the variance of the actions over states, in the same units."""
        return max(float((outputs.params / 2).var(0, correction=0).sum()), 1e-8)

    def gradient_targets(self, outputs: PolicyOutputs, actions: Tensor) -> Float[Tensor, "V G"]:
        return outputs.params


class _Rivals(NamedTuple):
    """One part of an action, and what it was chosen from."""

    chosen: Float[Tensor, "V"]
    """NaN where nothing else was valid, or it was itself not valid."""
    others: Float[Tensor, "V C"]
    """-inf in the place of the chosen one and of those that are not valid."""


def _rivals(values: Float[Tensor, "V C"], choices: Tensor) -> _Rivals:
    """Set the chosen one of several values apart; where nothing is valid, all the others stay."""
    is_chosen = torch.zeros_like(values, dtype=torch.bool).scatter_(1, choices[:, None], True)
    invalid = values <= INVALID_LOGIT
    rivals = ~is_chosen & ~invalid
    defined = rivals.any(1) & ~(invalid & is_chosen).any(1)
    chosen = torch.where(defined, values.gather(1, choices[:, None])[:, 0], torch.nan)
    shown = rivals | ~defined[:, None]  # an empty row would give gradients of NaN
    return _Rivals(chosen, torch.where(shown, values, -torch.inf))


def choice_sizes(space: spaces.Space) -> tuple[int, ...]:
    """Return the number of choices of each part of a discrete action; off and on of every bit."""
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(n) for n in space.nvec.ravel())
    return (2,) * spaces.flatdim(space)


def _float32(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)
