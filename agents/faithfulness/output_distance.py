"""What policies say, many answers at a time, and how far two answers lie apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float, Shaped
from torch import Tensor

MOVED = 0.05
"""A number of a continuous action counts as changed from this share of its range on."""


class Said(NamedTuple):
    """The answers of a policy to V questions, with gradient where that is asked for."""

    first: Float[Tensor, "V C"]
    """Log-probabilities of choices, Q values, or means."""
    second: Float[Tensor, "V A"] | None = None
    """Standard deviations; None where there are none."""
    value: Float[Tensor, "V"] | None = None
    """What the critic says; None where it cannot be asked."""

    def rows(self, index: Tensor | slice) -> Said:
        """Return some of the answers."""
        return Said(*(None if part is None else part[index] for part in self))  # type: ignore[arg-type]


class Kind(ABC):
    """A kind of answer."""

    unit: str
    """Of `change`."""

    @abstractmethod
    def change(self, before: Said, after: Said, chosen: Tensor) -> Float[Tensor, "V"]:
        """Return how far the policy has moved, >= 0.

        Args:
            chosen: what was really done, (V, ...).
        """

    @abstractmethod
    def targets(self, said: Said, chosen: Tensor) -> Float[Tensor, "V G"]:
        """Return the numbers that a gradient is taken of."""

    @abstractmethod
    def distribution(self, said: Said) -> Shaped[np.ndarray, "V ..."]:
        """Return it as a recording has it, see `Header.distribution`."""

    @abstractmethod
    def action(self, said: Said) -> Shaped[np.ndarray, "V ..."]:
        """Return the likeliest action, in the environment's units."""

    def scale(self, said: Said) -> float:
        """Return the change that counts as large: how far the policy's answers to different states
        lie apart, or 1 nat."""
        return 1.0

    def moved(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Say which actions are others than before, (V,) bool."""
        return np.any((before != after).reshape(len(before), -1), axis=1)


class Choices(Kind):
    """Probabilities of choices: `KL(p || p_without)`, added up over the parts of an action.

    Args:
        space: Discrete, MultiDiscrete or MultiBinary.
        sizes: choices of each part; off and on of every bit.
    """

    unit = "KL, nats"

    def __init__(self, space: spaces.Space, sizes: tuple[int, ...]):
        self.space, self.sizes = space, list(sizes)

    def said(self, logits: Float[Tensor, "V C"], value: Tensor | None) -> Said:
        """Normalise logits, part by part."""
        parts = [part.log_softmax(-1) for part in logits.split(self.sizes, 1)]
        return Said(torch.cat(parts, 1), None, value)

    def change(self, before: Said, after: Said, chosen: Tensor) -> Float[Tensor, "V"]:
        gap = before.first - after.first
        return (before.first.exp() * gap).sum(1).clamp(min=0)

    def targets(self, said: Said, chosen: Tensor) -> Float[Tensor, "V G"]:
        parts = said.first.split(self.sizes, 1)
        each = chosen.reshape(len(said.first), -1).long().unbind(1)
        logs = [p.gather(1, c[:, None]) for p, c in zip(parts, each, strict=True)]
        return torch.cat(logs, 1).sum(1, keepdim=True)

    def distribution(self, said: Said) -> Shaped[np.ndarray, "V ..."]:
        p = said.first.exp().cpu().numpy().astype(np.float16)
        return p[:, 1::2] if isinstance(self.space, spaces.MultiBinary) else p

    def action(self, said: Said) -> Shaped[np.ndarray, "V ..."]:
        parts = said.first.split(self.sizes, 1)
        best = torch.stack([part.argmax(1) for part in parts], 1).cpu().numpy()
        return best.reshape(len(best), *(self.space.shape or ()))


class QValues(Kind):
    """Q values: the change of that of the chosen action."""

    unit = "change of Q of the chosen action"

    def change(self, before: Said, after: Said, chosen: Tensor) -> Float[Tensor, "V"]:
        return (self.targets(before, chosen) - self.targets(after, chosen))[:, 0].abs()

    def targets(self, said: Said, chosen: Tensor) -> Float[Tensor, "V G"]:
        return said.first.gather(1, chosen.reshape(-1, 1).long())

    def distribution(self, said: Said) -> Shaped[np.ndarray, "V ..."]:
        return said.first.cpu().numpy().astype(np.float32)

    def action(self, said: Said) -> Shaped[np.ndarray, "V ..."]:
        return said.first.argmax(1).cpu().numpy()

    def scale(self, said: Said) -> float:
        """Return the standard deviation of Q over states and actions."""
        return max(float(said.first.std(correction=0)), 1e-8)


class Numbers(Kind):
    """Continuous actions.

    Args:
        policy: its action space and how it squashes.
        squashed: means are of a Gaussian before a tanh.
    """

    def __init__(self, policy: Any, squashed: bool):
        self.space: Any = policy.action_space
        self.squashed, self.scaled = squashed, bool(policy.squash_output)

    def action(self, said: Said) -> Shaped[np.ndarray, "V ..."]:
        rows = self._in_units(said.first)
        return rows.reshape(len(rows), *self.space.shape)

    def distribution(self, said: Said) -> Shaped[np.ndarray, "V ..."]:
        """Return the mean action, and one deviation below and above it, (V, 3, A)."""
        mean = said.first
        std = torch.zeros_like(mean) if said.second is None else said.second
        return np.stack([self._in_units(each) for each in (mean, mean - std, mean + std)], 1)

    def moved(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        low, high = self.space.low, self.space.high
        span = high - low if self.space.is_bounded() else before.std(0) + 1e-8
        shares = np.abs(after - before) / np.where(span > 0, span, 1)
        return np.any((shares > MOVED).reshape(len(before), -1), axis=1)

    def _in_units(self, means: Tensor) -> np.ndarray:
        """Do to means what the policy does to a draw: squash and unscale, or clip."""
        if self.squashed:
            means = means.tanh()
        rows = means.detach().cpu().numpy().astype(np.float32)
        low, high = np.ravel(self.space.low), np.ravel(self.space.high)
        if self.squashed or self.scaled:
            return low + np.float32(0.5) * (rows + 1) * (high - low)
        return np.clip(rows, low, high)


class Gaussians(Numbers):
    """Gaussians: `KL(p || p_without)`, which no squashing afterwards changes."""

    unit = "KL, nats"

    def change(self, before: Said, after: Said, chosen: Tensor) -> Float[Tensor, "V"]:
        p, q = before.second, after.second
        assert p is not None and q is not None, "a Gaussian has a deviation"
        apart = (p**2 + (before.first - after.first) ** 2) / (2 * q**2)
        return (q.log() - p.log() + apart - 0.5).sum(1).clamp(min=0)

    def targets(self, said: Said, chosen: Tensor) -> Float[Tensor, "V G"]:
        """Return the means in units of the deviations."""
        assert said.second is not None
        return said.first / said.second.detach()


class Points(Numbers):
    """Actions without a distribution: the squared change, in units of their range."""

    unit = "squared change of the action, in units of its range"

    def change(self, before: Said, after: Said, chosen: Tensor) -> Float[Tensor, "V"]:
        return (((before.first - after.first) / 2) ** 2).sum(1)

    def targets(self, said: Said, chosen: Tensor) -> Float[Tensor, "V G"]:
        return said.first

    def scale(self, said: Said) -> float:
        """Return the variance of the actions over states, in the same units."""
        return max(float((said.first / 2).var(0, correction=0).sum()), 1e-8)
