"""The algorithms that can be trained: where each lies, and what it can do.

Free of torch; a class is imported when it is asked for. Those of sb3-contrib need the extra
`contrib`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium import spaces

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.envs.action_masks import MASK_METHOD, find_mask_method, valid_actions
from attention_agents.envs.families import PACKAGE, MissingExtraError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

Spaces = tuple[type[spaces.Space], ...]
DISCRETE: Spaces = (spaces.Discrete,)
CONTINUOUS: Spaces = (spaces.Box,)
CHOICES: Spaces = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
ANY: Spaces = (*CHOICES, *CONTINUOUS)


@dataclass(frozen=True)
class Algorithm:
    """One algorithm of Stable-Baselines3 or sb3-contrib."""

    name: str
    """As in RL Zoo, such as "ppo"."""
    module: str
    class_name: str
    actions: Spaces
    """Action spaces that it can act in."""
    contrib: bool = False
    """Whether it needs sb3-contrib."""
    adam_eps: bool = False
    """Whether it gives Adam an epsilon of 1e-5."""
    entropy: bool = False
    """Whether it steers towards a target entropy."""
    dicts: bool = True
    """Whether it reads observations that are dicts."""
    recurrent: bool = False
    """Whether its policy remembers the episode, in an LSTM."""
    masked: bool = False
    """Whether it needs an environment that says which actions are valid."""
    least_batch: int = 1
    """Smallest batch that its advantages can be normalised over."""

    def load(self) -> type[BaseAlgorithm]:
        """Import the class.

        Raises:
            MissingExtraError: sb3-contrib is not installed, or broken.
        """
        if self.contrib:
            try:
                import_module("sb3_contrib")
            except ImportError as error:
                raise MissingExtraError(
                    f"{self.name} needs sb3-contrib, which cannot be imported ({error}). "
                    f'Install it with: pip install "{PACKAGE}[contrib]"'
                ) from error
        return getattr(import_module(self.module), self.class_name)


def _sb3(name: str, actions: Spaces, **traits: Any) -> Algorithm:
    return Algorithm(name, "stable_baselines3", name.upper(), actions, **traits)


def _contrib(name: str, class_name: str, actions: Spaces, **traits: Any) -> Algorithm:
    return Algorithm(name, "sb3_contrib", class_name, actions, contrib=True, **traits)


_ALL = (
    _sb3("ppo", ANY, adam_eps=True),
    _sb3("a2c", ANY),
    _sb3("dqn", DISCRETE),
    _sb3("sac", CONTINUOUS, entropy=True),
    _sb3("td3", CONTINUOUS),
    _contrib("qrdqn", "QRDQN", DISCRETE),
    Algorithm(
        "trpo", "attention_agents.agents.algorithms.trpo", "TRPO", ANY, contrib=True, adam_eps=True
    ),
    _contrib("ppo_mask", "MaskablePPO", CHOICES, adam_eps=True, masked=True, least_batch=2),
    _contrib("ppo_lstm", "RecurrentPPO", ANY, adam_eps=True, recurrent=True, least_batch=2),
    _contrib("tqc", "TQC", CONTINUOUS, entropy=True),
    _contrib("crossq", "CrossQ", CONTINUOUS, entropy=True, dicts=False),
)
ALGORITHMS = {algorithm.name: algorithm for algorithm in _ALL}


def check_spaces(config: RunConfig, env: gym.Env) -> None:
    """Refuse an algorithm that cannot act in the environment, or not read what it sees.

    Raises:
        ValueError: the text names algorithms that can.
    """
    algorithm = ALGORITHMS[config.algo]
    if not isinstance(env.action_space, algorithm.actions):
        others = [a for a in ALGORITHMS.values() if isinstance(env.action_space, a.actions)]
        fitting = [
            each.name for each in others if not each.masked or find_mask_method(env) is not None
        ]
        raise ValueError(
            f"{config.algo} cannot act in {env.action_space} of {config.env}; use --algo "
            f"{' or '.join(fitting)}"
        )
    if isinstance(env.observation_space, spaces.Dict) and not algorithm.dicts:
        raise ValueError(
            f"{config.algo} cannot read Dict observations, which {config.env} has; use --algo sac "
            "or tqc"
        )
    if algorithm.masked:
        if find_mask_method(env) is None:
            raise ValueError(
                f"{config.algo} needs an environment with {MASK_METHOD}(), which "
                f"{config.env} has not; use --algo ppo"
            )
        env.reset(seed=config.seed)
        valid_actions(env)
