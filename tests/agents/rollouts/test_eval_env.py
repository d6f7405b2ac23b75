"""The environment a run is judged in: it ends, it draws, and it imports what was named."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.rollouts import eval_env as module
from attention_agents.agents.rollouts.episodes import RandomActor, play_episodes
from attention_agents.agents.rollouts.eval_env import (
    check_env_trusted,
    make_eval_env,
    make_rendering_env,
    step_limit,
)


def run_of(env: str, **changes: Any) -> RunConfig:
    return RunConfig(env=env, algo="ppo", n_timesteps=64, seed=0, n_envs=1, **changes)


def test_every_episode_comes_to_an_end(monkeypatch) -> None:
    assert step_limit(make_eval_env(run_of("CliffWalking-v1"))) == 10_000
    monkeypatch.setattr(module, "MAX_EPISODE_STEPS", 23)
    env = make_eval_env(run_of("CliffWalking-v1"))  # nothing ends it but the goal
    episodes = play_episodes([env], RandomActor(env.action_space), range(3))
    assert [episode.length for episode in episodes] == [23, 23, 23]


def test_the_limit_of_the_run_comes_before_that_of_the_environment() -> None:
    assert step_limit(make_eval_env(run_of("CartPole-v1"))) == 500
    env = make_eval_env(run_of("CartPole-v1", max_episode_steps=7))
    assert step_limit(env) == 7
    episodes = play_episodes([env], RandomActor(env.action_space), range(5))
    assert max(episode.length for episode in episodes) == 7


def test_atari_ends_by_itself() -> None:
    pytest.importorskip("ale_py")
    assert step_limit(make_eval_env(run_of("ALE/Pong-v5"))) is None


def test_a_module_that_only_the_run_names_is_not_imported() -> None:
    config = run_of("this:CartPole-v1")
    with pytest.raises(ValueError, match=r"add --env this:CartPole-v1$"):
        check_env_trusted(config, None)
    with pytest.raises(ValueError, match="'this:CartPole-v1', got --env 'CartPole-v1'"):
        check_env_trusted(config, "CartPole-v1")
    check_env_trusted(config, "this:CartPole-v1")
    check_env_trusted(run_of("CartPole-v1"), None)
    assert "this" not in sys.modules


def test_the_advice_cannot_carry_a_command() -> None:
    with pytest.raises(ValueError, match=r"add --env 'this:X; rm -rf ~'$"):
        check_env_trusted(run_of("this:X; rm -rf ~"), None)


def test_frames_where_there_are_any() -> None:
    told: list[str] = []
    env = make_rendering_env(run_of("CartPole-v1"), told.append)
    env.reset(seed=1)
    assert np.shape(env.render()) == (400, 600, 3)
    assert told == []


def test_without_a_screen_there_are_no_frames_and_a_reason(monkeypatch) -> None:
    from gymnasium.envs.classic_control import CartPoleEnv

    def broken(self):
        raise RuntimeError("no GL device\n(a long story)")

    monkeypatch.setattr(CartPoleEnv, "render", broken)
    told: list[str] = []
    env = make_rendering_env(run_of("CartPole-v1"), told.append)
    assert env.render_mode is None
    assert told == [
        "no frames of CartPole-v1, its observations are drawn instead: no GL device",
    ]
