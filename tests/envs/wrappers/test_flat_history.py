"""A window of past observations never reaches over an episode border."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from attention_agents.envs.make import make_env
from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.spaces import build_layout, choose_specs
from attention_agents.envs.wrappers.flat_history import History
from tests.envs.worlds import Counter


def test_windows_are_the_past_of_this_episode_only():
    K, lengths = 5, (3, 7, 2)
    env = History(Counter(lengths), steps=K)
    for episode, length in enumerate(lengths):
        past = []
        window, _ = env.reset(seed=0)
        for step in range(length + 1):
            past.append([1, 100 * (episode + 1) + step, step])
            expected = np.array(([[0, 0, 0]] * K + past)[-K:], np.float32)
            np.testing.assert_array_equal(window, expected)
            assert env.observation_space.contains(window)
            if step < length:
                window, _, terminated, _, _ = env.step(0)
        assert terminated


def test_a_window_that_is_kept_does_not_change():
    env = History(Counter((9,)), steps=3)
    first_obs, _ = env.reset(seed=0)
    copy = first_obs.copy()
    for _ in range(4):
        env.step(0)
    np.testing.assert_array_equal(first_obs, copy)


@pytest.mark.parametrize(
    ("space", "numbers"),
    [
        (spaces.Box(-2, 3, (2, 3)), 6),
        (spaces.Discrete(5), 5),
        (spaces.MultiDiscrete([2, 3]), 5),
        (spaces.MultiBinary(7), 7),
        (spaces.Dict(a=spaces.Discrete(3), b=spaces.Box(0, 255, (2, 2), np.uint8)), 7),
    ],
)
def test_any_flat_observation_has_a_history(space, numbers):
    inner = Counter((4,))
    inner.observation_space = space
    inner.observe = space.sample
    env = History(inner, steps=3)
    window, _ = env.reset(seed=0)
    assert window.shape == (3, 1 + numbers)
    assert env.observation_space.contains(window)
    layout = build_layout(choose_specs(env.observation_space))
    assert layout.names == ("-2 steps", "-1 step", "present")


def test_a_present_row_of_zeros_is_present():
    inner = Counter((4,))
    inner.observe = lambda: np.zeros(2, np.float32)
    window, _ = History(inner, steps=2).reset(seed=0)
    assert window.tolist() == [[0, 0, 0], [1, 0, 0]]


def test_steps_of_the_past_have_no_place_on_the_frame():
    pytest.importorskip("minigrid")
    env = History(make_env("MiniGrid-Empty-5x5-v0", render_mode="rgb_array"), steps=4)
    env.reset(seed=0)
    layout = build_layout(choose_specs(env.observation_space))
    frame_places = get_token_places(env, layout, env.render().shape)
    assert frame_places.boxes.shape == (4, 4)
    assert np.isnan(frame_places.boxes).all()


def test_too_long_observations_are_refused():
    inner = Counter((4,))
    inner.observation_space = spaces.Box(0, 255, (65, 64), np.uint8)
    with pytest.raises(ValueError, match="1 to 4096 numbers, got 4160"):
        History(inner, steps=2)
    with pytest.raises(ValueError, match="1 to 1024 steps, got 0"):
        History(gym.make("CartPole-v1"), steps=0)
