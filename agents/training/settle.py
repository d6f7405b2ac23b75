"""From the options of a run, and what its environment observes, to a settled configuration."""

from __future__ import annotations

from contextlib import closing

import gymnasium as gym

from attention_agents.agents.algorithms.encoders import settle_gate
from attention_agents.agents.config.presets import default_history, read_tokens, resolve_config
from attention_agents.agents.config.run_config import RunConfig, TrainConfig, check_env_kwargs
from attention_agents.envs.families import family_name
from attention_agents.envs.make import make_env
from attention_agents.policies.gate.gated_specs import observation_family


def settle_config(options: TrainConfig) -> RunConfig:
    """Fill what options leave open; the environment is made once, to see what it observes.

    Raises:
        ValueError: a name is unknown, a value breaks a rule, an option was given that the encoder
            does not use, or the environment cannot be made.
    """
    check_env_kwargs(options.env_kwargs)
    family = family_name(options.env)
    history = default_history(options, family)
    with closing(make_probe_env(options, history)) as env:
        observation = observation_family(env.observation_space, read_tokens(options.tokens))
    return settle_gate(resolve_config(options, family, observation))


def make_probe_env(config: TrainConfig | RunConfig, history: int) -> gym.Env:
    """Make the environment of a run, only to look at it."""
    return make_env(
        config.env,
        training=True,
        history=history,
        max_entities=config.max_entities,
        max_episode_steps=config.max_episode_steps,
        env_kwargs=dict(config.env_kwargs),
    )


def describe_encoder(config: RunConfig) -> str:
    """Return the encoder of a run as a line to read, such as "encoder gate: 4 heads, ..."."""
    encoder = config.encoder
    if encoder.kind == "stock":
        return "encoder stock: the network without attention; replay shows evidence alone"
    sizes = f"{encoder.heads} heads"
    if encoder.kind == "pooled" or encoder.layers > 1:
        sizes = f"{encoder.layers} layers of {sizes}, width {encoder.width}"
    follows = "" if encoder.kind == "pooled" else "; the network that follows is the stock one"
    return f"encoder {encoder.kind}: {sizes}{follows}"
