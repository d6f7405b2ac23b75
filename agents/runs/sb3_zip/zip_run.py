"""A zip file of Stable-Baselines3 in place of a run: any trained agent, with attention or without.

Such a file does not say in which environment its agent was trained; the caller does.
"""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from torch import nn

from attention_agents.agents.config.encoder_config import EncoderConfig
from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.runs.checkpoint import LoadedPolicy
from attention_agents.agents.runs.sb3_zip.sb3_zip import load_sb3_zip
from attention_agents.policies.inspect.attention_modules import (
    attention_modules,
    features_extractors,
)
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.gated_extractor import GatedExtractor


def is_sb3_zip(path: str | Path) -> bool:
    """Return whether a path is a file that is named like a zip."""
    return Path(path).suffix == ".zip" and Path(path).is_file()


def load_zip_policy(path: str | Path, env: str | None, device: str = "auto") -> LoadedPolicy:
    """Read the policy of a zip, ready to act in an environment.

    Args:
        path: of the zip.
        env: id of the environment.
        device: where the policy lives, in torch's words or "auto".

    Raises:
        ValueError: no environment is named, or as by `load_sb3_zip`.
    """
    if env is None:
        raise ValueError(f"{path} does not say which environment it is for: add --env ID")
    model = load_sb3_zip(path, device=device)
    steps = max(int(model.num_timesteps), 1)
    algo = type(model).__name__.lower()
    config = RunConfig(
        env=env,
        algo=_ALGORITHMS.get(algo, algo),
        n_timesteps=steps,
        seed=0,
        n_envs=1,
        encoder=EncoderConfig(kind=_encoder_kind(model.policy)),
    )
    return LoadedPolicy(model, config, None)


def _encoder_kind(policy: nn.Module) -> str:
    """Return a word of `KINDS`: what the policy holds, stock where nothing of it attends."""
    extractors = features_extractors(policy).values()
    if any(isinstance(extractor, GatedExtractor) for extractor in extractors):
        return "gate"
    pools = any(isinstance(extractor, AttentionExtractor) for extractor in extractors)
    return "pooled" if pools or attention_modules(policy) else "stock"


_ALGORITHMS = {"maskableppo": "ppo_mask", "recurrentppo": "ppo_lstm"}
"""Our names of algorithms, where they are not those of their classes."""


def check_observations(model_space: spaces.Space, env: gym.Env, env_id: str) -> None:
    """Refuse an environment that does not give what a policy was trained to observe.

    Raises:
        ValueError: shapes differ, or keys.
    """
    if _shapes(model_space) != _shapes(env.observation_space):
        raise ValueError(
            f"the model observes {_text(model_space)}, and {env_id} gives "
            f"{_text(env.observation_space)}: name the environment that it was trained in "
            "(module:Id for one of yours, wrappers and all)"
        )


def _shapes(space: spaces.Space) -> object:
    """Return what must be the same: shapes by key, whichever axis of a picture holds channels."""
    if isinstance(space, spaces.Dict):
        return {key: _shapes(part) for key, part in space.spaces.items()}
    shape = space.shape or ()
    is_picture = len(shape) == 3 and space.dtype == np.uint8
    return tuple(sorted(shape)) if is_picture else (_kind(space), shape)


def _text(space: spaces.Space) -> str:
    if isinstance(space, spaces.Dict):
        return ", ".join(f"{key}: {_text(part)}" for key, part in space.spaces.items())
    return f"{_kind(space)}{space.shape}"


def _kind(space: spaces.Space) -> str:
    return "Box" if isinstance(space, spaces.Box) else type(space).__name__
