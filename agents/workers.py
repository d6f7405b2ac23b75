"""Environments in processes of their own, whose end is the main process's business alone."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any

import gymnasium as gym
from stable_baselines3.common.vec_env import SubprocVecEnv

PATIENCE = 5.0
"""Seconds that a worker gets to close its environment."""
FAULT = "worker_fault"
"""Where the info of a step or reset holds what went wrong in it."""


class Workers(SubprocVecEnv):
    """SB3's worker processes, safe to interrupt and to close, whose errors are raised here.

    Ctrl-C reaches every process of a terminal: workers pass over it, so that the main process can
    end its step and save. Closing asks nothing of a worker that is busy or gone. What a step or a
    reset raises there is raised here, as it would be by an environment of this process.
    """

    def __init__(self, makes: Sequence[Callable[[], gym.Env]]):
        multiprocessing.set_forkserver_preload([__name__])  # torch is loaded once, not per worker
        super().__init__([partial(_undisturbed, make) for make in makes])
        self.get_attr("render_mode")  # all of them are up: from here on Ctrl-C passes them over

    def step_wait(self):
        stepped = super().step_wait()
        _raise_first((*stepped[3], *self.reset_infos))
        return stepped

    def reset(self):
        obs = super().reset()
        _raise_first(self.reset_infos)
        return obs

    def close(self) -> None:
        if self.closed:
            return
        for remote in self.remotes:
            with suppress(OSError):  # gone
                remote.send(("close", None))
        for process in self.processes:
            process.join(PATIENCE)
            process.terminate()
        for remote in self.remotes:
            remote.close()
        self.closed = True


class WorkerError(Exception):
    """What a worker printed of an error, as the cause of that error."""


class Telling(gym.Wrapper):
    """Return errors in the info, since a worker that raises one is gone without a word.

    The observation of such a step is any; nobody may use it.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        try:
            return self.env.reset(seed=seed, options=options)
        except Exception as error:
            return self.observation_space.sample(), {FAULT: _sendable(error)}

    def step(self, action: Any):
        try:
            return self.env.step(action)
        except Exception as error:
            return self.observation_space.sample(), 0.0, False, False, {FAULT: _sendable(error)}


def _sendable(error: Exception) -> tuple[Exception, str]:
    """Return an error that another process can read, and the lines that Python prints of it."""
    lines = "".join(traceback.format_exception(error))
    try:
        sent = bytes(ForkingPickler.dumps(error))  # as the pipe does
        return ForkingPickler.loads(sent), lines  # pyright: ignore[reportAttributeAccessIssue]
    except Exception:  # whatever its class makes of being copied
        return RuntimeError(f"{type(error).__name__}: {error}"), lines


def _raise_first(infos: Iterable[dict[str, Any]]) -> None:
    for info in infos:
        if FAULT in info:
            error, lines = info[FAULT]
            raise error from WorkerError(f"in the process of an environment:\n\n{lines}")


def _undisturbed(make: Callable[[], gym.Env]) -> gym.Env:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return Telling(make())
