"""Tuned values per environment, and how they fill what a person left open."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.encoder_config import (
    EncoderConfig,
    EncoderOptions,
    rename_old_words,
)
from attention_agents.agents.config.run_config import PolicyConfig, RunConfig, TrainConfig
from attention_agents.agents.config.validation import check_choice

ENCODER_WORDS = (
    *(option.name for option in fields(EncoderOptions) if option.name != "tokens"),
    "given",
)
POLICY_WORDS = tuple(each.name for each in fields(PolicyConfig))
RUN_WORDS = (
    "n_timesteps",
    "n_envs",
    "noise_std",
    "normalize_obs",
    "normalize_reward",
    "history",
    "eval_episodes",
)
"""Words of a preset that are ours; all others are arguments of the SB3 algorithm."""

EVALUATIONS, CHECKPOINTS = 20, 4
"""How many times a run of default frequency evaluates and saves."""
LEAST_EVERY = 1000
"""Steps between two of them at least, in runs that are long enough."""
EVALUATION_SHARE = 0.2
"""Of the steps trained, that evaluations of default frequency may take, see `RunConfig`."""


class Entry(NamedTuple):
    """One line of presets.yml."""

    place: str
    """Such as "environments/CartPole-v1/ppo"."""
    algo: str
    values: dict[str, Any]
    reached: str | None
    """The score that was seen, in words."""


@cache
def presets() -> dict[str, Any]:
    """Return the whole of presets.yml."""
    return yaml.safe_load(Path(__file__).with_name("presets.yml").read_text(encoding="utf-8"))


def entries() -> list[Entry]:
    """Return every entry of presets.yml with its defaults filled in."""
    return [
        _entry(f"{shelf}/{name}", algo, group[algo])
        for shelf in ("families", "environments")
        for name, group in presets()[shelf].items()
        for algo in ALGORITHMS
        if algo in group
    ]


def default_algo(env_id: str, family: str) -> str:
    """Return the algorithm for an environment when none is named."""
    return next(group["default"] for _, group in _groups(env_id, family) if "default" in group)


def preset(env_id: str, family: str, algo: str) -> Entry:
    """Return the nearest entry that has the algorithm: environment, family, `other`."""
    algo = ALGORITHMS[algo].presets_of or algo
    return next(_entry(place, algo, g[algo]) for place, g in _groups(env_id, family) if algo in g)


def settle(asked: TrainConfig, family: str) -> RunConfig:
    """Fill what `asked` leaves open from the presets.

    Args:
        asked: what a person wants.
        family: the family of the environment, from `envs.families.family_name`.

    Raises:
        ValueError: a name is unknown, a count is below its least, or width does not fit heads.
    """
    algo = default_algo(asked.env, family) if asked.algo is None else asked.algo
    values = _values(asked, preset(asked.env, family, check_choice("algorithm", algo, ALGORITHMS)))
    encoder = {word: values.pop(word) for word in ENCODER_WORDS if word in values}
    policy = {word: values.pop(word) for word in POLICY_WORDS if word in values}
    policy["net_arch"] = _sizes(policy["net_arch"])
    run = {word: values.pop(word) for word in RUN_WORDS if word in values}
    steps = run["n_timesteps"]
    counted = isinstance(steps, int)  # anything else is refused by RunConfig, which says why
    config = RunConfig(
        env=asked.env,
        algo=algo,
        seed=asked.seed,
        encoder=EncoderConfig.from_words(tokens=_tokens(asked.tokens), **encoder),
        policy=PolicyConfig(**policy),
        hyperparams=values,
        max_episode_steps=asked.max_episode_steps,
        env_kwargs=dict(asked.env_kwargs),
        max_entities=asked.max_entities,
        plugins=tuple(asked.plugins),
        vec_env=asked.vec_env,
        device=asked.device,
        threads=asked.threads,
        eval_freq=_every(asked.eval_freq, steps, EVALUATIONS) if counted else 0,
        eval_share=EVALUATION_SHARE if asked.eval_freq is None else None,
        save_freq=_every(asked.save_freq, steps, CHECKPOINTS) if counted else 0,
        **run,
    )
    return replace(config, hyperparams=_within(config))


def _values(asked: TrainConfig, entry: Entry) -> dict[str, Any]:
    """Return every word of an entry, with what was asked for in its place."""
    values = rename_old_words(entry.values)
    for word in (*ENCODER_WORDS, "head", "n_timesteps", "n_envs", "history", "eval_episodes"):
        if getattr(asked, word) is not None:
            values[word] = getattr(asked, word)
    if asked.learning_rate is not None:
        values["learning_rate"] = _rate(asked.learning_rate)
    if asked.normalize is not None:
        values["normalize_obs"] = values["normalize_reward"] = asked.normalize
    if values.get("head") == "attention-gru":
        values.pop("lstm_hidden_size", None)  # its state is as wide as a token
    values |= rename_old_words(asked.hyperparams)
    if values.get("history") and asked.normalize is None:
        values["normalize_obs"] = asked.hyperparams.get("normalize_obs", False)
    return values


def told(entry: Entry) -> str:
    """Return an entry as a line to read, such as "preset CartPole-v1/ppo: reached 500"."""
    reached = "" if entry.reached is None else f": reached {entry.reached}"
    return f"preset {entry.place.partition('/')[2]}{reached}"


def _within(config: RunConfig) -> dict[str, Any]:
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
            whole = math.lcm(batch, config.n_envs) // config.n_envs
            longest = math.ceil(longest / whole) * whole  # whole batches, as SB3 asks for
        elif "batch_size" in values:
            values["batch_size"] = longest * config.n_envs
        values["n_steps"] = min(longest, n_steps)
    return values


def _groups(env_id: str, family: str) -> list[tuple[str, dict[str, Any]]]:
    shelves, name = presets(), env_id.rpartition(":")[2]
    bare = name.rpartition("-v")[0] or name
    environments = shelves["environments"]
    places = [f"environments/{key}" for key in environments if key == name]
    places += [f"environments/{key}" for key in environments if key.rpartition("-v")[0] == bare]
    places += [f"families/{key}" for key in (family, "other") if key in shelves["families"]]
    return [(place, shelves[place.split("/", 1)[0]][place.split("/", 1)[1]]) for place in places]


def _entry(place: str, algo: str, values: dict[str, Any]) -> Entry:
    values = presets()["defaults"][algo] | values
    reached = values.pop("reached", None)
    return Entry(f"{place}/{algo}", algo, values, reached)


def _every(freq: int | None, steps: int, times: int) -> int:
    """Return the frequency asked for, or one that acts so many times, though not all the time."""
    return max(1, min(max(steps // times, LEAST_EVERY), steps)) if freq is None else freq


def _rate(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _sizes(net_arch: Any) -> tuple[int, ...]:
    if not isinstance(net_arch, (list, tuple)):
        raise ValueError(
            f"net_arch must be a list of layer sizes such as [64,64], got {net_arch!r}"
        )
    return tuple(net_arch)


def _tokens(text: str) -> Any:
    """Read `auto`, or `image:patches,speed:features`."""
    if ":" not in text:
        return text
    pairs = [part.rpartition(":") for part in text.split(",")]
    return {key.strip(): kind.strip() for key, _, kind in pairs}
