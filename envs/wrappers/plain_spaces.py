"""Spaces that Stable-Baselines3 takes, from those that it does not.

Observations become a Box, Discrete, MultiDiscrete, MultiBinary or a flat Dict of these. A
`TokenBox` keeps its tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.spaces import TokenBox, is_bytes, is_flat_picture
from attention_agents.envs.tokens.specs import Cells, Features, Patches

Convert = Callable[[Any], Any]


class NamedFeatures(gym.Wrapper):
    """Name the numbers of a vector observation: each is a token of its own.

    >>> env = NamedFeatures(gym.make("Pendulum-v1"), ("cosine", "sine", "angular velocity"))
    >>> env.observation_space.tokens.names[2]
    'angular velocity'

    Raises:
        ValueError: there is not one name per number.
    """

    def __init__(self, env: gym.Env, names: tuple[str, ...]):
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, spaces.Box) or space.shape != (len(names),):
            raise ValueError(f"{len(names)} names need a vector of as many numbers, got {space}")
        self.observation_space = TokenBox(
            space.low, space.high, space.shape, space.dtype, tokens=Features(names)
        )


class Part(NamedTuple):
    """One array of an observation."""

    path: tuple[Any, ...]
    """Keys and indices that lead to it; empty when the observation is one array."""
    space: spaces.Space
    """What it becomes."""
    convert: Convert | None
    """How; None when it stays as it is."""

    @property
    def key(self) -> str:
        """Name in a flat Dict; torch modules allow no dot in names."""
        return "/".join(str(step).replace(".", "_") for step in self.path)

    def of(self, obs: Any) -> Any:
        for step in self.path:
            obs = obs[step]
        return obs if self.convert is None else self.convert(obs)


class PlainObservation(gym.ObservationWrapper):
    """Flatten Tuple and nested Dict observations, and bring their parts into supported form.

    Tuple members are named by their index, members of members by their path: `camera/0`. 64-bit
    floats become 32-bit, Discrete starts at 0, MultiDiscrete, MultiBinary and numbers get one axis.
    Pictures of bytes get their channels first; grey ones without an axis for them get one.

    Raises:
        ValueError: a part of the observation is of an unsupported space.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._parts = parts_of(env.observation_space)
        self._is_dict = isinstance(env.observation_space, (spaces.Dict, spaces.Tuple))
        if self._is_dict:
            members = [(part.key, part.space) for part in self._parts]
            if len(dict(members)) != len(members):
                raise ValueError(f"flattened observation keys clash: {[key for key, _ in members]}")
            self.observation_space = spaces.Dict(members)
        else:
            self.observation_space = self._parts[0].space

    def observation(self, observation: Any) -> Any:
        if self._is_dict:
            return {part.key: part.of(observation) for part in self._parts}
        return self._parts[0].of(observation)


class PlainAction(gym.ActionWrapper):
    """Let Discrete and MultiDiscrete actions count from 0, and tables of choices be vectors."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        space = env.action_space
        self._shape, self._start = space.shape or (), getattr(space, "start", 0)
        self.action_space, _ = _plain(space)

    def action(self, action: Any) -> Any:
        return np.reshape(action, self._shape) + self._start


def plain_observations(env: gym.Env) -> gym.Env:
    """Wrap an environment in `PlainObservation`, if its observation needs it."""
    parts = parts_of(env.observation_space)
    if not parts:
        raise ValueError(f"the observation has no parts: {env.observation_space}")
    as_is = all(part.convert is None and part.key in ("", *part.path) for part in parts)
    return env if as_is else PlainObservation(env)


def plain_actions(env: gym.Env) -> gym.Env:
    """Wrap an environment in `PlainAction`, if its actions need it.

    Raises:
        ValueError: the actions are of an unsupported space.
    """
    space = env.action_space
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        return env if _plain(space)[1] is None else PlainAction(env)
    if isinstance(space, spaces.Box) and space.is_bounded():
        return env
    raise ValueError(
        f"actions of {space} are not supported; supported are Box with finite bounds, Discrete, "
        "MultiDiscrete and MultiBinary"
    )


def parts_of(space: spaces.Space) -> list[Part]:
    """Return the arrays that an observation is made of, in order.

    Raises:
        ValueError: one of them is of an unsupported space.
    """
    return list(_parts(space, ()))


def _parts(space: spaces.Space, path: tuple[Any, ...]) -> Iterator[Part]:
    if isinstance(space, spaces.Dict):
        for key, member in space.spaces.items():
            yield from _parts(member, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for index, member in enumerate(space.spaces):
            yield from _parts(member, (*path, index))
    else:
        yield Part(path, *_plain(space))


def _plain(space: spaces.Space) -> tuple[spaces.Space, Convert | None]:
    if isinstance(space, spaces.Box):
        return _plain_box(space)
    if isinstance(space, spaces.Discrete):
        start = space.start
        return (space, None) if start == 0 else (spaces.Discrete(space.n), lambda x: x - start)
    if isinstance(space, spaces.MultiDiscrete):
        if space.nvec.ndim == 1 and not np.any(space.start):
            return space, None
        start = space.start
        return spaces.MultiDiscrete(space.nvec.reshape(-1)), lambda x: (x - start).reshape(-1)
    if isinstance(space, spaces.MultiBinary):
        if isinstance(space.n, int):
            return space, None
        return spaces.MultiBinary(spaces.flatdim(space)), lambda x: x.reshape(-1)
    raise ValueError(
        f"observations of {space} are not supported; supported are Box, Discrete, MultiDiscrete, "
        "MultiBinary, and Dict and Tuple of these"
    )


def _plain_box(space: spaces.Box) -> tuple[spaces.Box, Convert | None]:
    if is_bytes(space):
        if len(space.shape) == 3 and np.argmin(space.shape) == 2:
            return _picture(space, lambda x: x.transpose(2, 0, 1))
        if is_flat_picture(space):
            return _picture(space, lambda x: x[None])
    shape = space.shape or (1,)
    dtype = {np.dtype(np.float64): np.dtype(np.float32), np.dtype(bool): np.dtype(np.uint8)}.get(
        space.dtype, space.dtype
    )
    if shape == space.shape and dtype == space.dtype:
        return space, None
    with np.errstate(over="ignore"):  # bounds beyond 32 bits become infinite
        low, high = (np.reshape(b, shape).astype(dtype) for b in (space.low, space.high))
    if isinstance(space, TokenBox):
        box: spaces.Box = TokenBox(low, high, shape, dtype, tokens=space.tokens)
    else:
        box = spaces.Box(low, high, shape, dtype)
    return box, lambda x: np.reshape(x, shape).astype(dtype)


def _picture(space: spaces.Box, turn: Convert) -> tuple[spaces.Box, Convert]:
    """Turn a picture as Stable-Baselines3 wants it; done by itself, it would drop the tokens."""
    low, high = turn(space.low), turn(space.high)
    if not isinstance(space, TokenBox):
        return spaces.Box(low, high, low.shape, np.uint8), turn
    tokens = space.tokens
    if not isinstance(tokens, (Patches, Cells)):
        raise ValueError(
            f"a picture of bytes must be cut into patches or cells, got {tokens} for {space}"
        )
    return TokenBox(
        low, high, low.shape, np.uint8, tokens=replace(tokens, channels_first=True)
    ), turn
