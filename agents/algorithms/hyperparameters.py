"""Arguments of the algorithms: which there are, what fits them, and what they stand for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from stable_baselines3.common.utils import LinearSchedule

from attention_agents.agents.algorithms.classes import algorithm_class
from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.config.validation import check_choice

OURS = ("policy", "env", "seed", "device", "verbose", "tensorboard_log", "policy_kwargs")
OURS += ("action_noise", "_init_setup_model")
SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")
COUNTS = ("n_steps", "batch_size", "buffer_size", "n_epochs", "policy_delay")
COUNTS += ("cg_max_steps", "line_search_max_iter", "n_critic_updates", "sub_sampling_factor")
SHARES = ("gamma", "gae_lambda", "tau", "exploration_fraction")
SHARES += ("exploration_initial_eps", "exploration_final_eps")
TQC_QUANTILES = 25
"""SB3's own."""


def constructor_parameters(algo: str) -> Mapping[str, inspect.Parameter]:
    """Return what an algorithm's constructor takes.

    Raises:
        MissingExtraError: its package is not installed.
    """
    return inspect.signature(algorithm_class(algo).__init__).parameters


def arguments_and_defaults(config: RunConfig) -> dict[str, Any]:
    """Return the hyperparameters of a run, and SB3's own where it has none."""
    defaults = {name: p.default for name, p in constructor_parameters(config.algo).items()}
    return defaults | dict(config.hyperparams)


def check_hyperparams(config: RunConfig) -> None:
    """Refuse arguments that the algorithm of a run does not take.

    Raises:
        MissingExtraError: its package is not installed.
        ValueError: an argument is unknown, of the wrong type or out of range, or arguments do not
            go together.
    """
    signature = constructor_parameters(config.algo)
    allowed = [name for name in signature if name not in (*OURS, "self") and "_buffer_" not in name]
    for name, value in config.hyperparams.items():
        check_choice(f"argument of {config.algo}", name, allowed)
        default = signature[name].default
        if name in SCHEDULED and isinstance(value, str):
            _read_schedule(name, value)
        elif name != "train_freq" and not _has_type_of(value, default):
            raise ValueError(
                f"{name} of {config.algo} must be like its default {default!r}, got {value!r}"
            )
        elif name in COUNTS and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
        elif name in SHARES and not 0 <= value <= 1:
            raise ValueError(f"{name} must be 0 to 1, got {value}")
        elif name == "train_freq":
            _check_train_freq(value, config.n_envs)
    _check_batches(config)
    _check_quantiles(config)


def read_hyperparameter(name: str, value: Any) -> Any:
    """Return an argument as the algorithm takes it, from as a config holds it."""
    if name in SCHEDULED and isinstance(value, str):
        return _read_schedule(name, value)
    return tuple(value) if isinstance(value, list) else value


def _check_batches(config: RunConfig) -> None:
    """Refuse batches too small for the deviation of their advantages, which would give NaN."""
    sizes = arguments_and_defaults(config)
    if not sizes.get("normalize_advantage"):
        return
    rollout = config.n_envs * sizes["n_steps"]
    if rollout < 2:
        raise ValueError(f"{config.algo} needs n_envs * n_steps of at least 2, got 1")
    least, batch = ALGORITHMS[config.algo].min_batch, sizes.get("batch_size", rollout)
    last = rollout % batch or batch
    if least > 1 and min(batch, last) < least:
        raise ValueError(
            f"{config.algo} needs batches of at least {least}, and n_envs * n_steps = {rollout} in "
            f"batches of {batch} leaves one of {last}; use another batch_size"
        )


def _check_quantiles(config: RunConfig) -> None:
    dropped = config.hyperparams.get("top_quantiles_to_drop_per_net")
    count = config.policy.n_quantiles or TQC_QUANTILES
    if dropped is not None and not 0 <= dropped < count:
        raise ValueError(
            f"top_quantiles_to_drop_per_net must be at least 0 and below n_quantiles={count}, got "
            f"{dropped}"
        )


def _check_train_freq(value: Any, n_envs: int) -> None:
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    count, unit = value if pair else (value, "step")
    if type(count) is not int or count < 1 or unit not in ("step", "episode"):
        raise ValueError(f"train_freq must be like 4, [4, step] or [1, episode], got {value!r}")
    if unit == "episode" and n_envs > 1:
        raise ValueError(f"train_freq in episodes needs n_envs=1, got n_envs={n_envs}")


def _has_type_of(value: Any, default: Any) -> bool:
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or isinstance(value, (int, float, str))


def _read_schedule(name: str, text: str) -> Callable[[float], float]:
    """Read "lin_X": X at the start, 0 at the end."""
    word, _, number = text.partition("_")
    try:
        if word != "lin":
            raise ValueError
        return LinearSchedule(float(number), 0.0, 1.0)
    except ValueError:
        raise ValueError(f"{name} must be a number or lin_<number>, got {text!r}") from None
