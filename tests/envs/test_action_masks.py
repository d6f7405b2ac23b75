"""Which actions are valid: read through wrappers, checked, and drawn from."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from attention_agents.agents.rollouts.episodes import RandomActor, play_episodes
from attention_agents.envs.action_masks import (
    choice_counts,
    find_mask_method,
    sample_valid_action,
    valid_actions,
)
from attention_agents.envs.vector.subprocess_env import SafeSubprocVecEnv
from tests.agents.worlds import Lanes, Short, Shut


def test_masks_are_found_through_wrappers_and_copied():
    env = TimeLimit(Monitor(Lanes()), 7)
    env.reset(seed=1)
    valid = valid_actions(env)
    assert valid is not None and valid.tolist() == env.unwrapped.open[0].tolist()
    env.unwrapped.open[0][:] = False
    assert valid.any()
    plain = gym.make("CartPole-v1")
    assert find_mask_method(plain) is None and valid_actions(plain) is None


@pytest.mark.parametrize("workers", [False, True])
def test_masks_reach_sb3_contrib_from_every_environment(workers):
    kind = SafeSubprocVecEnv if workers else DummyVecEnv
    env = VecNormalize(kind([lambda: Monitor(Lanes())] * 3), norm_obs=True)
    try:
        env.seed(5)
        env.reset()
        masks = get_action_masks(env)
        alone = []
        for seed in (5, 6, 7):
            world = Lanes()
            world.reset(seed=seed)
            alone.append(world.action_masks().tolist())
        assert env.has_attr("action_masks")
        assert masks.tolist() == alone
    finally:
        env.close()


@pytest.mark.parametrize(
    ("world", "text"),
    [
        (Shut, r"action_masks\(\) must leave a valid action, got \[False, False"),
        (Short, r"action_masks\(\) must give 5 booleans, one per choice of Discrete\(5\), got 4"),
    ],
)
def test_masks_that_do_not_fit_are_refused(world, text):
    env = world()
    env.reset(seed=1)
    with pytest.raises(ValueError, match=text):
        valid_actions(env)


def test_a_part_without_a_valid_choice_is_refused():
    env = Lanes("multi")
    env.reset(seed=1)
    env.open[1][:] = False
    with pytest.raises(ValueError, match="must leave a valid action"):
        valid_actions(env)


@pytest.mark.parametrize(
    ("space", "valid", "sampled"),
    [
        (spaces.Discrete(5), [0, 1, 0, 1, 1], {1, 3, 4}),
        (spaces.MultiDiscrete([3, 2]), [1, 0, 1, 0, 1], {(0, 1), (2, 1)}),
        (spaces.MultiBinary(3), [1, 0, 0, 1, 1, 1], {(0, 1, 0), (0, 1, 1)}),
    ],
)
def test_all_valid_actions_are_drawn_and_no_other(space, valid, sampled):
    space.seed(3)
    assert sum(choice_counts(space)) == len(valid)
    samples = [sample_valid_action(space, np.array(valid, bool)) for _ in range(60)]
    assert all(space.contains(action) for action in samples)
    assert {tuple(a.tolist()) if isinstance(a, np.ndarray) else int(a) for a in samples} == sampled


@pytest.mark.parametrize("kind", ["discrete", "multi", "bits"])
def test_the_random_policy_keeps_to_valid_actions_whatever_runs_beside_it(kind):
    def played(count):
        envs = [Lanes(kind) for _ in range(count)]
        return play_episodes(envs, RandomActor(envs[0].action_space), range(11))

    assert played(1) == played(3)  # the world itself faults where an action is not valid
    assert len({episode.episode_return for episode in played(1)}) > 3
