"""Noise says nothing about the task, changes at every step, and leaves the task as it is."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from attention_agents.envs.make import make_env
from benchmarks.noise import NoiseBorder, NoiseFeatures


def play(env: gym.Env, steps: int = 12) -> np.ndarray:
    env.action_space.seed(5)
    observations = [env.reset(seed=5)[0]]
    while len(observations) < steps:
        obs, _, terminated, truncated, _ = env.step(env.action_space.sample())
        observations.append(env.reset()[0] if terminated or truncated else obs)
    return np.stack(observations)


def test_noise_features_stand_behind_the_numbers_of_the_task() -> None:
    plain, noisy = play(make_env("CartPole-v1")), play(NoiseFeatures(make_env("CartPole-v1"), 60))
    np.testing.assert_array_equal(noisy[:, :4], plain)
    noise = noisy[:, 4:]
    assert len(np.unique(noise)) == noise.size
    assert abs(noise.mean()) < 0.15
    assert noise.std() == pytest.approx(1, abs=0.1)


def test_noise_comes_again_with_the_seed() -> None:
    env = NoiseFeatures(make_env("CartPole-v1"), 7)
    np.testing.assert_array_equal(play(env), play(env))


def test_noise_features_have_names() -> None:
    space = NoiseFeatures(make_env("CartPole-v1"), 2).observation_space
    assert space.tokens.names[3:] == ("pole angular velocity", "noise 0", "noise 1")
    assert space.contains(play(NoiseFeatures(make_env("CartPole-v1"), 2))[1])


def test_the_border_is_random_and_the_inside_is_the_game() -> None:
    plain = play(make_env("MinAtar/Breakout-v1"), 30)
    noisy = play(NoiseBorder(make_env("MinAtar/Breakout-v1")), 30)
    assert noisy.shape == (30, 14, 14, 4)
    np.testing.assert_array_equal(noisy[:, 2:-2, 2:-2], plain)
    border = np.ones((14, 14), bool)
    border[2:-2, 2:-2] = False
    assert noisy[:, border].mean() == pytest.approx(0.2, abs=0.02)
    assert (noisy[1:, border] != noisy[:-1, border]).any((1, 2)).all()


def test_noise_needs_a_place() -> None:
    with pytest.raises(ValueError, match="vector"):
        NoiseFeatures(make_env("MinAtar/Breakout-v1"))
    with pytest.raises(ValueError, match="picture"):
        NoiseBorder(make_env("CartPole-v1"))
