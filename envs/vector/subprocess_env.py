"""Environments in worker processes that only the main process ends."""

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
    EnvCreationError,
    ErrorForwardingEnv,
    FailedEnv,
    load_pickled,
    raise_first_error,
)

CLOSE_TIMEOUT = 5.0
"""Seconds that a worker has to close its environment."""


class SafeSubprocVecEnv(SubprocVecEnv):
    """SB3's worker processes, safe to interrupt and to close, whose errors are raised here.

    Ctrl-C reaches every process of a terminal: workers ignore it, so that the main process can
    end its step and save. Closing needs no answer of a worker that is busy or gone. What an
    environment raises there is raised here, as it would be by one of this process: when it is made,
    by a step, a reset, `env_method` and `get_attr`. What cannot be sent as it is, or would end this
    process too (`sys.exit`), is a RuntimeError that names it.

    Raises:
        WorkerGoneError: a process ended; from every method but `close`.
    """

    def __init__(self, env_fns: Sequence[Callable[[], gym.Env]]):
        multiprocessing.set_forkserver_preload([__name__])  # torch is loaded once, not per worker
        self.remotes, self.processes = (), []
        try:
            super().__init__([partial(_make_worker_env, env_fn) for env_fn in env_fns])
            self.get_attr("render_mode")  # all have started: from here on they ignore Ctrl-C
        except Exception as error:
            self.close()
            if isinstance(error, EnvCreationError):
                error.raise_original()
            if isinstance(error, (EOFError, ConnectionError)):
                raise WorkerGoneError from error
            raise
        self.remotes = tuple(WorkerPipe(remote) for remote in self.remotes)

    def step_wait(self):
        obs, rewards, dones, infos = super().step_wait()
        raise_first_error((*infos, *self.reset_infos))
        return obs, rewards, dones, infos

    def reset(self):
        obs = super().reset()
        raise_first_error(self.reset_infos)
        return obs

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return self._forward_attr(indices, attr_name, None)

    def env_method(
        self, method_name: str, *method_args, indices: VecEnvIndices = None, **method_kwargs
    ) -> list[Any]:
        return self._forward_attr(indices, method_name, (method_args, method_kwargs))

    def _forward_attr(self, indices: VecEnvIndices, name: str, call: Any) -> list[Any]:
        answers = super().env_method("forward_attr", name, call, indices=indices)
        raise_first_error(answers)
        return answers

    def close(self) -> None:
        if self.closed:
            return
        for remote in self.remotes:
            with suppress(OSError, WorkerGoneError):
                remote.send(("close", None))
        # SB3 would wait for an answer here, for ever if the worker is busy or gone
        for process in self.processes:
            process.join(CLOSE_TIMEOUT)
            process.terminate()
        for remote in self.remotes:
            remote.close()
        self.closed = True


class WorkerGoneError(RuntimeError):
    """The process of an environment ended, and its pipe broke."""

    def __init__(self):
        super().__init__("the process of an environment ended; its last message stands above")


class WorkerPipe:
    """A pipe to a worker that raises `WorkerGoneError` when broken, unlike an environment."""

    def __init__(self, connection: Connection):
        self.connection = connection

    def send(self, message: Any) -> None:
        pickled = ForkingPickler.dumps(message)
        try:
            self.connection.send_bytes(pickled)
        except OSError as error:
            raise WorkerGoneError from error

    def recv(self) -> Any:
        try:
            pickled = self.connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise WorkerGoneError from error
        return load_pickled(pickled)

    def close(self) -> None:
        self.connection.close()


def _make_worker_env(env_fn: Callable[[], gym.Env]) -> gym.Env:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return ErrorForwardingEnv(env_fn())
    except BaseException as error:
        return FailedEnv(EnvCreationError.from_exception(error))
