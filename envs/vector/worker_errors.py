"""What goes wrong in the process of an environment, on its way to the main process."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.reduction import ForkingPickler
from typing import Any, NoReturn

import gymnasium as gym

FAULT = "worker_fault"
"""Where the info of a step or reset holds what went wrong in it."""


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
                error = loads(self.error)
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


def raise_first(answers: Iterable[Any]) -> None:
    """Raise the first error among the answers, or infos, of workers, if there is one."""
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
        once = loads(sent)
        twice = loads(bytes(ForkingPickler.dumps(once)))
        same = all((type(e), str(e)) == (type(error), str(error)) for e in (once, twice))
    except Exception:  # whatever its class makes of being copied
        return None
    return sent if same else None


def loads(sent: bytes) -> Any:
    """Read what another process sent through a pipe."""
    return ForkingPickler.loads(sent)  # pyright: ignore[reportAttributeAccessIssue]
