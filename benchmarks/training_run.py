"""One run: an encoder trained on a task by unmodified SB3, its evaluation, and its figures.

One thread. Time is the processor's (`time.process_time`), which other programs on the machine
change less than they change the clock on the wall; that is kept too.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.utils import LinearSchedule, set_random_seed
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, sync_envs_normalization

from attention_agents.agents.algorithms.build import separate_streams
from attention_agents.agents.algorithms.classes import algorithm_class
from attention_agents.agents.runs.run_folder import package_versions
from attention_agents.envs.random_streams import derive_seed
from benchmarks.compared_tasks import Task
from benchmarks.encoders import count_parameters, encoder_kwargs, policy_name

EVALUATION_SEED = 1_000_000
"""Evaluations of training seed s have seeds from this plus 1000 s on."""
EVALUATION_ENVS = 10
BINS = 50
"""Points of a learning curve."""
RANDOM = "random"
"""In place of an encoder: actions at random among those that are allowed."""

Result = dict[str, Any]


def train_run(name: str, task: Task, encoder: str, seed: int, steps: int) -> Result:
    """Train an encoder on a task and return its figures, as plain JSON.

    Args:
        name: of the task.
        task: the environment, the algorithm and its hyperparameters.
        encoder: a word of `ENCODERS`.
        seed: of the training.
        steps: of the environment.
    """
    torch.set_num_threads(1)
    env = make_envs(task, seed)
    model = build(task, encoder, env, seed)
    episodes = EpisodeCallback()
    wall, cpu = time.perf_counter(), time.process_time()
    model.learn(steps, callback=episodes)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    returns = evaluate_model(model, task, seed)
    env.close()
    return {
        **settings(name, task, encoder, seed, steps),
        "returns": returns,
        "mean": float(np.mean(returns)),
        "curve": episodes.curve(steps),
        "train_steps": model.num_timesteps,
        "wall_seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "parameters": count_parameters(model.policy),
        **provenance(),
    }


def random_run(name: str, task: Task, steps: int) -> Result:
    """Return the figures of a policy that acts at random, in the form of `train_run`."""
    env = make_envs(task, EVALUATION_SEED, 1, training=False)
    env.action_space.seed(derive_seed(EVALUATION_SEED, "random policy"))
    env.reset()
    returns: list[float] = []
    while len(returns) < 2 * task.episodes:
        action = _random_action(env)
        info = env.step(np.array([action]))[3][0]
        if "episode" in info:
            returns.append(float(info["episode"]["r"]))
    env.close()
    found = {"returns": returns, "mean": float(np.mean(returns)), **provenance()}
    return settings(name, task, RANDOM, 0, steps) | found


def settings(name: str, task: Task, encoder: str, seed: int, steps: int) -> Result:
    """Return all that decides how a run goes, apart from versions."""
    return {
        "task": name,
        "algo": task.algo,
        "encoder": encoder,
        "seed": seed,
        "steps": steps,
        "n_envs": task.n_envs,
        "normalize": task.normalize,
        "hyperparameters": json.loads(json.dumps(dict(task.hyperparameters))),
        "episodes": task.episodes,
    }


def build(task: Task, encoder: str, env: VecEnv, seed: int) -> BaseAlgorithm:
    """Return an SB3 model with an encoder."""
    words = {key: _value(value) for key, value in task.hyperparameters.items()}
    kwargs = dict(words.pop("policy_kwargs", {}))
    if kwargs.get("activation_fn") == "relu":
        kwargs["activation_fn"] = torch.nn.ReLU
    if words.pop("her", False):
        from stable_baselines3 import HerReplayBuffer

        words["replay_buffer_class"] = HerReplayBuffer
    space = env.observation_space
    kwargs = encoder_kwargs(encoder, task.algo, space) | kwargs
    algorithm: Any = algorithm_class(task.algo)
    model = algorithm(
        policy_name(space), env, policy_kwargs=kwargs, seed=seed, device="cpu", **words
    )
    separate_streams(model, env, seed)
    return model


def make_envs(task: Task, seed: int, n_envs: int | None = None, training: bool = True) -> VecEnv:
    """Return a task's environments, with the returns of their episodes in `info`."""
    env: VecEnv = make_vec_env(task.make, n_envs or task.n_envs, seed=seed)
    if task.normalize:
        gamma = task.hyperparameters.get("gamma", 0.99)
        both = task.normalize == "both"
        env = VecNormalize(env, training, norm_obs=both, norm_reward=training, gamma=gamma)
    return env


def evaluate_model(model: BaseAlgorithm, task: Task, seed: int) -> list[float]:
    """Play a task's episodes with the likeliest actions, in environments of their own."""
    seed = EVALUATION_SEED + 1000 * seed
    env = make_envs(task, seed, min(EVALUATION_ENVS, task.episodes), training=False)
    if isinstance(env, VecNormalize):
        training_env = model.get_env()
        assert training_env is not None
        sync_envs_normalization(training_env, env)
    set_random_seed(seed)
    evaluate: Any = evaluate_policy
    if task.algo == "ppo_mask":
        from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate
    returns, _ = evaluate(
        model, env, task.episodes, deterministic=True, return_episode_rewards=True
    )
    env.close()
    return [float(value) for value in returns]


def write_result(path: Path, result: Result) -> None:
    """Write a result at once: it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(part, path)


class EpisodeCallback(BaseCallback):
    """Keep the steps, processor's seconds and return of each episode that ends while training."""

    def __init__(self) -> None:
        super().__init__()
        self.episodes: list[tuple[int, float, float]] = []
        self._start = 0.0

    def _on_training_start(self) -> None:
        self._start = time.process_time()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                seconds = time.process_time() - self._start
                self.episodes.append((self.num_timesteps, seconds, float(info["episode"]["r"])))
        return True

    def curve(self, steps: int) -> list[dict[str, float]]:
        """Return the mean return of the episodes that ended in each of `BINS` parts of training."""
        seen = np.array(self.episodes).reshape(-1, 3)
        parts = np.minimum((seen[:, 0] - 1) * BINS // steps, BINS - 1)
        return [
            {
                "steps": int((part + 1) * steps // BINS),
                "cpu_seconds": round(float(seen[parts == part, 1].max()), 3),
                "return": round(float(seen[parts == part, 2].mean()), 4),
                "episodes": int((parts == part).sum()),
            }
            for part in range(BINS)
            if (parts == part).any()
        ]


def provenance() -> Result:
    """Return the commit, the versions and the processor that made a result."""
    return {
        "commit": _commit(),
        "versions": package_versions(),
        "cpu": _processor(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _value(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("lin_"):
        return LinearSchedule(float(value[4:]), 0.0, 1.0)
    return dict(value) if isinstance(value, Mapping) else value


def _random_action(env: VecEnv) -> int | np.ndarray:
    if not env.has_attr("action_masks"):
        return env.action_space.sample()
    mask = np.array(env.env_method("action_masks")[0], np.int8)
    assert isinstance(env.action_space, gym.spaces.Discrete)
    return env.action_space.sample(mask)


def _commit() -> str:
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
