"""What is trained to be judged: one row per environment and algorithm, with its bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ZOO = "RL Zoo"
"""Single runs, https://github.com/DLR-RM/rl-baselines3-zoo/blob/master/benchmark.md."""


@dataclass(frozen=True)
class Row:
    """One line of the table; hyperparameters are those of agents/config/presets.yml."""

    env: str
    algo: str
    steps: int
    reference: str = ""
    """What others reached, and who."""
    bar: float | None = None
    """Mean return that is asked for; None where the figure is reported as seen."""
    checkpoints: tuple[str, ...] = ("best", "final")
    """What is evaluated; the first counts. Runs judged by `final` alone make no evaluations while
    they train."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """All that a verdict asks for."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Words of `TrainConfig` that differ from the preset."""
    page: str = "learning"
    """Which table it stands in."""


ROWS = {
    "cartpole-ppo": Row("CartPole-v1", "ppo", 100_000, f"{ZOO} 500.0, 100k", bar=475),
    "cartpole-dqn": Row("CartPole-v1", "dqn", 100_000, f"{ZOO} 500.0, 50k", bar=475),
    "cartpole-a2c": Row("CartPole-v1", "a2c", 150_000, f"{ZOO} 500.0, 500k", seeds=(0,)),
    "lunarlander-ppo": Row("LunarLander-v3", "ppo", 1_000_000, f"{ZOO} 242.1 (v2), 1M", bar=240),
    "lunarlander-continuous": Row(
        "LunarLanderContinuous-v3", "ppo", 200_000, f"{ZOO} 270.9 (v2), 1M", seeds=(0,)
    ),
    "doorkey-ppo": Row("MiniGrid-DoorKey-5x5-v0", "ppo", 100_000, f"{ZOO} 0.964, 100k", bar=0.95),
    "keycorridor-ppo": Row(
        "MiniGrid-KeyCorridorS3R1-v0", "ppo", 500_000, f"{ZOO} 0.949, 500k", bar=0.94
    ),
    "breakout-ppo": Row("MinAtar/Breakout-v1", "ppo", 1_000_000, checkpoints=("final",)),
    "pendulum-sac": Row("Pendulum-v1", "sac", 5_000, f"{ZOO} -157.0, 20k", seeds=(0,)),
    "acrobot-ppo": Row("Acrobot-v1", "ppo", 100_000, f"{ZOO} -73.5, 1M", seeds=(0,)),
    "carracing-ppo": Row("CarRacing-v3", "ppo", 8_000, checkpoints=("final",), seeds=(0,)),
    "pong-ppo": Row(
        "ALE/Pong-v5",
        "ppo",
        10_000,
        reference=f"{ZOO} 21.0 (NoFrameskip-v4), 10M",
        checkpoints=("final",),
        seeds=(0,),
    ),
    "highway-ppo": Row("highway-fast-v0", "ppo", 10_000, checkpoints=("best",), seeds=(0,)),
    "halfcheetah-ppo": Row(
        "HalfCheetah-v5",
        "ppo",
        150_000,
        reference=f"{ZOO} 5819 (v3), 1M",
        checkpoints=("best",),
        seeds=(0,),
    ),
}


DOORKEY, DOORKEY_STEPS = "MiniGrid-DoorKey-5x5-v0", 150_000
MECHANISMS: dict[str, Mapping[str, Any]] = {
    "scaled-dot-product": {},
    "dot": {"attention": "dot"},
    "general": {"attention": "general"},
    "additive": {"attention": "additive"},
    "location": {"attention": "location"},
    "cosine": {"attention": "cosine"},
    "top-k": {"hard_attention": "top-k"},
    "gumbel": {"hard_attention": "gumbel"},
    "perturbed-top-k": {"hard_attention": "perturbed-top-k"},
    "sparsemax": {"normalizer": "sparsemax"},
    "entmax15": {"normalizer": "entmax15"},
    "sigmoid": {"normalizer": "sigmoid"},
    "mean": {"readout": "mean"},
}
"""Scores, hard attention and normalizers, each alone beside the defaults; pooling as a control."""

ROWS |= {
    f"doorkey-{name}": Row(
        DOORKEY, "ppo", DOORKEY_STEPS, checkpoints=("final",), options=options, page="mechanisms"
    )
    for name, options in MECHANISMS.items()
}

CUE_RECALL, CUE_STEPS = "attention/CueRecall-v0", 60_000
CHANCE = "chance 0.5"
MEMORIES: dict[str, Mapping[str, Any]] = {
    "no-memory": {"history": 0},
    "history": {"history": 16},
    "attention-gru": {"history": 16, "readout": "attention-gru"},
    "gtrxl": {"history": 16, "block": "gtrxl", "visibility": "causal", "layers": 2},
}

ROWS |= {
    f"cue-{name}": Row(
        CUE_RECALL, "ppo", CUE_STEPS, CHANCE, checkpoints=("final",), options=options, page="memory"
    )
    for name, options in MEMORIES.items()
}
ROWS["cue-recurrent"] = Row(
    CUE_RECALL,
    "ppo_lstm",
    CUE_STEPS,
    CHANCE,
    checkpoints=("final",),
    seeds=(0,),
    options={"history": 0, "policy_head": "attention-gru"},
    page="memory",
)
