"""Every algorithm with every kind of token, and every mechanism with PPO and DQN: a few updates,
and the maps of a pass."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN, TQC, CrossQ, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.trust_region import TRPO
from envs.frames import FrameHistory
from envs.history import History
from envs.layout import Conv
from envs.spaces import Cells, Entities, Patches, TokenBox
from policies import AttentionExtractor, AttentionTap
from policies.attention import MIXES, NORMALISERS, POSITIONS, SCORES, SELECTIONS, WHERES, Mechanism
from policies.blocks import BLOCKS
from policies.readouts import READOUTS

ON_POLICY: dict[type[BaseAlgorithm], dict[str, Any]] = {
    PPO: {"n_steps": 16, "batch_size": 8, "n_epochs": 2},
    A2C: {"n_steps": 8},
    TRPO: {"n_steps": 16, "batch_size": 8},
    MaskablePPO: {"n_steps": 16, "batch_size": 8, "n_epochs": 2},
    RecurrentPPO: {"n_steps": 16, "batch_size": 8, "n_epochs": 2},
}
REPLAY = {"buffer_size": 64, "learning_starts": 8, "batch_size": 4, "train_freq": 8}
OFF_POLICY: dict[type[BaseAlgorithm], dict[str, Any]] = {
    each: {**REPLAY, "gradient_steps": 2} for each in (DQN, QRDQN, SAC, TD3, TQC, CrossQ)
}
ALGORITHMS = ON_POLICY | OFF_POLICY
CONTINUOUS = (SAC, TD3, TQC, CrossQ)
STEPS = 32


class World(gym.Env):
    """Anything may be observed, and nothing follows from what is done; episodes take 5 steps."""

    def __init__(self, space: spaces.Space, continuous: bool = False):
        self.observation_space = space
        self.action_space = spaces.Box(-1, 1, (2,)) if continuous else spaces.Discrete(3)
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any):
        self.steps += 1
        return self.observation_space.sample(), 1.0, self.steps == 5, False, {}

    def action_masks(self) -> np.ndarray:
        return np.array([True, self.steps % 2 == 0, True])


CELLS = TokenBox(0, 4, (2 * 3, 2), np.uint8, tokens=Cells(2, 3, categories=(5, 5)))
PLANES = TokenBox(0, 1, (2, 3, 5), tokens=Cells(3, 5, channels=2, channels_first=True))
PICTURE = TokenBox(0, 255, (3, 8, 10), np.uint8, tokens=Patches(8, 10, 3, (Conv(4, 4, 2),)))
VEHICLES = TokenBox(
    -1, 1, (5, 3), tokens=Entities(5, ("presence", "x", "y"), 0, ego=0, position=(1, 2))
)
UNITS = spaces.Dict(
    {
        "apples": TokenBox(-1, 1, (3, 2), tokens=Entities(3, ("presence", "x"), 0)),
        "mines": TokenBox(-1, 1, (2, 4), tokens=Entities(2, ("presence", "x", "y", "z"), 0)),
    }
)
VECTOR = spaces.Box(-1, 1, (5,))
OBSERVATIONS: dict[str, spaces.Space] = {
    "features": VECTOR,
    "choices": spaces.MultiDiscrete([2, 3]),
    "bits": spaces.MultiBinary(3),
    "entities": VEHICLES,
    "typed entities": UNITS,
    "cells of categories": CELLS,
    "cells of numbers": PLANES,
    "patches": PICTURE,
    "a dict of kinds": spaces.Dict({"image": PICTURE, "map": CELLS, "speed": VECTOR}),
    "history": VECTOR,
    "frames of cells": CELLS,
    "frames of pictures": PICTURE,
}


def world(observation: str, continuous: bool = False) -> gym.Env:
    env = World(OBSERVATIONS[observation], continuous)
    if observation == "history":
        return History(env, 4)
    return FrameHistory(env, 2) if observation.startswith("frames") else env


def built(algorithm: type[BaseAlgorithm], env: gym.Env, **options: Any) -> BaseAlgorithm:
    multi = isinstance(env.observation_space, spaces.Dict)
    kind = "MultiInput" if multi else "Mlp"
    policy = f"{kind}LstmPolicy" if algorithm is RecurrentPPO else f"{kind}Policy"
    extractor = {"width": 6, "heads": 3, "layers": 1, **options}
    arguments: dict[str, Any] = {
        "features_extractor_class": AttentionExtractor,
        "features_extractor_kwargs": extractor,
        "net_arch": [7],
    }
    if algorithm is RecurrentPPO:
        arguments["lstm_hidden_size"] = 5
    return algorithm(  # type: ignore[call-arg]
        policy, env, policy_kwargs=arguments, seed=0, device="cpu", **ALGORITHMS[algorithm]
    )


def learns_and_tells(model: BaseAlgorithm) -> None:
    """Weights change and stay finite, and every map of a pass is there."""
    before = {name: each.clone() for name, each in model.policy.named_parameters()}
    model.learn(STEPS)
    after = dict(model.policy.named_parameters())
    assert any(not torch.equal(each, after[name]) for name, each in before.items())
    assert all(each.isfinite().all() for each in after.values())
    assert model.env is not None
    with AttentionTap(model.policy) as tap:
        model.predict(model.env.reset(), deterministic=True)
        seen = tap.take()
    assert seen is not None and all(one.weights.isfinite().all() for one in seen.maps)


NO_DICTS = {(CrossQ, "typed entities"), (CrossQ, "a dict of kinds")}
"""sb3-contrib's CrossQ reads no Dict observations; `agents.build` refuses them with that reason."""
CELLS_OF_MATRIX = [
    pytest.param(algorithm, observation, id=f"{algorithm.__name__}-{observation}")
    for algorithm in ALGORITHMS
    for observation in OBSERVATIONS
    if (algorithm, observation) not in NO_DICTS
]


@pytest.mark.parametrize(("algorithm", "observation"), CELLS_OF_MATRIX)
def test_every_algorithm_learns_from_every_kind_of_token(algorithm, observation: str) -> None:
    learns_and_tells(built(algorithm, world(observation, algorithm in CONTINUOUS)))


IN_TIME = {"causal", "attention-gru", "augru", "attgru", "present"}
IN_FRAMES = {"spatial", "temporal", "space-time"}
ON_GRID = {"local", "predicted", "location"}
OF_EGO = {"ego", "relative"}
LAYERS = {"local": 2, "causal": 2, "spatial": 2, "temporal": 2, "relative": 2}


def observation_for(word: str) -> str:
    """Return an observation that a mechanism makes sense for."""
    if word == "cross":
        return "a dict of kinds"
    for kind, words in (
        ("history", IN_TIME),
        ("frames of cells", IN_FRAMES),
        ("cells of categories", ON_GRID),
        ("entities", OF_EGO),
    ):
        if word in words:
            return kind
    return "features"


PIECES = {
    "score": SCORES,
    "normaliser": NORMALISERS,
    "hard": SELECTIONS,
    "where": WHERES,
    "positions": POSITIONS,
    "mix": MIXES,
}
WORDS = [
    *((name, word) for name, registry in PIECES.items() for word in registry.names),
    *(("block", word) for word in BLOCKS.names),
    *(("readout", word) for word in READOUTS.names),
]


def test_every_word_of_a_mechanism_is_tried() -> None:
    words = {field.name for field in fields(Mechanism)} - {"temperature", "budget", "reach"}
    assert words == set(PIECES)


@pytest.mark.parametrize("algorithm", [PPO, DQN], ids=lambda each: each.__name__)
@pytest.mark.parametrize(("name", "word"), WORDS)
def test_every_mechanism_learns_and_tells(algorithm, name: str, word: str) -> None:
    options: dict[str, Any] = {"layers": LAYERS.get(word, 1), "points": 2}
    if name in PIECES:
        options["attention"] = Mechanism(**{name: word, "reach": 1, "budget": 2})
    elif name == "block":
        options |= {"block": word, "layers": 2}
    else:
        options |= {"readout": word, "asker": "speed" if word == "cross" else ""}
    learns_and_tells(built(algorithm, world(observation_for(word)), **options))
