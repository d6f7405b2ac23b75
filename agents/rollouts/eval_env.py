"""The environment that a run is judged in: with the signals of its task, not those of training."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import TimeLimit

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.config.validation import first_line
from attention_agents.envs.families import family_name
from attention_agents.envs.make import make_env

MAX_EPISODE_STEPS = 10_000
"""Longest episode, in steps of the agent, where neither the run nor the environment sets a limit.

Atari needs none: its emulator ends an episode after 108,000 frames.
"""


def make_eval_env(config: RunConfig, render_mode: str | None = None) -> gym.Env:
    """Make the environment of a run as it is outside of training; its episodes come to an end."""
    env = make_env(
        config.env,
        render_mode=render_mode,
        history=config.history,
        max_entities=config.max_entities,
        max_episode_steps=config.max_episode_steps,
        env_kwargs=dict(config.env_kwargs),
    )
    if step_limit(env) is None and family_name(config.env) != "atari":
        return TimeLimit(env, MAX_EPISODE_STEPS)
    return env


def make_rendering_env(config: RunConfig, warn: Callable[[str], Any]) -> gym.Env:
    """Make a run's `make_eval_env` so that it gives frames, or plain where it has none.

    Args:
        config: the run.
        warn: called with a line on why there are no frames, when they cannot be drawn here.
    """
    env = make_eval_env(config)
    if "rgb_array" not in (env.metadata.get("render_modes") or ()):
        return env
    env.close()
    try:
        env = make_eval_env(config, render_mode="rgb_array")
        env.reset(seed=0)
        env.render()
        return env
    except Exception as error:  # every package and driver fails in a way of its own
        warn(f"no frames of {config.env}, its observations are drawn instead: {first_line(error)}")
    with suppress(Exception):
        env.close()
    return make_eval_env(config)


def step_limit(env: gym.Env) -> int | None:
    """Return after how many steps an episode is truncated; None where no wrapper does that."""
    return None if env.spec is None else env.spec.max_episode_steps


def check_env_trusted(config: RunConfig, named: str | None) -> None:
    """Refuse to import a module only because a run folder names it.

    Args:
        config: a run, perhaps a stranger's.
        named: the environment's id as the caller knows it; None when he did not say.

    Raises:
        ValueError: the id is `module:Id` and the caller did not name it, or he named another.
    """
    module = config.env.rpartition(":")[0]
    if named is None and module:
        raise ValueError(
            f"this run imports the module {module!r} for its environment; if you trust that "
            f"module, add --env {shlex.quote(config.env)}"
        )
    if named is not None and named != config.env:
        raise ValueError(f"this run is of the environment {config.env!r}, got --env {named!r}")
