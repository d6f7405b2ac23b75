"""From a settled configuration to Stable-Baselines3 objects: environments and the algorithm."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import RecordEpisodeStatistics
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise, VectorizedActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize
from torch import nn

from attention_agents.agents.algorithms.classes import algorithm_class
from attention_agents.agents.algorithms.encoders import extractor_arguments
from attention_agents.agents.algorithms.hyperparameters import (
    constructor_parameters,
    read_hyperparameter,
)
from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.plugins import check_imported
from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.config.validation import first_line
from attention_agents.envs.make import make_env
from attention_agents.envs.random_streams import derive_seed
from attention_agents.envs.tokens.spaces import Features, build_layout, choose_specs
from attention_agents.envs.vector.subprocess_env import SafeSubprocVecEnv
from attention_agents.policies.sb3.pointer import PointerPolicy

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "gelu": nn.GELU}
REFUSALS = (AssertionError, TypeError, ValueError, KeyError, IndexError, RuntimeError)
"""How SB3 and torch say that an argument does not suit them."""
ADAM_EPS = 1e-5
"""What SB3 gives Adam in ppo and its kin; policy_kwargs would replace it by torch's 1e-8."""
POOLED_LSTM = 64
"""Numbers that a recurrent policy with a pooled encoder remembers, where nobody says."""


def make_vec_env(config: RunConfig, render_mode: str | None = None) -> VecEnv:
    """Make the environments of a run, side by side, each in a Monitor; normalized when asked."""
    make = partial(
        _make_monitored_env,
        config.env,
        render_mode=render_mode,
        training=True,
        history=config.history,
        max_entities=config.max_entities,
        max_episode_steps=config.max_episode_steps,
        env_kwargs=dict(config.env_kwargs),
    )
    kind = SafeSubprocVecEnv if config.vec_env == "subproc" else DummyVecEnv
    env: VecEnv = kind([make] * config.n_envs)
    if config.normalize_obs or config.normalize_reward:
        keys = normalized_keys(env.observation_space) if config.normalize_obs else None
        env = VecNormalize(
            env,
            norm_obs=config.normalize_obs,
            norm_reward=config.normalize_reward,
            gamma=config.hyperparams.get("gamma", 0.99),
            norm_obs_keys=keys if isinstance(env.observation_space, spaces.Dict) else None,
        )
    return env


def build_model(config: RunConfig, env: VecEnv) -> BaseAlgorithm:
    """Return the SB3 algorithm of a run with its encoder in front, ready to learn.

    Raises:
        ValueError: SB3 or torch does not take the arguments.
    """
    algorithm: Any = algorithm_class(config.algo)
    arguments = constructor_arguments(config, env.observation_space, env.action_space)
    if config.noise_std is not None:
        arguments["action_noise"] = _action_noise(config, env.action_space)
    try:
        model = algorithm(env=env, seed=config.seed, device=config.device, **arguments)
    except REFUSALS as error:
        settings = ", ".join(f"{name}={value}" for name, value in config.hyperparams.items())
        problem = f"{first_line(error)} ({settings or 'its defaults'})"
        raise ValueError(f"{config.algo} refused its arguments: {problem}") from error
    separate_streams(model, env, config.seed)
    return model


def separate_streams(model: BaseAlgorithm, env: VecEnv, seed: int) -> None:
    """Give environments and exploration random streams of their own: SB3 seeds both alike."""
    env.seed(derive_seed(seed, "training environments"))
    model.action_space.seed(derive_seed(seed, "exploration"))


def constructor_arguments(
    config: RunConfig, observation_space: spaces.Space, action_space: spaces.Space
) -> dict[str, Any]:
    """Return what the algorithm's constructor takes besides env, seed, device and noise."""
    arguments = {
        name: read_hyperparameter(name, value) for name, value in config.hyperparams.items()
    }
    tunes_entropy = "target_entropy" in constructor_parameters(config.algo)
    if tunes_entropy and arguments.get("target_entropy", "auto") == "auto":
        arguments["target_entropy"] = -float(np.prod(action_space.shape or 1))  # SB3's own
    policy = policy_class(config, observation_space)
    policy_kwargs = policy_arguments(config, observation_space)
    return {**arguments, "policy": policy, "policy_kwargs": policy_kwargs}


def policy_class(config: RunConfig, observation_space: spaces.Space) -> Any:
    """Return the policy, by SB3's name for it or as a class of ours."""
    algorithm, head = ALGORITHMS[config.algo], config.policy.head
    if head == "pointer" and algorithm.masks_actions:
        from attention_agents.policies.sb3.maskable_pointer import MaskablePointerPolicy

        return MaskablePointerPolicy
    if head == "pointer":
        return PointerPolicy
    if head == "attention-gru":
        from attention_agents.policies.sb3.recurrent import AttentionGRUPolicy

        return AttentionGRUPolicy
    reads = "MultiInput" if isinstance(observation_space, spaces.Dict) else "Mlp"
    return f"{reads}LstmPolicy" if algorithm.recurrent else f"{reads}Policy"


def policy_arguments(config: RunConfig, observation_space: spaces.Space) -> dict[str, Any]:
    """Return SB3's `policy_kwargs`; what nobody chose is left to SB3.

    Raises:
        PluginError: the run has a plugin that is not imported.
    """
    check_imported(config.plugins)
    policy, algorithm = config.policy, ALGORITHMS[config.algo]
    arguments = extractor_arguments(config, observation_space)
    if policy.net_arch is not None:
        arguments["net_arch"] = list(policy.net_arch)
    if policy.activation is not None:
        arguments["activation_fn"] = ACTIVATIONS[policy.activation]
    if algorithm.adam_eps:
        arguments["optimizer_kwargs"] = {"eps": ADAM_EPS}
    if algorithm.recurrent and policy.head == "mlp" and config.encoder.kind == "pooled":
        arguments["lstm_hidden_size"] = POOLED_LSTM
    options = {name: getattr(policy, name, None) for name in algorithm.options}
    return arguments | {name: value for name, value in options.items() if value is not None}


def normalized_keys(space: spaces.Space) -> list[str]:
    """Return the keys whose observations are vectors of features; [""] for such a vector itself.

    Categories, masks and pictures must stay as they are.

    Raises:
        ValueError: no part of the observation is a feature vector.
    """
    specs = choose_specs(space)
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    keys = [
        key
        for key, spec in specs.items()
        if isinstance(spec, Features) and isinstance(parts[key], spaces.Box)
    ]
    if not keys:
        kinds = ", ".join(sorted({group.kind for group in build_layout(specs).groups}))
        raise ValueError(
            f"only feature vectors can be normalized, this observation is made of {kinds}; "
            "use --normalize False"
        )
    return keys


def _make_monitored_env(env_id: str, **arguments: Any) -> gym.Env:
    env = make_env(env_id, **arguments)
    counts = is_wrapped(env, RecordEpisodeStatistics)  # below what a family changes for training
    return env if counts else Monitor(env)


def _action_noise(
    config: RunConfig, space: spaces.Space
) -> NormalActionNoise | VectorizedActionNoise:
    shape = space.shape or (1,)
    noise = NormalActionNoise(np.zeros(shape), np.full(shape, config.noise_std))
    return VectorizedActionNoise(noise, config.n_envs) if config.n_envs > 1 else noise
