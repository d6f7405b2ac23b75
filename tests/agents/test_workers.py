"""What goes wrong in the process of an environment is raised where the training is."""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import numpy as np
import pytest

from agents.workers import WorkerError, Workers
from envs.padding import PadSequences, TooManyEntitiesError


class MapError(Exception):
    """An error that cannot be made from its text alone."""

    def __init__(self, level: int, name: str):
        super().__init__(f"no map of level {level}: {name}")


class Failing(gym.Env):
    """Fails at a step, or at the reset of that number; an episode takes 3 steps."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, error: Exception | None = None, at_step: int = -1, at_reset: int = -1):
        self.error, self.at_step, self.at_reset = error, at_step, at_reset
        self.steps = self.resets = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets += 1
        if self.error is not None and self.resets == self.at_reset:
            raise self.error
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        if self.error is not None and self.steps == self.at_step:
            raise self.error
        return np.ones(2, np.float32), 0.5, self.steps % 3 == 0, False, {}


class Crowd(gym.Env):
    """One more entity at each step."""

    observation_space = gym.spaces.Sequence(gym.spaces.Box(-1, 1, (2,)))
    action_space = gym.spaces.Discrete(2)
    entities = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return (), {}

    def step(self, action):
        self.entities += 1
        return (np.zeros(2, np.float32),) * self.entities, 0.0, False, False, {}


def made(error: Exception | None = None, **when: int) -> gym.Env:
    return Failing(error, **when)


def crowd() -> gym.Env:
    return PadSequences(Crowd(), 3)


def lost() -> gym.Env:
    return Failing(MapError(3, "caves"), at_step=1)


def play(make, steps: int) -> int:
    """Return how many steps two environments take, of which the second is the given one."""
    env = Workers([made if make is not crowd else crowd, make])
    taken = 0
    try:
        env.reset()
        for _ in range(steps):
            env.step(np.zeros(2, int))
            taken += 1
    finally:
        env.close()
        assert not any(process.is_alive() for process in env.processes)
    return taken


def test_nothing_is_raised_where_nothing_is_wrong():
    assert play(made, 7) == 7


@pytest.mark.parametrize("when", [{"at_step": 2}, {"at_reset": 1}, {"at_reset": 2}])
def test_an_error_of_a_worker_is_raised_with_its_traceback(when):
    with pytest.raises(KeyError, match="the map is missing") as raised:
        play(partial(made, KeyError("the map is missing"), **when), 7)
    cause = raised.value.__cause__
    assert isinstance(cause, WorkerError)
    assert "in the process of an environment:" in str(cause) and "raise self.error" in str(cause)


def test_too_many_entities_are_told_as_in_this_process():
    with pytest.raises(TooManyEntitiesError, match=r"holds 4 entities .* there is room for 3"):
        play(crowd, 7)


def test_an_error_that_cannot_be_sent_is_told_in_words():
    with pytest.raises(RuntimeError, match=r"^MapError: no map of level 3: caves$"):
        play(lost, 7)
