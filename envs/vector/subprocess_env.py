"""Environments in processes of their own, whose end is the main process's business alone."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import gymnasium as gym
from stable_baselines3.common.vec_env import SubprocVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from attention_agents.envs.vector.worker_errors import (
    Telling,
    Unmade,
    UnmadeError,
    loads,
    raise_first,
)

PATIENCE = 5.0
"""Seconds that a worker gets to close its environment."""


class SafeSubprocVecEnv(SubprocVecEnv):
    """SB3's worker processes, safe to interrupt and to close, whose errors are raised here.

    Ctrl-C reaches every process of a terminal: workers pass over it, so that the main process can
    end its step and save. Closing asks nothing of a worker that is busy or gone. What an
    environment raises there is raised here, as it would be by one of this process: when it is made,
    by a step, a reset, `env_method` and `get_attr`. What cannot be sent as it is, or would end this
    process too (`sys.exit`), is a RuntimeError that names it.

    Raises:
        WorkerGoneError: a process ended; from every method but `close`.
    """

    def __init__(self, makes: Sequence[Callable[[], gym.Env]]):
        multiprocessing.set_forkserver_preload([__name__])  # torch is loaded once, not per worker
        self.remotes, self.processes = (), []
        try:
            super().__init__([partial(_undisturbed, make) for make in makes])
            self.get_attr("render_mode")  # all are up: from here on Ctrl-C passes them over
        except Exception as error:
            self.close()
            if isinstance(error, UnmadeError):
                error.throw()
            if isinstance(error, (EOFError, ConnectionError)):
                raise WorkerGoneError from error
            raise
        self.remotes = tuple(Pipe(remote) for remote in self.remotes)

    def step_wait(self):
        stepped = super().step_wait()
        raise_first((*stepped[3], *self.reset_infos))
        return stepped

    def reset(self):
        obs = super().reset()
        raise_first(self.reset_infos)
        return obs

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        answers = super().env_method("told_attr", attr_name, indices=indices)
        raise_first(answers)
        return answers

    def env_method(
        self, method_name: str, *method_args, indices: VecEnvIndices = None, **method_kwargs
    ) -> list[Any]:
        call = method_name, method_args, method_kwargs
        answers = super().env_method("told_call", *call, indices=indices)
        raise_first(answers)
        return answers

    def close(self) -> None:
        if self.closed:
            return
        for remote in self.remotes:
            with suppress(OSError, WorkerGoneError):
                remote.send(("close", None))
        for process in self.processes:
            process.join(PATIENCE)
            process.terminate()
        for remote in self.remotes:
            remote.close()
        self.closed = True


class WorkerGoneError(RuntimeError):
    """The process of an environment ended, and its pipe broke."""

    def __init__(self):
        super().__init__("the process of an environment ended; what it said of that stands above")


class Pipe:
    """A pipe to a worker: that it broke is a `WorkerGoneError`, unlike what environments raise."""

    def __init__(self, connection: Connection):
        self.connection = connection

    def send(self, asked: Any) -> None:
        sent = ForkingPickler.dumps(asked)
        try:
            self.connection.send_bytes(sent)
        except OSError as error:
            raise WorkerGoneError from error

    def recv(self) -> Any:
        try:
            sent = self.connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise WorkerGoneError from error
        return loads(sent)

    def close(self) -> None:
        self.connection.close()


def _undisturbed(make: Callable[[], gym.Env]) -> gym.Env:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return Telling(make())
    except BaseException as error:
        return Unmade(UnmadeError.of(error))
