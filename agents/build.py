"""From a settled configuration to Stable-Baselines3 objects: environments and the algorithm."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise, VectorizedActionNoise
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecNormalize
from torch import nn

from agents.config import DEVICES, RunConfig, known
from envs.make import make_env
from envs.spaces import Features, layout_of, specs_of
from policies.extractor import AttentionExtractor

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "ppo": PPO,
    "dqn": DQN,
    "a2c": A2C,
    "sac": SAC,
    "td3": TD3,
}
DISCRETE: tuple[type[spaces.Space], ...] = (spaces.Discrete,)
CONTINUOUS: tuple[type[spaces.Space], ...] = (spaces.Box,)
ANY = (*DISCRETE, *CONTINUOUS, spaces.MultiDiscrete, spaces.MultiBinary)
ACTIONS = {"ppo": ANY, "dqn": DISCRETE, "a2c": ANY, "sac": CONTINUOUS, "td3": CONTINUOUS}
"""Action spaces that each algorithm can act in."""

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "gelu": nn.GELU}
OURS = ("policy", "env", "seed", "device", "verbose", "tensorboard_log", "policy_kwargs")
OURS += ("action_noise", "_init_setup_model")
SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")
ADAM_EPS = 1e-5
"""What SB3 gives ppo's Adam; policy_kwargs would replace it by torch's 1e-8."""


def check(config: RunConfig, env: gym.Env) -> None:
    """Refuse what cannot be trained, before anything is made.

    Args:
        config: the run.
        env: an environment of the run, only looked at.

    Raises:
        ValueError: the algorithm does not fit the actions, an argument of the algorithm is unknown
            or of the wrong type, the observation cannot be cut into tokens or normalised as asked,
            or the device is not there.
    """
    if not isinstance(env.action_space, ACTIONS[config.algo]):
        fitting = [algo for algo, kinds in ACTIONS.items() if isinstance(env.action_space, kinds)]
        raise ValueError(
            f"{config.algo} cannot act in {env.action_space} of {config.env}; use --algo "
            f"{' or '.join(fitting)}"
        )
    layout_of(specs_of(env.observation_space, config.encoder.tokens))
    check_hyperparams(config)
    if config.normalize_obs:
        normalised_keys(env.observation_space)
    check_device(config.device)


def check_device(device: str) -> None:
    """Refuse a device that is unknown or not there, where SB3 would quietly take the CPU.

    Raises:
        ValueError: it is neither auto nor one of torch's that this machine has.
    """
    name = known("device", device.partition(":")[0], DEVICES)
    if (name == "cuda" and not torch.cuda.is_available()) or (
        name == "mps" and not torch.backends.mps.is_available()
    ):
        raise ValueError(f"torch finds no {name} device; use --device cpu")


def make_vec_env(config: RunConfig, render_mode: str | None = None) -> VecEnv:
    """Make the environments of a run, side by side, each in a Monitor; normalised when asked."""
    make = partial(
        _make_one,
        config.env,
        render_mode=render_mode,
        training=True,
        history=config.history,
        env_kwargs=dict(config.env_kwargs),
    )
    kind = SubprocVecEnv if config.vec_env == "subproc" else DummyVecEnv
    env: VecEnv = kind([make] * config.n_envs)
    if config.normalize_obs or config.normalize_reward:
        keys = normalised_keys(env.observation_space) if config.normalize_obs else None
        env = VecNormalize(
            env,
            norm_obs=config.normalize_obs,
            norm_reward=config.normalize_reward,
            gamma=config.hyperparams.get("gamma", 0.99),
            norm_obs_keys=keys if isinstance(env.observation_space, spaces.Dict) else None,
        )
    return env


def build_model(config: RunConfig, env: VecEnv) -> BaseAlgorithm:
    """Return the SB3 algorithm of a run, with an `AttentionExtractor` in front, ready to learn."""
    arguments = constructor_arguments(config, env.observation_space, env.action_space)
    if config.noise_std is not None:
        arguments["action_noise"] = _noise(config, env.action_space)
    return ALGORITHMS[config.algo](env=env, seed=config.seed, device=config.device, **arguments)


def constructor_arguments(
    config: RunConfig, observation_space: spaces.Space, action_space: spaces.Space
) -> dict[str, Any]:
    """Return what the algorithm's constructor takes besides env, seed, device and noise."""
    arguments = {name: _value(name, value) for name, value in config.hyperparams.items()}
    if config.algo == "sac" and arguments.get("target_entropy", "auto") == "auto":
        arguments["target_entropy"] = -float(np.prod(action_space.shape or 1))  # SB3's own
    policy = "MultiInputPolicy" if isinstance(observation_space, spaces.Dict) else "MlpPolicy"
    return {**arguments, "policy": policy, "policy_kwargs": policy_arguments(config)}


def policy_arguments(config: RunConfig) -> dict[str, Any]:
    """Return SB3's `policy_kwargs`."""
    encoder, policy = config.encoder, config.policy
    tokens = encoder.tokens
    arguments: dict[str, Any] = {
        "features_extractor_class": AttentionExtractor,
        "features_extractor_kwargs": {
            "tokens": dict(tokens) if isinstance(tokens, Mapping) else tokens,
            "layers": encoder.layers,
            "heads": encoder.heads,
            "width": encoder.width,
            "readout": encoder.readout,
        },
        "net_arch": list(policy.net_arch),
        "activation_fn": ACTIVATIONS[policy.activation],
    }
    if config.algo == "ppo":
        arguments["optimizer_kwargs"] = {"eps": ADAM_EPS}
    if policy.share_features_extractor is not None:
        arguments["share_features_extractor"] = policy.share_features_extractor
    if policy.log_std_init is not None:
        arguments["log_std_init"] = policy.log_std_init
    return arguments


def normalised_keys(space: spaces.Space) -> list[str]:
    """Return the keys whose observations are vectors of features; [""] for such a vector itself.

    Categories, masks and pictures must stay as they are.

    Raises:
        ValueError: no part of the observation is a feature vector.
    """
    specs = specs_of(space)
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    keys = [
        key
        for key, spec in specs.items()
        if isinstance(spec, Features) and isinstance(parts[key], spaces.Box)
    ]
    if not keys:
        kinds = ", ".join(sorted({group.kind for group in layout_of(specs).groups}))
        raise ValueError(
            f"only feature vectors can be normalised, this observation is made of {kinds}; "
            "use --normalize False"
        )
    return keys


def _make_one(env_id: str, **arguments: Any) -> gym.Env:
    return Monitor(make_env(env_id, **arguments))


def _noise(config: RunConfig, space: spaces.Space) -> NormalActionNoise | VectorizedActionNoise:
    shape = space.shape or (1,)
    noise = NormalActionNoise(np.zeros(shape), np.full(shape, config.noise_std))
    return VectorizedActionNoise(noise, config.n_envs) if config.n_envs > 1 else noise


def check_hyperparams(config: RunConfig) -> None:
    signature = inspect.signature(ALGORITHMS[config.algo].__init__).parameters
    allowed = [name for name in signature if name not in (*OURS, "self") and "_buffer_" not in name]
    for name, value in config.hyperparams.items():
        known(f"argument of {config.algo}", name, allowed)
        default = signature[name].default
        if name in SCHEDULED and isinstance(value, str):
            _schedule(name, value)
        elif name != "train_freq" and not _fits(value, default):
            raise ValueError(
                f"{name} of {config.algo} must be like its default {default!r}, got {value!r}"
            )
        elif name in ("n_steps", "batch_size", "buffer_size", "n_epochs") and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if config.algo == "ppo" and config.n_envs * config.hyperparams.get("n_steps", 2048) < 2:
        raise ValueError("ppo needs n_envs * n_steps of at least 2, got 1")


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or isinstance(value, (int, float, str))


def _value(name: str, value: Any) -> Any:
    if name in SCHEDULED and isinstance(value, str):
        return _schedule(name, value)
    return tuple(value) if isinstance(value, list) else value


def _schedule(name: str, text: str) -> Callable[[float], float]:
    """Read "lin_X": X at the start, 0 at the end."""
    word, _, number = text.partition("_")
    try:
        if word != "lin":
            raise ValueError
        return LinearSchedule(float(number), 0.0, 1.0)
    except ValueError:
        raise ValueError(f"{name} must be a number or lin_<number>, got {text!r}") from None
