"""Spaces that Stable-Baselines3 takes, from those that it does not.

Observations become a Box, Discrete, MultiDiscrete, MultiBinary or a flat Dict of these. A
`TokenBox` keeps its tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.spaces import (
    CHOICE_SPACES,
    TokenBox,
    is_bytes,
    is_flat_picture,
    make_box,
)
from attention_agents.envs.tokens.specs import Cells, Features, Patches
from attention_agents.envs.wrappers.space_tree import Path, get_at_path, iterate_leaves

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


class ObservationPart(NamedTuple):
    """One array of an observation."""

    path: Path
    """Keys and indices that lead to it; empty when the observation is one array."""
    space: spaces.Space
    """What it becomes."""
    convert: Convert | None
    """How; None when it stays as it is."""

    @property
    def key(self) -> str:
        """Name in a flat Dict; torch modules allow no dot in names."""
        return "/".join(str(step).replace(".", "_") for step in self.path)

    def extract_from(self, obs: Any) -> Any:
        """Return the array, converted, of an observation."""
        value = get_at_path(obs, self.path)
        return value if self.convert is None else self.convert(value)


class PlainObservation(gym.ObservationWrapper):
    """Flatten Tuple and nested Dict observations, and bring their parts into supported form.

    Tuple members are named by their index, members of members by their path: `camera/0`. 64-bit
    floats become 32-bit, Discrete starts at 0, MultiDiscrete, MultiBinary and numbers get one axis.
    Pictures of bytes get their channels first; gray ones without an axis for them get one.

    Raises:
        ValueError: a part of the observation is of an unsupported space.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._parts = observation_parts(env.observation_space)
        self._is_dict = isinstance(env.observation_space, (spaces.Dict, spaces.Tuple))
        members = [(part.key, part.space) for part in self._parts]
        if len(dict(members)) != len(members):
            raise ValueError(f"flattened observation keys clash: {[key for key, _ in members]}")
        self.observation_space = spaces.Dict(members) if self._is_dict else members[0][1]

    def observation(self, observation: Any) -> Any:
        values = {part.key: part.extract_from(observation) for part in self._parts}
        return values if self._is_dict else values[""]


class PlainAction(gym.ActionWrapper):
    """Let Discrete and MultiDiscrete actions count from 0, and tables of choices be vectors."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        space = env.action_space
        self._shape, self._start = space.shape or (), getattr(space, "start", 0)
        self.action_space, _ = _convert_space(space)

    def action(self, action: Any) -> Any:
        return np.reshape(action, self._shape) + self._start


def plain_observations(env: gym.Env, trust_keys: bool = True) -> gym.Env:
    """Wrap an environment in `PlainObservation`, if its observation needs it.

    Args:
        env: any environment.
        trust_keys: whether a Dict observation has the keys of its space alone; where it has more,
            `PlainObservation` leaves them out, as Stable-Baselines3 does in training.
    """
    parts = observation_parts(env.observation_space)
    if not parts:
        raise ValueError(f"the observation has no parts: {env.observation_space}")
    is_plain = all(part.convert is None and part.key in ("", *part.path) for part in parts)
    trusted = trust_keys or not isinstance(env.observation_space, spaces.Dict)
    return env if is_plain and trusted else PlainObservation(env)


def plain_actions(env: gym.Env) -> gym.Env:
    """Wrap an environment in `PlainAction`, if its actions need it.

    Raises:
        ValueError: the actions are of an unsupported space.
    """
    space = env.action_space
    if isinstance(space, CHOICE_SPACES):
        return env if _convert_space(space)[1] is None else PlainAction(env)
    if isinstance(space, spaces.Box) and space.is_bounded():
        return env
    raise ValueError(
        f"actions of {space} are not supported; supported are Box with finite bounds, Discrete, "
        "MultiDiscrete and MultiBinary"
    )


def observation_parts(space: spaces.Space) -> list[ObservationPart]:
    """Return the arrays that an observation is made of, in order.

    Raises:
        ValueError: one of them is of an unsupported space.
    """
    return [ObservationPart(path, *_convert_space(leaf)) for path, leaf in iterate_leaves(space)]


def _convert_space(space: spaces.Space) -> tuple[spaces.Space, Convert | None]:
    if isinstance(space, spaces.Box):
        return _convert_box(space)
    start: Any = getattr(space, "start", 0)
    if isinstance(space, spaces.Discrete):
        return (space, None) if start == 0 else (spaces.Discrete(space.n), lambda x: x - start)
    if isinstance(space, spaces.MultiDiscrete):
        if space.nvec.ndim == 1 and not np.any(start):
            return space, None
        return spaces.MultiDiscrete(space.nvec.reshape(-1)), lambda x: (x - start).reshape(-1)
    if isinstance(space, spaces.MultiBinary):
        if isinstance(space.n, int):
            return space, None
        return spaces.MultiBinary(spaces.flatdim(space)), lambda x: x.reshape(-1)
    raise ValueError(
        f"observations of {space} are not supported; supported are Box, Discrete, MultiDiscrete, "
        "MultiBinary, and Dict and Tuple of these"
    )


PLAIN_DTYPES = {np.dtype(np.float64): np.dtype(np.float32), np.dtype(bool): np.dtype(np.uint8)}


def _convert_box(space: spaces.Box) -> tuple[spaces.Box, Convert | None]:
    if is_bytes(space):
        if len(space.shape) == 3 and np.argmin(space.shape) == 2:
            return _convert_picture(space, lambda x: x.transpose(2, 0, 1))
        if is_flat_picture(space):
            return _convert_picture(space, lambda x: x[None])
    shape, dtype = space.shape or (1,), PLAIN_DTYPES.get(space.dtype, space.dtype)
    if shape == space.shape and dtype == space.dtype:
        return space, None
    with np.errstate(over="ignore"):  # bounds beyond 32 bits become infinite
        low, high = (np.reshape(b, shape).astype(dtype) for b in (space.low, space.high))
    box = make_box(low, high, getattr(space, "tokens", None))
    return box, lambda x: np.reshape(x, shape).astype(dtype)


def _convert_picture(space: spaces.Box, turn: Convert) -> tuple[spaces.Box, Convert]:
    """Turn a picture as Stable-Baselines3 wants it; done by itself, it would drop the tokens."""
    tokens = getattr(space, "tokens", None)
    if isinstance(tokens, (Patches, Cells)):
        tokens = replace(tokens, channels_first=True)
    elif tokens is not None:
        raise ValueError(
            f"a picture of bytes must be cut into patches or cells, got {tokens} for {space}"
        )
    return make_box(turn(space.low), turn(space.high), tokens), turn
