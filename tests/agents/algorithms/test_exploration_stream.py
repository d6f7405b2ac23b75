"""Exploration does not replay the dice of the environment, as SB3's own seeding has it."""

from __future__ import annotations

import pytest

from attention_agents.agents.algorithms.build import build_model, make_vec_env
from attention_agents.agents.config.run_config import RunConfig


@pytest.mark.parametrize(
    ("algo", "env_id"), [("dqn", "CartPole-v1"), ("sac", "Pendulum-v1"), ("ppo", "CartPole-v1")]
)
def test_no_environment_shares_the_stream_of_exploration(algo: str, env_id: str) -> None:
    config = RunConfig(env=env_id, algo=algo, n_timesteps=100, seed=3, n_envs=3)
    env = make_vec_env(config)
    model = build_model(config, env)
    env.reset()
    seeds = env.get_attr("np_random_seed")
    assert len({*seeds, config.seed}) == 4
    states = [str(rng.bit_generator.state) for rng in env.get_attr("np_random")]
    assert len({*states, str(model.action_space.np_random.bit_generator.state)}) == 4
    again = build_model(config, second := make_vec_env(config))
    second.reset()
    assert second.get_attr("np_random_seed") == seeds
    assert again.action_space.sample() == pytest.approx(model.action_space.sample())
