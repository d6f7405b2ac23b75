"""Environments in processes of their own, whose end is the main process's business alone."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import gymnasium as gym
from stable_baselines3.common.vec_env import SubprocVecEnv

PATIENCE = 5.0
"""Seconds that a worker gets to close its environment."""


class Workers(SubprocVecEnv):
    """SB3's worker processes, safe to interrupt and to close.

    Ctrl-C reaches every process of a terminal: workers pass over it, so that the main process can
    end its step and save. Closing asks nothing of a worker that is busy or gone.
    """

    def __init__(self, makes: Sequence[Callable[[], gym.Env]]):
        multiprocessing.set_forkserver_preload([__name__])  # torch is loaded once, not per worker
        super().__init__([partial(_undisturbed, make) for make in makes])
        self.get_attr("render_mode")  # all of them are up: from here on Ctrl-C passes them over

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


def _undisturbed(make: Callable[[], gym.Env]) -> gym.Env:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return make()
