"""Environments in processes of their own, whose end is the main process's business alone."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, NoReturn

import gymnasium as gym
from stable_baselines3.common.vec_env import SubprocVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

PATIENCE = 5.0
"""Seconds that a worker gets to close its environment."""
FAULT = "worker_fault"
"""Where the info of a step or reset holds what went wrong in it."""


class Workers(SubprocVecEnv):
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
        _raise_first((*stepped[3], *self.reset_infos))
        return stepped

    def reset(self):
        obs = super().reset()
        _raise_first(self.reset_infos)
        return obs

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        answers = super().env_method("told_attr", attr_name, indices=indices)
        _raise_first(answers)
        return answers

    def env_method(
        self, method_name: str, *method_args, indices: VecEnvIndices = None, **method_kwargs
    ) -> list[Any]:
        call = method_name, method_args, method_kwargs
        answers = super().env_method("told_call", *call, indices=indices)
        _raise_first(answers)
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
        return _loads(sent)

    def close(self) -> None:
        self.connection.close()


class WorkerError(Exception):
    """What went wrong in a worker: sent in place of an answer, and the cause of what is raised."""

    def __init__(self, lines: str, words: str, error: bytes | None):
        super().__init__(lines, words, error)
        self.lines, self.words, self.error = lines, words, error

    @classmethod
    def of(cls, error: BaseException) -> WorkerError:
        """Take what Python prints of an error, it in words, and itself where that can be sent."""
        lines = "".join(traceback.format_exception(error))
        sent = _sendable(error) if isinstance(error, Exception) else None
        return cls(lines, f"{type(error).__name__}: {error}", sent)

    def throw(self) -> NoReturn:
        """Raise what the environment raised."""
        error = RuntimeError(self.words)
        if self.error is not None:
            with suppress(Exception):  # its module may be out of reach in this process
                error = _loads(self.error)
        raise error from self

    def __str__(self) -> str:
        return f"in the process of an environment:\n\n{self.lines}"


class UnmadeError(WorkerError):
    """What went wrong while an environment was made."""


class Telling(gym.Wrapper):
    """Return errors in place of answers, since a worker that raises one is gone without a word.

    The observation of a step or reset with a fault in its info is any; nobody may use it.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        try:
            return self.env.reset(seed=seed, options=options)
        except BaseException as error:  # of sys.exit too
            return self.observation_space.sample(), {FAULT: WorkerError.of(error)}

    def step(self, action: Any):
        try:
            return self.env.step(action)
        except BaseException as error:
            fault = {FAULT: WorkerError.of(error)}
            return self.observation_space.sample(), 0.0, False, False, fault

    def told_attr(self, name: str) -> Any:
        try:
            return self.get_wrapper_attr(name)
        except BaseException as error:
            return WorkerError.of(error)

    def told_call(self, name: str, arguments: Sequence[Any], more: dict[str, Any]) -> Any:
        try:
            return self.env.get_wrapper_attr(name)(*arguments, **more)
        except BaseException as error:
            return WorkerError.of(error)


class Unmade(gym.Env):
    """Stand where no environment could be made, until its fault is asked for."""

    observation_space = action_space = gym.spaces.Discrete(1)

    def __init__(self, fault: WorkerError):
        self.fault = fault

    def told_attr(self, _name: str) -> WorkerError:
        return self.fault


def _undisturbed(make: Callable[[], gym.Env]) -> gym.Env:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return Telling(make())
    except BaseException as error:
        return Unmade(UnmadeError.of(error))


def _raise_first(answers: Iterable[Any]) -> None:
    for answer in answers:
        fault = answer.get(FAULT) if isinstance(answer, dict) else answer
        if isinstance(fault, UnmadeError):
            raise fault  # as it is: SB3 makes little of an AttributeError of `render_mode`
        if isinstance(fault, WorkerError):
            fault.throw()


def _sendable(error: Exception) -> bytes | None:
    """Return what a pipe takes of an error; None where a copy, or a copy of that, differs."""
    try:
        sent = bytes(ForkingPickler.dumps(error))
        once = _loads(sent)
        twice = _loads(bytes(ForkingPickler.dumps(once)))
        same = all((type(e), str(e)) == (type(error), str(error)) for e in (once, twice))
    except Exception:  # whatever its class makes of being copied
        return None
    return sent if same else None


def _loads(sent: bytes) -> Any:
    return ForkingPickler.loads(sent)  # pyright: ignore[reportAttributeAccessIssue]
