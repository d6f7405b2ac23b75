"""Distractors: random numbers beside a vector, a border of random cells around a picture.

What they add says nothing about the task, and comes from random streams of their own, so that the
environment inside plays the same episodes as without them.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Float, UInt8

from attention_agents.envs.tokens.spaces import TokenBox, default_stem
from attention_agents.envs.tokens.specs import Features, Patches


class NoiseStream(gym.ObservationWrapper):
    """A random stream of its own, seeded with the environment."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._noise = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        if seed is not None:
            self._noise = np.random.default_rng([seed, crc32(b"noise")])
        return super().reset(seed=seed, options=options)


class NoiseFeatures(NoiseStream):
    """Append standard normal numbers, new at every step.

    Observation: (F + count,) float32, the environment's own numbers first.

    >>> NoiseFeatures(gym.make("CartPole-v1"), 60).observation_space.shape
    (64,)
    """

    def __init__(self, env: gym.Env, count: int = 60):
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise ValueError(f"noise features need a vector beside them, got {space}")
        self.count = count
        tokens = getattr(space, "tokens", None)
        real = tokens.names if isinstance(tokens, Features) else _names("x", space.shape[0])
        low = np.append(space.low, np.full(count, -np.inf)).astype(np.float32)
        high = np.append(space.high, np.full(count, np.inf)).astype(np.float32)
        features = Features((*real, *_names("noise ", count)))
        self.observation_space = TokenBox(low, high, low.shape, tokens=features)

    def observation(self, observation: Float[np.ndarray, "F"]) -> Float[np.ndarray, "F+N"]:
        noise = self._noise.standard_normal(self.count, np.float32)
        return np.concatenate((observation.astype(np.float32), noise))


class NoiseBorder(NoiseStream):
    """Surround a picture of planes with random cells, new at every step.

    Observation: (rows + 2 width, cols + 2 width, C) uint8, each bit of the border 1 with a
    probability of `rate`.
    """

    def __init__(self, env: gym.Env, width: int = 2, rate: float = 0.2):
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 3:
            raise ValueError(f"a border of noise needs a picture inside, got {space}")
        self.width, self.rate = width, rate
        rows, cols, planes = space.shape
        rows, cols = rows + 2 * width, cols + 2 * width
        tokens = Patches(rows, cols, planes, default_stem(rows, cols), channels_first=False)
        self.observation_space = TokenBox(0, 1, (rows, cols, planes), np.uint8, tokens=tokens)

    def observation(self, observation: UInt8[np.ndarray, "R W C"]) -> UInt8[np.ndarray, "R2 W2 C"]:
        shape = self.observation_space.shape
        picture = (self._noise.random(shape, np.float32) < self.rate).astype(np.uint8)
        inside = slice(self.width, -self.width)
        picture[inside, inside] = observation
        return picture


def _names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{i}" for i in range(count))
