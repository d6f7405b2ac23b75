"""How good the policy of a run is while it trains: evaluations.csv, and the best policy so far."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.rollouts.episodes import GreedyActor, play_episodes
from attention_agents.agents.rollouts.eval_env import make_eval_env
from attention_agents.agents.rollouts.policy_calls import Observation, policy_function
from attention_agents.agents.rollouts.seeds import periodic_seeds
from attention_agents.agents.runs.checkpoint import save_checkpoint
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.callbacks.periodic import (
    PeriodicCallback,
    random_streams_kept,
)

SIDE_BY_SIDE = 8
"""Environments of an evaluation, at most."""


class Evaluation(NamedTuple):
    """One row of evaluations.csv."""

    step: int
    episodes: int
    mean_reward: float
    std_reward: float
    """Standard deviation over the episodes (ddof=0)."""
    mean_length: float
    """Steps."""


class EvaluationCallback(PeriodicCallback):
    """Play whole episodes with the most likely actions, every `config.eval_freq` steps.

    It has environments and seeds of its own, and leaves the run's random streams as they were. The
    rewards are the environment's own, neither clipped nor normalized. The best policy so far is
    kept in `folder.best`; of equals, the later one. An evaluation is left out while those before it
    took more than `config.eval_share` of the steps trained, but for the last one of the run.
    """

    def __init__(self, config: RunConfig, folder: RunFolder):
        super().__init__(config.eval_freq)
        self.config, self.folder = config, folder
        self.envs: list[gym.Env] = []
        self.best = -np.inf
        self.steps = 0
        """Of all evaluations so far."""

    def _on_training_start(self) -> None:
        super()._on_training_start()
        count = min(self.config.eval_episodes, SIDE_BY_SIDE)
        with random_streams_kept():
            self.envs = [make_eval_env(self.config) for _ in range(count)]

    def _on_training_end(self) -> None:
        for env in self.envs:
            env.close()

    def on_interval(self) -> None:
        if not self._is_affordable():
            return
        seeds = periodic_seeds(self.config.seed, self.config.eval_episodes)
        with random_streams_kept():
            episodes = play_episodes(self.envs, greedy_actor(self.model), seeds)
        self.steps += sum(episode.length for episode in episodes)
        returns = np.array([episode.episode_return for episode in episodes])
        row = Evaluation(
            step=self.num_timesteps,
            episodes=len(episodes),
            mean_reward=float(returns.mean()),
            std_reward=float(returns.std()),
            mean_length=float(np.mean([episode.length for episode in episodes])),
        )
        append_row(self.folder.evaluations_file, row)
        self.logger.record("eval/mean_reward", row.mean_reward)
        self.logger.record("eval/mean_ep_length", row.mean_length)
        if row.mean_reward >= self.best:
            self.best = row.mean_reward
            save_checkpoint(self.model, self.folder.best, self.config)

    def _is_affordable(self) -> bool:
        share, trained = self.config.eval_share, self.num_timesteps
        last = trained + self.config.eval_freq > self.config.n_timesteps
        return share is None or last or self.steps <= share * trained


def greedy_actor(model: BaseAlgorithm) -> GreedyActor:
    """Let a policy that is training take its most likely actions."""
    return GreedyActor(
        policy_function(model, lambda observations: normalize_observations(model, observations))
    )


def normalize_observations(model: BaseAlgorithm, observations: Observation) -> Observation:
    """Return observations as the policy that is training sees them; statistics stay."""
    normalize = model.get_vec_normalize_env()
    return observations if normalize is None else normalize.normalize_obs(observations)


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
            Evaluation(
                step=int(row["step"]),
                episodes=int(row["episodes"]),
                mean_reward=float(row["mean_reward"]),
                std_reward=float(row["std_reward"]),
                mean_length=float(row["mean_length"]),
            )
            for row in csv.DictReader(file)
        ]
