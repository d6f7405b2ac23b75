"""Make environments: every environment of this package is made here."""

from __future__ import annotations

import difflib
import importlib
from contextlib import suppress
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from attention_agents.envs.families import (
    FAMILIES,
    UNKNOWN_FAMILY,
    Family,
    MissingExtraError,
    find_adapter,
    find_family,
)
from attention_agents.envs.headless import prepare_headless
from attention_agents.envs.wrappers.flat_history import History
from attention_agents.envs.wrappers.frame_history import FrameHistory, framed_parts
from attention_agents.envs.wrappers.padding import MAX_ENTITIES, pad_sequences
from attention_agents.envs.wrappers.plain_spaces import plain_actions, plain_observations


def make_env(
    env_id: str,
    *,
    render_mode: str | None = None,
    training: bool = False,
    history: int = 0,
    max_entities: int = MAX_ENTITIES,
    max_episode_steps: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
) -> gym.Env:
    """Make an environment whose observations say what their tokens are, for Stable-Baselines3.

    The wrappers, from the inside out: the family's own, the time limit, tables in place of
    sequences and graphs, plain spaces, the history.

    >>> make_env("CartPole-v1").observation_space.tokens.names[2]
    'pole angle'

    Args:
        env_id: a registered id, or `module:Id` for one that importing `module` registers.
        render_mode: as in `gymnasium.make`; "rgb_array" works without a display.
        training: use the signals that the family trains on, where they differ from those it is
            judged by (Atari: clipped rewards, an episode per life).
        history: observe a window of this many steps as tokens; 0 observes the present alone. Of
            pictures, grids and entities, in a Dict too, every frame keeps its patches, cells or
            entities (`envs.wrappers.frame_history`), and the rest of the Dict is of the present;
            other observations become one token per step (`envs.wrappers.flat_history`).
        max_entities: room for the members of each Sequence in the observation, and for the nodes
            and the edges of each Graph (`envs.wrappers.padding`).
        max_episode_steps: truncate episodes after this many steps, whatever the registered limit.
        env_kwargs: further arguments for the environment.

    Raises:
        ValueError: the id is unknown, an argument does not fit, or the observation or action space
            is not supported.
        MissingExtraError: a package is missing (a ValueError that says how to install it).
    """
    if type(history) is not int or history < 0:
        raise ValueError(f"history must be 0 or a number of steps, got {history!r}")
    if max_episode_steps is not None and max_episode_steps < 1:
        raise ValueError(f"max_episode_steps must be at least 1, got {max_episode_steps}")
    prepare_headless()
    family = _register_family(env_id)
    adapter = family.load_adapter()
    arguments = {**(env_kwargs or {}), **adapter.make_kwargs(env_kwargs or {})}
    if render_mode is not None:
        arguments["render_mode"] = render_mode
    if max_episode_steps is not None:
        arguments["max_episode_steps"] = -1  # none inside: steps are counted as the agent sees them
    with family.explain_missing_packages():
        env = _make_bare_env(env_id.rpartition(":")[2], arguments, env_kwargs or {})
        env = adapter.wrap_env(env, training)
    if max_episode_steps is not None:
        env = TimeLimit(env, max_episode_steps)
    env = pad_sequences(env, max_entities)
    env = plain_actions(plain_observations(env, trust_keys=family is not UNKNOWN_FAMILY))
    if history and framed_parts(env.observation_space):
        return FrameHistory(env, history)
    return History(env, history) if history else env


def action_names(env: gym.Env) -> tuple[str, ...] | None:
    """Return a name per discrete action, or per number of a continuous one; None when unknown.

    >>> action_names(make_env("CartPole-v1"))
    ('push left', 'push right')
    """
    names = find_adapter(env).action_names(env)
    space = env.action_space
    count = int(space.n) if isinstance(space, spaces.Discrete) else spaces.flatdim(space)
    return names if names is not None and len(names) == count else None


def _register_family(env_id: str) -> Family:
    """Return the family of an id, with the id registered."""
    module, _, name = env_id.rpartition(":")
    if module:
        if not all(part.isidentifier() for part in module.split(".")):
            raise ValueError(f"{env_id!r} names no module: {module!r}; write module:Id")
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"{env_id!r} names a module that cannot be imported: {error}"
            ) from error
    family = find_family(name)
    family.load_adapter()
    if name not in gym.registry:
        for candidate in FAMILIES:  # some have ids that no pattern matches
            with suppress(MissingExtraError):
                candidate.load_adapter()
        family = find_family(name)
    if name not in gym.registry:
        raise ValueError(f"unknown environment {env_id!r}{_did_you_mean(name)}")
    return family


def _did_you_mean(name: str) -> str:
    by_lower = {env_id.lower(): env_id for env_id in gym.registry}
    close = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    close += [k for k in by_lower if k.startswith(f"{name.lower()}-v")]
    names = list(dict.fromkeys(by_lower[lower] for lower in close))[:3]
    if not names:
        return ". An environment of your own is named module:Id"
    return f"; did you mean {' or '.join(names)}?"


def _make_bare_env(name: str, arguments: dict[str, Any], env_kwargs: dict[str, Any]) -> gym.Env:
    """Make the bare environment; errors over the caller's `env_kwargs` become a ValueError."""
    try:
        return gym.make(name, disable_env_checker=True, **arguments)
    except (gym.error.DependencyNotInstalled, ImportError):
        raise
    except Exception as error:
        if not env_kwargs and not isinstance(error, (gym.error.Error, TypeError)):
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in env_kwargs.items())
        text = " ".join(str(error).split())
        reason = text if " " in text else f"{type(error).__name__} {text}".strip()
        raise ValueError(f"{name} refused {given or 'to be made'}: {reason}") from error
