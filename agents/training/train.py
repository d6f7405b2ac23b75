"""Training from a configuration to a run folder."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import FrameType

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecEnv

from attention_agents.agents.algorithms.build import build_model, make_vec_env
from attention_agents.agents.algorithms.checks import check_config
from attention_agents.agents.algorithms.device import torch_settings
from attention_agents.agents.config.plugins import import_plugins
from attention_agents.agents.config.presets import EVALUATIONS, describe_preset, find_preset
from attention_agents.agents.config.run_config import RunConfig, TrainConfig
from attention_agents.agents.runs.checkpoint import save_checkpoint
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.callbacks.attention_image import AttentionImageCallback
from attention_agents.agents.training.callbacks.attention_statistics import (
    AttentionStatisticsCallback,
)
from attention_agents.agents.training.callbacks.evaluation import EvaluationCallback
from attention_agents.agents.training.callbacks.evidence_statistics import (
    EvidenceStatisticsCallback,
)
from attention_agents.agents.training.callbacks.periodic import CheckpointCallback
from attention_agents.agents.training.learning_curve import draw_learning_curve
from attention_agents.agents.training.progress import ProgressCallback
from attention_agents.agents.training.settle import (
    describe_encoder,
    make_probe_env,
    settle_config,
)
from attention_agents.envs.families import family_name
from attention_agents.envs.vector.subprocess_env import WorkerGoneError
from attention_agents.envs.wrappers.padding import TooManyEntitiesError


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C, after it saved what it had."""

    def __init__(self, folder: Path, steps: int):
        super().__init__(f"interrupted after {steps:,} steps; saved to {folder / 'final'}")
        self.folder = folder


class TrainingFault(RuntimeError):
    """Something broke while a run was training; the run folder holds what it had learnt."""


def train(options: TrainConfig) -> Path:
    """Train an agent and return its run folder.

    Everything is checked before the folder is made.

    Raises:
        ValueError: the configuration cannot be trained; the text says what to change.
        TrainingInterrupted: Ctrl-C; the policy was saved.
        TooManyEntitiesError: an observation did not fit; the policy was saved.
        TrainingFault: the environment or the algorithm failed midway; the policy was saved.
    """
    import_plugins(options.plugins)
    config = settle_config(options)
    with ExitStack() as stack:
        stack.enter_context(torch_settings(config.threads))
        env, model = prepare_training(config)
        stack.callback(env.close)
        folder = RunFolder.create(options.log_folder, config)
        if options.progress:
            family, kind = family_name(config.env), config.encoder.kind
            preset = find_preset(config.env, family, config.algo, kind)
            print(describe_preset(preset), describe_encoder(config), sep="\n", file=sys.stderr)
        model.set_logger(configure(str(folder.logs), ["csv", "tensorboard"]))
        stack.callback(model.logger.close)
        is_interrupted = stack.enter_context(catch_interrupts())
        callbacks = [_StopOnInterrupt(is_interrupted), *run_callbacks(config, folder)]
        if options.progress:
            callbacks.append(ProgressCallback(f"{config.algo} {config.env}"))
        _learn_or_save(model, config, callbacks, folder)
        save_checkpoint(model, folder.final, config)
        model.logger.dump(model.num_timesteps)
        _draw_curve(folder)
        if is_interrupted():
            raise TrainingInterrupted(folder.path, model.num_timesteps)
    return folder.path


def prepare_training(config: RunConfig) -> tuple[VecEnv, BaseAlgorithm]:
    """Return the environments and the algorithm of a run; nothing is written.

    Raises:
        ValueError: the configuration cannot be trained.
    """
    with closing(make_probe_env(config, config.history)) as probe:
        check_config(config, probe)
    env = make_vec_env(config)
    try:
        return env, build_model(config, env)
    except BaseException:
        env.close()
        raise


def run_callbacks(config: RunConfig, folder: RunFolder) -> list[BaseCallback]:
    """Return what a run does besides learning."""
    interval = config.eval_freq or math.ceil(config.n_timesteps / EVALUATIONS)
    attends = config.encoder.kind != "stock"
    callbacks: list[BaseCallback] = [EvidenceStatisticsCallback(interval)]
    if attends:
        callbacks.append(AttentionStatisticsCallback(interval))
    if config.eval_freq:
        callbacks.append(AttentionImageCallback(config, interval))
        callbacks.append(EvaluationCallback(config, folder))
    if config.save_freq:
        callbacks.append(CheckpointCallback(config, folder))
    return callbacks


@contextmanager
def catch_interrupts() -> Iterator[Callable[[], bool]]:
    """Yield whether Ctrl-C was pressed, instead of stopping at once; a second one does stop."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted.is_set
        return

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nstopping after this step; Ctrl-C again to stop at once", file=sys.stderr)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield interrupted.is_set
    finally:
        signal.signal(signal.SIGINT, before)


class _StopOnInterrupt(BaseCallback):
    """End the training after an interrupt."""

    def __init__(self, is_interrupted: Callable[[], bool]):
        super().__init__()
        self.is_interrupted = is_interrupted

    def _on_step(self) -> bool:
        return not self.is_interrupted()


def _learn_or_save(
    model: BaseAlgorithm, config: RunConfig, callbacks: list[BaseCallback], folder: RunFolder
) -> None:
    try:
        model.learn(config.n_timesteps, callback=CallbackList(callbacks))
    except TooManyEntitiesError as error:
        raise TooManyEntitiesError(
            _save_after_failure(model, config, folder, str(error))
        ) from error
    except Exception as error:
        raise TrainingFault(
            _save_after_failure(model, config, folder, _describe_error(error))
        ) from error


def _save_after_failure(
    model: BaseAlgorithm, config: RunConfig, folder: RunFolder, cause: str
) -> str:
    """Save what was trained, where that can be, and return what to say."""
    steps, outcome = model.num_timesteps, f"the run is {folder.path}"
    if not all(weights.isfinite().all() for weights in model.policy.parameters()):
        outcome = f"not saved, for its weights are not finite; {outcome}"
    elif steps:
        try:
            outcome = f"saved to {save_checkpoint(model, folder.final, config)}"
        except ValueError as error:  # a full disk may be the cause itself
            outcome = f"not saved: {error}; {outcome}"
    return f"training failed after {steps:,} steps ({outcome}): {cause}"


def _describe_error(error: Exception) -> str:
    """Say in a line what went wrong."""
    if isinstance(error, WorkerGoneError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def _draw_curve(folder: RunFolder) -> None:
    try:
        draw_learning_curve(folder)
    except ImportError:
        print('no learning curve: pip install "attention-agents[plots]"', file=sys.stderr)
