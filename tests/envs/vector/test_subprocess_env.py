"""What goes wrong in the process of an environment is raised where the training is."""

from __future__ import annotations

import multiprocessing
import os
import struct
import sys
import types
from contextlib import contextmanager
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.monitor import Monitor

from attention_agents.envs.vector.subprocess_env import (
    SafeSubprocVecEnv,
    WorkerGoneError,
    WorkerPipe,
)
from attention_agents.envs.vector.worker_errors import WorkerError
from attention_agents.envs.wrappers.padding import PadSequences, TooManyEntitiesError


class MapError(Exception):
    """An error that cannot be made from its text alone."""

    def __init__(self, level: int, name: str):
        super().__init__(f"no map of level {level}: {name}")


class LevelError(Exception):
    """An error that is made from its own text when it is copied."""

    def __init__(self, level):
        super().__init__(f"no map of level {level}")


class WornError(Exception):
    """An error whose first copy is like it, and the second is not."""

    def __init__(self, copies: int = 0):
        super().__init__("as it was" if copies < 2 else "worn")
        self.copies = copies

    def __reduce__(self):
        return WornError, (self.copies + 1,)


class Failing(gym.Env):
    """Fails at a step, or at the reset of that number, or when asked; an episode takes 3 steps."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, error: BaseException | None = None, at_step: int = -1, at_reset: int = -1):
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

    def action_masks(self):
        if self.error is not None:
            raise self.error
        return [True, self.steps % 2 == 0]

    @property
    def map(self):
        return self.action_masks()


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


def make_failing_env(error: BaseException | None = None, **schedule: int) -> gym.Env:
    return Failing(error, **schedule)


def crowd() -> gym.Env:
    return PadSequences(Crowd(), 3)


def unmade(kind: type[BaseException], argument: object) -> gym.Env:
    raise kind(argument)


def ended() -> gym.Env:
    os._exit(3)


def lost_there() -> gym.Env:
    """Fail by an error whose module only this process has."""
    there = types.ModuleType("only_there")
    kind = type("ThereError", (Exception,), {"__module__": "only_there"})
    vars(there)["ThereError"], sys.modules["only_there"] = kind, there
    return Failing(kind("the map is missing"), at_step=1)


@contextmanager
def workers(*makes):
    """Two or more environments, that leave no process behind."""
    env = SafeSubprocVecEnv(makes)
    try:
        yield env
    finally:
        env.close()
        assert not any(process.is_alive() for process in env.processes)


def play(make, steps: int) -> int:
    """Return how many steps two environments take, of which the second is the given one."""
    with workers(make_failing_env if make is not crowd else crowd, make) as env:
        env.reset()
        taken = 0
        for _ in range(steps):
            env.step(np.zeros(2, int))
            taken += 1
    return taken


def test_nothing_is_raised_where_nothing_is_wrong():
    assert play(make_failing_env, 7) == 7


@pytest.mark.parametrize("schedule", [{"at_step": 2}, {"at_reset": 1}, {"at_reset": 2}])
def test_an_error_of_a_worker_is_raised_with_its_traceback(schedule):
    with pytest.raises(KeyError, match="the map is missing") as raised:
        play(partial(make_failing_env, KeyError("the map is missing"), **schedule), 7)
    cause = raised.value.__cause__
    assert isinstance(cause, WorkerError)
    assert "in the process of an environment:" in str(cause) and "raise self.error" in str(cause)


def test_too_many_entities_are_told_as_in_this_process():
    with pytest.raises(TooManyEntitiesError, match=r"holds 4 entities .* there is room for 3"):
        play(crowd, 7)


def test_a_reset_raises_by_itself():
    with workers(
        make_failing_env, partial(make_failing_env, KeyError("the map is missing"), at_reset=1)
    ) as env:
        with pytest.raises(KeyError, match="the map is missing"):
            env.reset()
        assert len(env.reset()) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (LevelError(3), "LevelError: no map of level 3"),
        (WornError(), "WornError: as it was"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt("window"), "KeyboardInterrupt: window"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_an_error_that_would_change_or_end_this_process_is_told_in_words(error, words):
    with pytest.raises(RuntimeError) as raised:
        WorkerError.from_exception(error).raise_original()
    assert (type(raised.value), str(raised.value)) == (RuntimeError, words)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Failing(MapError(3, "caves"), at_step=1), "MapError: no map of level 3: caves"),
        (lambda: Failing(LevelError(3), at_step=1), "LevelError: no map of level 3"),
        (lambda: Failing(SystemExit(3), at_step=1), "SystemExit: 3"),
        (lost_there, "ThereError: the map is missing"),
    ],
    ids=["uncopied", "changed by copying", "exit", "of a module that is not here"],
)
def test_such_errors_arrive_in_words(make, words):
    with pytest.raises(RuntimeError) as raised:
        play(make, 7)
    assert (type(raised.value), str(raised.value)) == (RuntimeError, words)


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError("no simulator listens"), EOFError("no such level")]
)
def test_an_error_like_that_of_a_broken_pipe_stays_what_it_is(error):
    with pytest.raises(type(error), match=str(error)) as raised:
        play(partial(make_failing_env, error, at_step=2), 7)
    assert type(raised.value) is type(error)


def ask_method(env):
    return env.env_method("action_masks")


def ask_attr(env):
    return env.get_attr("map")


@pytest.mark.parametrize("request_worker", [ask_method, ask_attr])
@pytest.mark.parametrize(
    ("error", "raised"),
    [(ValueError("no level is loaded"), ValueError), (SystemExit(3), RuntimeError)],
)
def test_what_an_environment_raises_when_asked_is_raised_and_nothing_ends(
    request_worker, error, raised
):
    with workers(make_failing_env, lambda: Monitor(Failing(error))) as env:
        with pytest.raises(raised, match=str(error)) as caught:
            request_worker(env)
        assert isinstance(caught.value.__cause__, WorkerError)
        env.reset()
        assert env.step(np.zeros(2, int))[1].tolist() == [0.5, 0.5]


def test_answers_and_what_wraps_an_environment_are_told_as_ever():
    with workers(make_failing_env, lambda: Monitor(make_failing_env()), make_failing_env) as env:
        env.reset()
        env.step(np.zeros(3, int))
        assert env.env_method("action_masks", indices=[0, 2]) == [[True, False]] * 2
        assert env.get_attr("steps", indices=1) == [1]
        env.set_attr("pace", 7)
        assert env.get_attr("pace") == [7, 7, 7]
        assert env.env_is_wrapped(Monitor) == [False, True, False]
        assert (env.has_attr("action_masks"), env.has_attr("nothing")) == (True, False)
        with pytest.raises(AttributeError, match="nothing"):
            env.get_attr("nothing")
        with pytest.raises(AttributeError, match="nothing"):
            env.env_method("nothing")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("kind", "argument", "raised", "text"),
    [
        (ValueError, "one process only", ValueError, "one process only"),
        (AttributeError, "no such map", AttributeError, "no such map"),
        (ConnectionRefusedError, "no simulator", ConnectionRefusedError, "no simulator"),
        (LevelError, 3, RuntimeError, "LevelError: no map of level 3"),
        (SystemExit, 3, RuntimeError, "SystemExit: 3"),
    ],
)
def test_an_environment_that_cannot_be_made_is_told_at_once(kind, argument, raised, text, first):
    make = partial(unmade, kind, argument)
    with pytest.raises(raised) as caught:
        SafeSubprocVecEnv([make, make_failing_env] if first else [make_failing_env, make])
    assert (type(caught.value), str(caught.value)) == (raised, text)
    assert "raise kind(argument)" in str(caught.value.__cause__)
    assert not multiprocessing.active_children()


def test_a_process_that_ends_at_the_start_is_gone():
    with pytest.raises(
        WorkerGoneError, match="the process of an environment ended; its last message"
    ):
        SafeSubprocVecEnv([make_failing_env, ended])
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    "request_worker",
    [
        lambda env: env.step(np.zeros(2, int)),
        lambda env: env.reset(),
        ask_method,
        ask_attr,
        lambda env: env.has_attr("steps"),
    ],
    ids=["step", "reset", "env_method", "get_attr", "has_attr"],
)
def test_a_process_that_was_killed_is_gone(request_worker):
    with workers(make_failing_env, make_failing_env) as env:
        env.reset()
        env.processes[1].kill()
        env.processes[1].join()
        with pytest.raises(WorkerGoneError, match="the process of an environment ended; its last"):
            request_worker(env)


def test_a_process_that_ends_while_it_waits_or_answers_is_gone():
    for argument in (b"", struct.pack("!i", 7) + b"abc"):  # nothing; 3 bytes of 7
        here, there = multiprocessing.Pipe()
        os.write(there.fileno(), argument)
        there.close()
        with pytest.raises(WorkerGoneError):
            WorkerPipe(here).recv()
        here.close()


def refuse_to_load():
    raise ConnectionRefusedError("no simulator listens")


class Unloadable:
    def __reduce__(self):
        return refuse_to_load, ()


def test_what_was_sent_may_be_at_fault_and_not_the_pipe():
    here, there = multiprocessing.Pipe()
    there.send(Unloadable())
    with pytest.raises(ConnectionRefusedError, match="no simulator listens"):
        WorkerPipe(here).recv()
    here.close()
    there.close()
