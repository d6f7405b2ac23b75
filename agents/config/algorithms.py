"""The algorithms that can be trained, one entry each.

Free of torch and Gymnasium; `agents.algorithms.classes` imports the class of one. An algorithm of
your own is one more entry of `ALGORITHMS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DISCRETE = ("Discrete",)
CONTINUOUS = ("Box",)
CHOICES = ("Discrete", "MultiDiscrete", "MultiBinary")
ANY = (*CHOICES, *CONTINUOUS)
NOISE, GAUSSIAN, SHARED = "noise_std", "log_std_init", "share_features_extractor"
OPTIONS = (NOISE, GAUSSIAN, SHARED, "lstm_hidden_size", "n_quantiles")
"""What only some algorithms take: `noise_std` of `RunConfig`, the others of `PolicyConfig`."""


@dataclass(frozen=True)
class Algorithm:
    """One algorithm of Stable-Baselines3, of sb3-contrib, or a class with the same interface."""

    name: str
    """As in RL Zoo, such as "ppo"."""
    import_path: str
    """`module:Class`."""
    actions: tuple[str, ...]
    """Names of the Gymnasium spaces that it can act in."""
    options: tuple[str, ...] = ()
    """Those of `OPTIONS` that it takes."""
    policy_heads: tuple[str, ...] = ("mlp",)
    """What may follow the encoder."""
    n_steps: int | None = None
    """SB3's own length of a rollout; None for one that learns from a replay buffer."""
    learning_starts: int | None = None
    """SB3's own number of steps before learning; None for one that learns from rollouts."""
    contrib: bool = False
    """Whether it needs sb3-contrib."""
    adam_eps: bool = False
    """Whether it gives Adam an epsilon of 1e-5."""
    dict_observations: bool = True
    """Whether it reads observations that are dicts."""
    recurrent: bool = False
    """Whether its policy remembers the episode, in an LSTM."""
    masks_actions: bool = False
    """Whether it needs an environment that says which actions are valid."""
    min_batch: int = 1
    """Smallest batch that its advantages can be normalized over."""
    presets_of: str = ""
    """The algorithm whose presets it takes; empty for its own."""


def _on_policy(name: str, import_path: str, n_steps: int = 2048, **traits: Any) -> Algorithm:
    traits = {"actions": ANY, "options": (SHARED, GAUSSIAN), "adam_eps": True} | traits
    return Algorithm(name, import_path, n_steps=n_steps, **traits)


def _off_policy(name: str, import_path: str, *options: str, **traits: Any) -> Algorithm:
    traits = {"actions": CONTINUOUS, "options": options, "learning_starts": 100} | traits
    return Algorithm(name, import_path, **traits)


_ENTRIES = (
    _on_policy("ppo", "stable_baselines3:PPO", policy_heads=("mlp", "pointer")),
    _on_policy("a2c", "stable_baselines3:A2C", 5, policy_heads=("mlp", "pointer"), adam_eps=False),
    _off_policy("dqn", "stable_baselines3:DQN", actions=DISCRETE),
    _off_policy("sac", "stable_baselines3:SAC", SHARED, GAUSSIAN, NOISE),
    _off_policy("td3", "stable_baselines3:TD3", SHARED, NOISE),
    _off_policy("qrdqn", "sb3_contrib:QRDQN", "n_quantiles", actions=DISCRETE, contrib=True),
    _on_policy(
        "trpo",
        "attention_agents.agents.algorithms.trpo:TRPO",
        policy_heads=("mlp", "pointer"),
        contrib=True,
    ),
    _on_policy(
        "ppo_mask",
        "sb3_contrib:MaskablePPO",
        actions=CHOICES,
        options=(SHARED,),
        policy_heads=("mlp", "pointer"),
        contrib=True,
        masks_actions=True,
        min_batch=2,
    ),
    _on_policy(
        "ppo_lstm",
        "sb3_contrib:RecurrentPPO",
        n_steps=128,
        options=(SHARED, GAUSSIAN, "lstm_hidden_size"),
        policy_heads=("mlp", "attention-gru"),
        contrib=True,
        recurrent=True,
        min_batch=2,
    ),
    _off_policy("tqc", "sb3_contrib:TQC", SHARED, GAUSSIAN, NOISE, "n_quantiles", contrib=True),
    _off_policy(
        "crossq",
        "sb3_contrib:CrossQ",
        *(SHARED, GAUSSIAN, NOISE),
        contrib=True,
        dict_observations=False,
    ),
)
ALGORITHMS = {algorithm.name: algorithm for algorithm in _ENTRIES}


def algorithms_with(option: str) -> list[str]:
    """Return the names of the algorithms that take an option, or that a policy head goes with."""
    entries = ALGORITHMS.values()
    return [entry.name for entry in entries if option in (*entry.options, *entry.policy_heads)]
