"""What happens now and then while a run trains: it is evaluated, and it is saved."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents.checkpoint import Observation, save_checkpoint
from agents.config import RunConfig
from agents.episodes import GreedyActor, play
from agents.run_folder import RunFolder
from envs.make import make_env

SEED_OFFSET = 1_000_000
"""Evaluation episode i of a run with seed s has the seed SEED_OFFSET * (s + 1) + i."""
SIDE_BY_SIDE = 8
"""Evaluation environments at most."""


class Evaluation(NamedTuple):
    """One row of evaluations.csv."""

    step: int
    episodes: int
    mean_reward: float
    std_reward: float
    """Standard deviation over the episodes (ddof=0)."""
    mean_length: float
    """Steps."""


class EvaluationCallback(BaseCallback):
    """Play whole episodes with the most likely actions, every `config.eval_freq` steps.

    It has environments and seeds of its own, and leaves the run's random streams as they were. The
    rewards are the environment's own, neither clipped nor normalised. The best policy so far is
    kept in `folder.best`; of equals, the later one.
    """

    def __init__(self, config: RunConfig, folder: RunFolder):
        super().__init__()
        self.config, self.folder = config, folder
        self.envs: list[gym.Env] = []
        self.best = -np.inf

    def _on_training_start(self) -> None:
        self.next = self.num_timesteps + self.config.eval_freq
        count = min(self.config.eval_episodes, SIDE_BY_SIDE)
        self.envs = [
            make_env(
                self.config.env,
                history=self.config.history,
                env_kwargs=dict(self.config.env_kwargs),
            )
            for _ in range(count)
        ]

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.next:
            self.next += self.config.eval_freq * (
                1 + (self.num_timesteps - self.next) // self.config.eval_freq
            )
            self.evaluate()
        return True

    def _on_training_end(self) -> None:
        for env in self.envs:
            env.close()

    def evaluate(self) -> Evaluation:
        """Evaluate the present policy, write the row, keep the policy if it is the best."""
        first = SEED_OFFSET * (self.config.seed + 1)
        seeds = range(first, first + self.config.eval_episodes)
        with random_streams_kept():
            episodes = play(self.envs, GreedyActor(self._predict), seeds, lambda info, score: None)
        scores = np.array([episode.score for episode in episodes])
        row = Evaluation(
            step=self.num_timesteps,
            episodes=len(episodes),
            mean_reward=float(scores.mean()),
            std_reward=float(scores.std()),
            mean_length=float(np.mean([episode.length for episode in episodes])),
        )
        append_row(self.folder.evaluations_file, row)
        self.logger.record("eval/mean_reward", row.mean_reward)
        self.logger.record("eval/mean_ep_length", row.mean_length)
        if row.mean_reward >= self.best:
            self.best = row.mean_reward
            save_checkpoint(self.model, self.folder.best, self.config)
        return row

    def _predict(self, observations: Observation) -> np.ndarray:
        normalize = self.model.get_vec_normalize_env()
        if normalize is not None:
            observations = normalize.normalize_obs(observations)
        return self.model.predict(observations, deterministic=True)[0]


class CheckpointCallback(BaseCallback):
    """Save a checkpoint every `config.save_freq` steps."""

    def __init__(self, config: RunConfig, folder: RunFolder):
        super().__init__()
        self.config, self.folder = config, folder

    def _on_training_start(self) -> None:
        self.next = self.num_timesteps + self.config.save_freq

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.next:
            self.next += self.config.save_freq * (
                1 + (self.num_timesteps - self.next) // self.config.save_freq
            )
            save_checkpoint(self.model, self.folder.step(self.num_timesteps), self.config)
        return True


def append_row(path: Path, row: Evaluation) -> None:
    """Add a row to a csv file, with a heading when the file is made."""
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(Evaluation._fields)
        writer.writerow(row)


def read_rows(path: Path) -> list[Evaluation]:
    """Read what `append_row` wrote; no rows when there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Evaluation(int(r["step"]), int(r["episodes"]), *(float(r[k]) for k in Evaluation._fields[2:]))
            for r in csv.DictReader(file)
        ]


@contextmanager
def random_streams_kept() -> Iterator[None]:
    """Give Python's, numpy's and torch's global generators their state back at the end."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
