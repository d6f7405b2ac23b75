"""How fast an encoder trains in unmodified SB3 beside the stock network, paired in one run.

    python benchmarks/encoder_speed.py
    python benchmarks/encoder_speed.py --cases cartpole,minatar --encoder gate:context=false

Both take turns, in one process and one thread, so that a machine that slows down midway slows both
down. Time is the processor's. The ratio is taken turn by turn: its median, and its quartiles.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm

from attention_agents.agents.cli.command import run_script
from attention_agents.agents.config.validation import check_choice
from attention_agents.envs.make import make_env
from benchmarks.compared_tasks import CARTPOLE, MINATAR, Task, minatar
from benchmarks.learning import machine
from benchmarks.speed import take_turns
from benchmarks.table import markdown
from benchmarks.training_run import build, make_envs


class RandomPixels(gym.Env):
    """Pictures of random bytes, (4, 84, 84), as Atari's are; nothing can be learned."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (4, 84, 84), np.uint8)
        self.action_space = spaces.Discrete(6)
        self._pictures = np.random.default_rng(0).integers(
            256, size=(16, 4, 84, 84), dtype=np.uint8
        )
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._steps = 0
        return self._pictures[0], {}

    def step(self, action: Any):
        self._steps += 1
        return self._pictures[self._steps % 16], 0.0, False, self._steps == 1000, {}


@dataclass(frozen=True)
class Case:
    """A task, and what its stock network is."""

    task: Task
    turn: int
    """Environment steps per turn: whole rollouts."""
    baseline: str = "stock"


ATARI = {"n_steps": 128, "batch_size": 256, "n_epochs": 4}
CASES: Mapping[str, Case] = {
    "cartpole": Case(Task(partial(make_env, "CartPole-v1"), "ppo", 0, 8, "", CARTPOLE), 2048),
    "humanoid": Case(
        Task(
            partial(make_env, "Humanoid-v5"),
            *("ppo", 0, 8, "both"),
            hyperparameters={"n_steps": 256, "batch_size": 256},
        ),
        2048,
    ),
    "minatar": Case(
        Task(partial(minatar, "Breakout"), "ppo", 0, 64, "", MINATAR), 8192, baseline="cnn"
    ),
    "pixels": Case(Task(RandomPixels, "ppo", 0, 8, "", ATARI), 1024),
    "pendulum-sac": Case(
        Task(
            partial(make_env, "Pendulum-v1"),
            *("sac", 0),
            hyperparameters={"learning_rate": 1e-3, "learning_starts": 100},
        ),
        400,
    ),
}


@dataclass(frozen=True)
class EncoderSpeedConfig:
    """Measure how fast an encoder trains beside the stock network."""

    encoder: str = "gate"
    """Of benchmarks/encoders.py."""
    cases: str = ",".join(CASES)
    """Separated by commas."""
    repeats: int = 7
    """Turns of each."""


def main(config: EncoderSpeedConfig) -> None:
    if config.repeats < 1:
        raise ValueError(f"--repeats must be at least 1, got {config.repeats}")
    names = [check_choice("case", name, CASES) for name in config.cases.split(",")]
    torch.set_num_threads(1)
    seen = machine()
    print(f"{seen['cpu']}, {seen['cores']} cores, one thread; {config.repeats} turns of each\n")
    heads = ("case", "algorithm", "baseline", "its steps/s", f"{config.encoder}, steps/s")
    rows = (case_row(name, CASES[name], config) for name in names)
    print(markdown((*heads, "ratio (quartiles)"), rows))


def case_row(name: str, case: Case, config: EncoderSpeedConfig) -> tuple[str, ...]:
    """Measure one case and return its line."""
    stock, ours = (np.array(each) for each in case_speeds(case, config).values())
    low, middle, high = np.quantile(ours / stock, [0.25, 0.5, 0.75])
    return (
        *(name, case.task.algo, case.baseline),
        *(f"{np.median(stock):,.0f}", f"{np.median(ours):,.0f}"),
        f"{middle:.2f} ({low:.2f} to {high:.2f})",
    )


def case_speeds(case: Case, config: EncoderSpeedConfig) -> dict[str, list[float]]:
    """Return steps per second of the baseline and of the encoder, a number per turn."""
    with ExitStack() as stack:
        jobs: dict[str, Callable[[], float]] = {}
        for encoder in (case.baseline, config.encoder):
            env = make_envs(case.task, seed=0)
            stack.callback(env.close)
            jobs[encoder] = partial(learn, build(case.task, encoder, env, seed=0), case.turn)
        return take_turns(jobs, config.repeats)


def learn(model: BaseAlgorithm, steps: int) -> float:
    """Train on, and return environment steps per second of the processor."""
    start, before = time.process_time(), model.num_timesteps
    model.learn(steps, reset_num_timesteps=False)
    return (model.num_timesteps - before) / (time.process_time() - start)


if __name__ == "__main__":
    run_script(main, EncoderSpeedConfig)
