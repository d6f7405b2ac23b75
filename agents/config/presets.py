"""Tuned values per environment, and how they fill what the options of a run leave open."""

from __future__ import annotations

import contextlib
import math
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.encoder_config import (
    ENCODERS,
    SIZES,
    EncoderConfig,
    EncoderOptions,
    rename_old_words,
)
from attention_agents.agents.config.run_config import PolicyConfig, RunConfig, TrainConfig
from attention_agents.agents.config.validation import check_choice

NOT_OF_PRESETS = ("encoder", "tokens")
ENCODER_WORDS = (
    *(option.name for option in fields(EncoderOptions) if option.name not in NOT_OF_PRESETS),
    "given",
)
TOKEN_HEADS = ("pointer", "attention-gru")
"""Policy heads that read single tokens, which only a pooled encoder has."""
OBSERVATIONS = ("numbers", "grids", "pictures", "entities")
"""Families of observations, each with its encoders in presets.yml."""
POLICY_WORDS = tuple(option.name for option in fields(PolicyConfig))
SECTIONS = ("pooled", "stock")
"""Parts of an entry for these encoders alone; all else is for the gate, and for these too."""
RUN_WORDS = ("n_timesteps", "n_envs", "history", "eval_episodes")
RUN_WORDS += ("noise_std", "normalize_obs", "normalize_reward")
"""Words of a preset that are ours; all others are arguments of the SB3 algorithm."""
RUN_OPTIONS = ("env", "seed", "max_episode_steps", "env_kwargs", "max_entities", "plugins")
RUN_OPTIONS += ("vec_env", "device", "threads")
"""Options of a run that no preset has."""

EVALUATIONS, CHECKPOINTS = 20, 4
"""How many times a run of default frequency evaluates and saves."""
LEAST_FREQUENCY = 1000
"""Steps between two of them at least, in runs that are long enough."""
EVALUATION_SHARE = 0.2
"""Of the steps trained, that evaluations of default frequency may take, see `RunConfig`."""


class Preset(NamedTuple):
    """One line of presets.yml."""

    path: str
    """Such as "environments/CartPole-v1/ppo"."""
    algo: str
    values: dict[str, Any]
    """Words, with those of the encoder that it was asked for."""
    reached: str | None
    """The score that was seen, in words."""


@cache
def load_presets() -> dict[str, Any]:
    """Return the whole of presets.yml."""
    return yaml.safe_load(Path(__file__).with_name("presets.yml").read_text(encoding="utf-8"))


def all_presets(kind: str = "gate") -> list[Preset]:
    """Return every line of presets.yml for a kind of encoder, with its defaults filled in."""
    return [
        _read_preset(f"{section}/{name}", algo, group, kind)
        for section in ("families", "environments")
        for name, group in load_presets()[section].items()
        for algo in ALGORITHMS
        if algo in group
    ]


def default_algorithm(env_id: str, family: str) -> str:
    """Return the algorithm for an environment when none is named."""
    groups = _matching_groups(env_id, family).values()
    return next(group["default"] for group in groups if "default" in group)


def find_preset(env_id: str, family: str, algo: str, kind: str = "gate") -> Preset:
    """Return the nearest preset that has the algorithm: environment, family, `other`.

    Args:
        kind: of encoder: gate, pooled or stock.
    """
    algo = ALGORITHMS[algo].presets_of or algo
    groups = _matching_groups(env_id, family).items()
    return next(_read_preset(path, algo, group, kind) for path, group in groups if algo in group)


def describe_preset(preset: Preset) -> str:
    """Return a preset as a line to read, such as "preset CartPole-v1/ppo: reached 500"."""
    reached = "" if preset.reached is None else f": reached {preset.reached}"
    return f"preset {preset.path.partition('/')[2]}{reached}"


def default_history(options: TrainConfig, family: str) -> int:
    """Return the past steps that an observation of a run holds, which no encoder changes.

    Raises:
        ValueError: there is no such algorithm.
    """
    algo = check_choice("algorithm", _algorithm(options, family), ALGORITHMS)
    words = find_preset(options.env, family, algo).values
    return words.get("history", 0) if options.history is None else options.history


def resolve_config(options: TrainConfig, family: str, observation: str = "numbers") -> RunConfig:
    """Fill what options leave open from the presets.

    Args:
        options: of a run.
        family: the family of the environment, from `envs.families.family_name`.
        observation: what it observes, a word of `OBSERVATIONS`: it chooses the encoder.

    Raises:
        ValueError: a name is unknown, a count is below its least, width does not fit heads, or an
            option was given that the encoder does not use.
    """
    algo = check_choice("algorithm", _algorithm(options, family), ALGORITHMS)
    kind, size = choose_encoder(options, observation)
    words = _merge_words(options, find_preset(options.env, family, algo, kind), size)
    encoder, policy, run = (
        {word: words.pop(word) for word in names if word in words}
        for names in (ENCODER_WORDS, POLICY_WORDS, RUN_WORDS)
    )
    config = RunConfig(
        algo=algo,
        encoder=EncoderConfig.from_words(kind=kind, tokens=read_tokens(options.tokens), **encoder),
        policy=PolicyConfig(**policy),
        hyperparams=words,
        eval_share=EVALUATION_SHARE if options.eval_freq is None else None,
        **{name: getattr(options, name) for name in RUN_OPTIONS},
        **run,
    )
    return replace(
        config,
        hyperparams=fit_to_run_length(config),
        eval_freq=_frequency(options.eval_freq, config.n_timesteps, EVALUATIONS),
        save_freq=_frequency(options.save_freq, config.n_timesteps, CHECKPOINTS),
    )


def choose_encoder(options: TrainConfig, observation: str) -> tuple[str, dict[str, Any]]:
    """Return the kind of encoder of a run, and the words of its size.

    Raises:
        ValueError: there is no such encoder.
    """
    word = check_choice("encoder", options.encoder, ENCODERS)
    if word == "auto":
        reads_tokens = observation == "entities" or options.policy_head in TOKEN_HEADS
        return ("pooled" if reads_tokens else "gate"), {}
    if word not in SIZES:
        return word, {}
    words = dict(load_presets()["encoders"][observation][word])
    return words.pop("kind"), words


def _algorithm(options: TrainConfig, family: str) -> str:
    return options.algo or default_algorithm(options.env, family)


def _merge_words(options: TrainConfig, preset: Preset, size: dict[str, Any]) -> dict[str, Any]:
    """Return every word of a preset, or that of an encoder's size, or the option in its place;
    `hyperparams` go before all."""
    words = rename_old_words(preset.values | size)
    chosen = {word: getattr(options, word, None) for word in (*ENCODER_WORDS, *RUN_WORDS)}
    chosen |= {"head": options.policy_head, "normalize_obs": options.normalize}
    chosen |= {"normalize_reward": options.normalize, "learning_rate": options.learning_rate}
    if options.learning_rate is not None:
        with contextlib.suppress(ValueError):  # no number: the word of a schedule
            chosen["learning_rate"] = float(options.learning_rate)
    words |= {word: value for word, value in chosen.items() if value not in (None, {})}
    if words.get("head") == "attention-gru":
        words.pop("lstm_hidden_size", None)  # its state is as wide as a token
    words |= rename_old_words(options.hyperparams)
    if words.get("history") and options.normalize is None:
        words["normalize_obs"] = options.hyperparams.get("normalize_obs", False)
    return words


def fit_to_run_length(config: RunConfig) -> dict[str, Any]:
    """Return the hyperparameters, cut so that a short run learns too.

    A rollout is not longer than the run, and what algorithms without rollouts play before they
    learn is at most half of it.
    """
    values, algorithm = dict(config.hyperparams), ALGORITHMS[config.algo]
    starts = values.get("learning_starts", algorithm.learning_starts)
    if isinstance(starts, int) and starts >= config.n_timesteps:
        values["learning_starts"] = config.n_timesteps // 2
    n_steps = values.get("n_steps", algorithm.n_steps)
    longest = max(2, math.ceil(config.n_timesteps / config.n_envs))
    if algorithm.n_steps and isinstance(n_steps, int) and n_steps > longest:
        batch = values.get("batch_size", 1)
        if isinstance(batch, int) and 0 < batch <= longest * config.n_envs:
            # SB3 asks for full batches: n_steps * n_envs is a multiple of the batch size
            multiple = math.lcm(batch, config.n_envs) // config.n_envs
            longest = math.ceil(longest / multiple) * multiple
        elif "batch_size" in values:
            values["batch_size"] = longest * config.n_envs
        values["n_steps"] = min(longest, n_steps)
    return values


def _matching_groups(env_id: str, family: str) -> dict[str, dict[str, Any]]:
    """Return the groups of presets that an environment can take, by path, the nearest first."""
    environments, families = load_presets()["environments"], load_presets()["families"]
    name = env_id.rpartition(":")[2]
    base = name.rpartition("-v")[0] or name
    names = [key for key in environments if key == name]
    names += [key for key in environments if key.rpartition("-v")[0] == base]
    groups = {f"environments/{key}": environments[key] for key in names}
    return groups | {f"families/{k}": families[k] for k in (family, "other") if k in families}


def _read_preset(path: str, algo: str, group: dict[str, Any], kind: str) -> Preset:
    """Return an entry with its defaults; what stands under a kind of encoder goes before both."""
    values: dict[str, Any] = {}
    for entry in (load_presets()["defaults"][algo], group[algo]):
        shared = {word: value for word, value in entry.items() if word not in SECTIONS}
        section = entry.get(kind, {}) if kind in SECTIONS else {}
        values |= shared | section
        if kind in SECTIONS and "reached" not in section:
            values.pop("reached", None)  # which is the gate's
    reached = values.pop("reached", None)
    return Preset(f"{path}/{algo}", algo, values, reached)


def _frequency(frequency: int | None, n_timesteps: int, times: int) -> int:
    """Return the frequency that is set, or one that acts so many times, but not all the time."""
    if frequency is not None:
        return frequency
    return max(1, min(max(n_timesteps // times, LEAST_FREQUENCY), n_timesteps))


def read_tokens(text: str) -> Any:
    """Read `auto`, or `image:patches,speed:features`."""
    if ":" not in text:
        return text
    pairs = [part.rpartition(":") for part in text.split(",")]
    return {key.strip(): kind.strip() for key, _, kind in pairs}
