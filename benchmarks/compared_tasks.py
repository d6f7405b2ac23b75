"""The tasks on which encoders are compared, with the hyperparameters that both sides get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym

from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.validation import check_choice
from attention_agents.envs.make import make_env
from benchmarks.noise import NoiseBorder, NoiseFeatures

ZOO, DEFAULTS, OURS = "RL Zoo", "SB3 defaults", "own"


@dataclass(frozen=True)
class Task:
    """An environment, an algorithm, and how long it trains."""

    make: Callable[[], gym.Env]
    algo: str
    steps: int
    n_envs: int = 1
    normalize: str = ""
    """What `VecNormalize` rescales: "" for nothing, "rewards", or "both" with observations."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """Of the SB3 algorithm; "lin_X" falls linearly from X to 0; all others as SB3 has them."""
    source: str = DEFAULTS
    """Where the hyperparameters come from."""
    encoders: tuple[str, ...] = ("gate", "stock")
    """What is compared; the last is what the others are held against."""
    episodes: int = 50
    """Of the final evaluation."""


def minatar(game: str, border: bool = False) -> gym.Env:
    """Make a MinAtar game with sticky actions (0.1) and at most 5000 steps."""
    env = make_env(f"MinAtar/{game}-v1", max_episode_steps=5000)
    return NoiseBorder(env) if border else env


def noisy(env_id: str, count: int = 60) -> gym.Env:
    """Make an environment with features of noise."""
    return NoiseFeatures(make_env(env_id), count)


def bit_flipping(bits: int) -> gym.Env:
    """Make the task of flipping bits until all are 1, a reward of -1 for each step before."""
    from stable_baselines3.common.envs import BitFlippingEnv

    return BitFlippingEnv(n_bits=bits)


def identity(choices: int) -> gym.Env:
    """Make the task of naming the observed choice, where most of the others are masked out."""
    from sb3_contrib.common.envs import InvalidActionEnvDiscrete

    return InvalidActionEnvDiscrete(dim=choices, n_invalid_actions=choices - 20)


CARTPOLE = {
    "n_steps": 32,
    "batch_size": 256,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "n_epochs": 20,
    "learning_rate": "lin_0.001",
    "clip_range": "lin_0.2",
}
LUNAR_LANDER = {
    "n_steps": 1024,
    "batch_size": 64,
    "gae_lambda": 0.98,
    "gamma": 0.999,
    "n_epochs": 4,
    "ent_coef": 0.01,
}
ACROBOT = {"n_steps": 256, "gae_lambda": 0.94, "gamma": 0.99, "n_epochs": 4}
HOPPER = {
    "batch_size": 32,
    "n_steps": 512,
    "gamma": 0.999,
    "learning_rate": 9.80828e-05,
    "ent_coef": 0.00229519,
    "n_epochs": 5,
    "gae_lambda": 0.99,
    "max_grad_norm": 0.7,
    "vf_coef": 0.835671,
    "policy_kwargs": {
        "log_std_init": -2,
        "ortho_init": False,
        "activation_fn": "relu",
        "net_arch": [256, 256],
    },
}
SAC_LANDER = {
    "learning_rate": "lin_7.3e-4",
    "tau": 0.01,
    "learning_starts": 10_000,
    "policy_kwargs": {"net_arch": [400, 300]},
}
MINATAR = {
    "n_steps": 128,
    "batch_size": 1024,
    "n_epochs": 4,
    "gae_lambda": 0.95,
    "gamma": 0.99,
    "ent_coef": 0.01,
    "learning_rate": "lin_1e-3",
    "clip_range": "lin_0.2",
}
BITS = {
    "learning_rate": 1e-3,
    "gamma": 0.95,
    "learning_starts": 100,
    "batch_size": 256,
    "train_freq": 1,
    "target_update_interval": 100,
    "exploration_fraction": 0.5,
    "buffer_size": 50_000,
    "her": True,
}
DOORKEY = {
    "n_steps": 128,
    "batch_size": 256,
    "n_epochs": 10,
    "ent_coef": 0.01,
    "learning_rate": "lin_1e-3",
}
TABLES = {"n_steps": 128, "batch_size": 256, "ent_coef": 0.01, "learning_rate": 1e-3}
FROZEN_LAKE = TABLES | {"normalize_advantage": False}
"""Normalized, advantages that are almost 0 before the first reward move the policy all the same."""
COLLECT = {"n_steps": 128, "batch_size": 256, "learning_rate": "lin_1e-3", "ent_coef": 0.01}
CNN, POOLED = ("gate", "cnn"), ("pooled", "stock")

TASKS = {
    "cartpole-noise": Task(
        partial(noisy, "CartPole-v1"), "ppo", 100_000, 8, hyperparameters=CARTPOLE, source=ZOO
    ),
    "lunarlander-noise": Task(
        partial(noisy, "LunarLander-v3"),
        *("ppo", 500_000, 16),
        hyperparameters=LUNAR_LANDER,
        source=ZOO,
    ),
    "breakout-noise": Task(
        partial(minatar, "Breakout", border=True),
        *("ppo", 600_000, 64),
        hyperparameters=MINATAR,
        source=OURS,
        encoders=CNN,
    ),
    "bits10": Task(partial(bit_flipping, 10), "dqn", 3000, hyperparameters=BITS, source=OURS),
    "bits15": Task(partial(bit_flipping, 15), "dqn", 10_000, hyperparameters=BITS, source=OURS),
    "identity70": Task(
        partial(identity, 70),
        *("ppo_mask", 8192),
        hyperparameters={"n_steps": 256, "gamma": 0.4},
        source=OURS,
    ),
    "cartpole": Task(
        partial(make_env, "CartPole-v1"), "ppo", 50_000, 8, hyperparameters=CARTPOLE, source=ZOO
    ),
    "acrobot": Task(
        partial(make_env, "Acrobot-v1"),
        *("ppo", 150_000, 16, "both"),
        hyperparameters=ACROBOT,
        source=ZOO,
    ),
    "pendulum": Task(
        partial(make_env, "Pendulum-v1"),
        *("sac", 8000),
        hyperparameters={"learning_rate": 1e-3},
        source=ZOO,
    ),
    "taxi": Task(
        partial(make_env, "Taxi-v4"), "ppo", 200_000, 8, hyperparameters=TABLES, source=OURS
    ),
    "frozenlake": Task(
        partial(make_env, "FrozenLake8x8-v1", env_kwargs={"is_slippery": False}),
        *("ppo", 100_000, 8),
        hyperparameters=FROZEN_LAKE,
        source=OURS,
    ),
    "doorkey": Task(
        partial(make_env, "MiniGrid-DoorKey-5x5-v0"),
        *("ppo", 100_000, 8, "rewards"),
        hyperparameters=DOORKEY,
        source=OURS,
        encoders=("gate", "ungated", "stock"),
    ),
    "collect": Task(
        partial(make_env, "attention/Collect-v0", env_kwargs={"fruit": 5, "mines": 3}),
        *("ppo_mask", 100_000, 8),
        hyperparameters=COLLECT,
        source=OURS,
        encoders=POOLED,
    ),
    "collect-fruit": Task(
        partial(make_env, "attention/Collect-v0", env_kwargs={"fruit": 8, "mines": 0}),
        *("ppo_mask", 100_000, 8),
        hyperparameters=COLLECT,
        source=OURS,
        encoders=POOLED,
    ),
    "lunarlander": Task(
        partial(make_env, "LunarLander-v3"),
        *("ppo", 1_000_000, 16),
        hyperparameters=LUNAR_LANDER,
        source=ZOO,
    ),
    "breakout": Task(
        partial(minatar, "Breakout"),
        *("ppo", 1_000_000, 64),
        hyperparameters=MINATAR,
        source=OURS,
        encoders=CNN,
    ),
    "spaceinvaders": Task(
        partial(minatar, "SpaceInvaders"),
        *("ppo", 1_000_000, 64),
        hyperparameters=MINATAR,
        source=OURS,
        encoders=CNN,
    ),
    "hopper": Task(
        partial(make_env, "Hopper-v5"),
        *("ppo", 300_000, 1, "both"),
        hyperparameters=HOPPER,
        source=ZOO,
    ),
    "lunarlander-continuous": Task(
        partial(make_env, "LunarLander-v3", env_kwargs={"continuous": True}),
        *("sac", 50_000),
        hyperparameters=SAC_LANDER,
        source=ZOO,
    ),
}
"""The noise tasks, then the panel."""


def find_task(name: str, algo: str | None = None) -> Task:
    """Return a task by its name, or one for any environment with SB3's defaults.

    Args:
        name: of the table, or the id of an environment.
        algo: name of the algorithm; None for the table's, else ppo.

    Raises:
        ValueError: there is no such algorithm, or the task of that name has another.
    """
    if algo is not None:
        check_choice("algorithm", algo, ALGORITHMS)
    if name not in TASKS:
        return Task(partial(make_env, name), algo or "ppo", 100_000)
    if algo not in (None, TASKS[name].algo):
        raise ValueError(f"the task {name} is of {TASKS[name].algo}, not {algo}")
    return TASKS[name]
