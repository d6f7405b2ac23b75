"""Errors in the process of an environment, and their way to the main process."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.reduction import ForkingPickler
from typing import Any, NoReturn

import gymnasium as gym

ERROR_KEY = "worker_error"
"""Where the info of a step or reset holds what went wrong in it."""


class WorkerError(Exception):
    """What went wrong in a worker: sent in place of an answer, and the cause of what is raised."""

    def __init__(self, traceback_text: str, summary: str, pickled: bytes | None):
        super().__init__(traceback_text, summary, pickled)
        self.traceback_text, self.summary, self.pickled = traceback_text, summary, pickled

    @classmethod
    def from_exception(cls, error: BaseException) -> WorkerError:
        """Keep the traceback's text, a summary, and the error itself where it can be sent."""
        text = "".join(traceback.format_exception(error))
        pickled = _pickle_error(error) if isinstance(error, Exception) else None
        return cls(text, f"{type(error).__name__}: {error}", pickled)

    def raise_original(self) -> NoReturn:
        """Raise what the environment raised."""
        error = RuntimeError(self.summary)
        if self.pickled is not None:
            with suppress(Exception):  # its module may be out of reach in this process
                error = load_pickled(self.pickled)
        raise error from self

    def __str__(self) -> str:
        return f"in the process of an environment:\n\n{self.traceback_text}"


class EnvCreationError(WorkerError):
    """What went wrong while an environment was made."""


class ErrorForwardingEnv(gym.Wrapper):
    """Return errors in place of answers: a worker that raises one ends without a message.

    The observation of a step or reset whose info holds an error is arbitrary.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        try:
            return self.env.reset(seed=seed, options=options)
        except BaseException as error:  # of sys.exit too
            return self.observation_space.sample(), {ERROR_KEY: WorkerError.from_exception(error)}

    def step(self, action: Any):
        try:
            return self.env.step(action)
        except BaseException as error:
            info = {ERROR_KEY: WorkerError.from_exception(error)}
            return self.observation_space.sample(), 0.0, False, False, info

    def forward_attr(self, name: str, call: tuple[Sequence[Any], dict[str, Any]] | None) -> Any:
        """Return an attribute, or the result of a method that is called with (args, kwargs)."""
        try:
            if call is None:
                return self.get_wrapper_attr(name)
            args, kwargs = call
            return self.env.get_wrapper_attr(name)(*args, **kwargs)
        except BaseException as error:
            return WorkerError.from_exception(error)


class FailedEnv(gym.Env):
    """Stand in for an environment that could not be made, and answer with the error."""

    observation_space = action_space = gym.spaces.Discrete(1)

    def __init__(self, error: WorkerError):
        self.error = error

    def forward_attr(self, *_: Any) -> WorkerError:
        return self.error


def raise_first_error(answers: Iterable[Any]) -> None:
    """Raise the first error among the answers, or infos, of workers, if there is one."""
    for answer in answers:
        # an info holds the error under a key of its own; the result of a call is the error itself
        error = answer.get(ERROR_KEY) if isinstance(answer, dict) else answer
        if isinstance(error, EnvCreationError):
            raise error  # as it is: SB3 would take an AttributeError for a missing `render_mode`
        if isinstance(error, WorkerError):
            error.raise_original()


def _pickle_error(error: Exception) -> bytes | None:
    """Return an error as a pipe sends it; None where a copy, or a copy of that, differs."""
    try:
        pickled = bytes(ForkingPickler.dumps(error))
        copy = load_pickled(pickled)
        second_copy = load_pickled(bytes(ForkingPickler.dumps(copy)))
        same = all((type(e), str(e)) == (type(error), str(error)) for e in (copy, second_copy))
    except Exception:  # whatever its class makes of being copied
        return None
    return pickled if same else None


def load_pickled(pickled: bytes) -> Any:
    """Read what another process sent through a pipe."""
    return ForkingPickler.loads(pickled)  # pyright: ignore[reportAttributeAccessIssue]
