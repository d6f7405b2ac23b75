"""From a settled configuration to Stable-Baselines3 objects: environments and the algorithm."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.wrappers import RecordEpisodeStatistics
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise, VectorizedActionNoise
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize
from torch import nn

from agents.config import DEVICES, RunConfig, known
from agents.judged_env import reason
from agents.workers import Workers
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
COUNTS = ("n_steps", "batch_size", "buffer_size", "n_epochs", "policy_delay")
REFUSALS = (AssertionError, TypeError, ValueError, KeyError, IndexError, RuntimeError)
"""How SB3 and torch say that an argument does not suit them."""
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
            the replay buffer does not fit into memory, or the device is not there.
    """
    if not isinstance(env.action_space, ACTIONS[config.algo]):
        fitting = [algo for algo, kinds in ACTIONS.items() if isinstance(env.action_space, kinds)]
        raise ValueError(
            f"{config.algo} cannot act in {env.action_space} of {config.env}; use --algo "
            f"{' or '.join(fitting)}"
        )
    layout_of(specs_of(env.observation_space, config.encoder.tokens))
    check_hyperparams(config)
    check_buffer(config, env.observation_space)
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
    try:
        if device != "auto":
            torch.empty(0, device=device)
    except RuntimeError as error:
        raise ValueError(
            f"there is no device {device!r}: {reason(error)}; use --device cpu"
        ) from error


def check_buffer(config: RunConfig, space: spaces.Space) -> None:
    """Refuse a replay buffer that is larger than the machine's memory.

    Args:
        config: the run.
        space: of its observations.

    Raises:
        ValueError: the buffer does not fit.
    """
    size = inspect.signature(ALGORITHMS[config.algo].__init__).parameters.get("buffer_size")
    memory = machine_memory()
    if size is None or memory is None:
        return
    steps = config.hyperparams.get("buffer_size", size.default)
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else (space,)
    step = sum(int(np.prod(each.shape or 1)) * np.dtype(each.dtype).itemsize for each in parts)
    step *= 1 if config.hyperparams.get("optimize_memory_usage") else 2  # and what comes after
    if steps * step > memory:
        raise ValueError(
            f"a replay buffer of {steps:,} steps takes {steps * step / 1e9:.1f} GB, this machine "
            f"has {memory / 1e9:.1f} GB; use --hyperparams buffer_size:{memory // 4 // step}"
        )


def machine_memory() -> int | None:
    """Return the machine's memory in bytes, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):
        return None


def make_vec_env(config: RunConfig, render_mode: str | None = None) -> VecEnv:
    """Make the environments of a run, side by side, each in a Monitor; normalised when asked."""
    make = partial(
        _make_one,
        config.env,
        render_mode=render_mode,
        training=True,
        history=config.history,
        max_episode_steps=config.max_episode_steps,
        env_kwargs=dict(config.env_kwargs),
    )
    kind = Workers if config.vec_env == "subproc" else DummyVecEnv
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
    """Return the SB3 algorithm of a run, with an `AttentionExtractor` in front, ready to learn.

    Raises:
        ValueError: SB3 or torch does not take the arguments.
    """
    arguments = constructor_arguments(config, env.observation_space, env.action_space)
    if config.noise_std is not None:
        arguments["action_noise"] = _noise(config, env.action_space)
    try:
        return ALGORITHMS[config.algo](env=env, seed=config.seed, device=config.device, **arguments)
    except REFUSALS as error:
        given = ", ".join(f"{name}={value}" for name, value in config.hyperparams.items())
        raise ValueError(
            f"{config.algo} refused its arguments: {reason(error)} ({given or 'its defaults'})"
        ) from error


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
    env = make_env(env_id, **arguments)
    counts = is_wrapped(env, RecordEpisodeStatistics)  # below what a family changes for training
    return env if counts else Monitor(env)


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
        elif name in COUNTS and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
        elif name == "train_freq":
            _check_train_freq(value, config.n_envs)
    if config.algo == "ppo" and config.n_envs * config.hyperparams.get("n_steps", 2048) < 2:
        raise ValueError("ppo needs n_envs * n_steps of at least 2, got 1")


def _check_train_freq(value: Any, n_envs: int) -> None:
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    count, unit = value if pair else (value, "step")
    if type(count) is not int or count < 1 or unit not in ("step", "episode"):
        raise ValueError(f"train_freq must be like 4, [4, step] or [1, episode], got {value!r}")
    if unit == "episode" and n_envs > 1:
        raise ValueError(f"train_freq in episodes needs n_envs=1, got n_envs={n_envs}")


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
