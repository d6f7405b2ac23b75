"""What cannot be trained is refused before anything is made."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from gymnasium import spaces

from attention_agents.agents.algorithms.build import normalized_keys
from attention_agents.agents.algorithms.device import check_device
from attention_agents.agents.algorithms.encoders import build_extractor, extractor_arguments
from attention_agents.agents.algorithms.hyperparameters import check_hyperparams
from attention_agents.agents.algorithms.memory_check import check_networks, check_steps
from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.plugins import check_imported
from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.config.validation import first_line
from attention_agents.envs.action_masks import MASK_METHOD, find_mask_method, valid_actions


def check_config(config: RunConfig, env: gym.Env) -> None:
    """Refuse what cannot be trained, before anything is made.

    Args:
        config: the run.
        env: an environment of the run, only looked at.

    Raises:
        MissingExtraError: the algorithm needs a package that is not there.
        ValueError: the algorithm does not fit the actions or the observation, an argument of it is
            unknown or of the wrong type, the environment does not say which actions are valid where
            that is needed, the observation cannot be cut into tokens or normalized as asked, there
            is no such encoder for it, a plugin is not imported, networks or stored steps do not fit
            into memory, or the device is not there.
    """
    check_spaces(config, env)
    check_hyperparams(config)
    check_encoder(config, env.observation_space, env.action_space)
    check_steps(config, env.observation_space)
    if config.normalize_obs:
        normalized_keys(env.observation_space)
    check_device(config.device)


def check_encoder(
    config: RunConfig, space: spaces.Space, actions: spaces.Space | None = None
) -> None:
    """Build the encoder of a run once, to hear what it refuses; no random stream moves.

    Args:
        config: the run.
        space: of its observations.
        actions: of its actions, for a head that points.

    Raises:
        ValueError: the observation cannot be cut into tokens as asked, a word is unknown, or words
            do not go together; or the networks do not fit into the machine's memory.
        PluginError: a plugin is not imported.
    """
    check_imported(config.plugins)
    check_networks(config)
    extractor_arguments(config, space)
    if config.encoder.kind == "stock":
        return
    try:
        with torch.random.fork_rng(devices=()):
            extractor: Any = build_extractor(config, space, actions)
    except RuntimeError as error:
        raise ValueError(f"torch cannot build this encoder: {first_line(error)}") from error
    attention, tokens = config.encoder.attention, len(extractor.layout)
    reads_all = attention.hard_attention == "top-k" and attention.top_k >= tokens
    if "top_k" in config.encoder.given and reads_all:
        raise ValueError(
            f"hard_attention='top-k' with top_k={attention.top_k} reads all {tokens} tokens, as "
            "soft attention does; lower top_k, or leave both out"
        )


def check_spaces(config: RunConfig, env: gym.Env) -> None:
    """Refuse an algorithm that cannot act in the environment, or not read what it observes.

    Raises:
        ValueError: the text names algorithms that can.
    """
    algorithm, masks = ALGORITHMS[config.algo], find_mask_method(env)
    kinds = {kind.__name__ for kind in type(env.action_space).__mro__}
    acting = [entry for entry in ALGORITHMS.values() if kinds.intersection(entry.actions)]
    if algorithm not in acting:
        fitting = [a.name for a in acting if masks is not None or not a.masks_actions]
        raise ValueError(
            f"{config.algo} cannot act in {env.action_space} of {config.env}; use --algo "
            f"{' or '.join(fitting)}"
        )
    if isinstance(env.observation_space, spaces.Dict) and not algorithm.dict_observations:
        raise ValueError(
            f"{config.algo} cannot read Dict observations, which {config.env} has; use --algo sac "
            "or tqc"
        )
    if algorithm.masks_actions:
        if masks is None:
            raise ValueError(
                f"{config.algo} needs an environment with {MASK_METHOD}(), which "
                f"{config.env} has not; use --algo ppo"
            )
        env.reset(seed=config.seed)
        valid_actions(env)
