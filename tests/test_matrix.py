"""Every algorithm with every kind of token, and every mechanism with PPO and DQN: a few updates
that reach all of the encoder, and the maps of a pass."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN, TQC, CrossQ, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from attention_agents.agents.algorithms.trpo import TRPO
from attention_agents.envs.tokens.layout import Conv
from attention_agents.envs.tokens.spaces import Cells, Entities, Patches, TokenBox
from attention_agents.envs.wrappers.flat_history import History
from attention_agents.envs.wrappers.frame_history import FrameHistory
from attention_agents.envs.wrappers.padding import PadSequences
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.tappable import TappableAttention
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.registries import REGISTRIES
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.maskable_pointer import MaskablePointerPolicy
from attention_agents.policies.sb3.pointer import PointerPolicy

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
ROOM = 5
"""Rows of a table in place of a Sequence or Graph."""


class World(gym.Env):
    """Anything may be observed, and nothing follows from what is done; episodes take 5 steps."""

    def __init__(self, space: spaces.Space, continuous: bool = False, empty: bool = False):
        self.observation_space = space
        self.action_space = spaces.Box(-1, 1, (2,)) if continuous else spaces.Discrete(3)
        self.steps, self.empty = 0, empty

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action: Any):
        self.steps += 1
        return self.observe(), 1.0, self.steps == 5, False, {}

    def observe(self) -> Any:
        """Sample the space; of a Sequence 0 to 3 members, of a Graph 1 to 4 nodes and 0 to 3 edges.

        Where it is empty at times, every second step holds no entity.
        """
        space, step = self.observation_space, self.steps
        if isinstance(space, spaces.Sequence):
            return tuple(space.feature_space.sample() for _ in range(step % 4))
        if isinstance(space, spaces.Graph):
            return space.sample(num_nodes=1 + step % 4, num_edges=step % 4)
        seen = space.sample()
        return np.zeros_like(seen) if self.empty and step % 2 else seen

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
SEQUENCE = spaces.Sequence(spaces.Dict({"at": spaces.Box(-1, 1, (2,)), "is": spaces.Discrete(3)}))
GRAPH = spaces.Graph(node_space=spaces.Box(-1, 1, (2,)), edge_space=spaces.Discrete(3))
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
    "frames of entities": VEHICLES,
    "sequence": SEQUENCE,
    "graph": GRAPH,
    "no entities at times": VEHICLES,
}


def world(observation: str, continuous: bool = False) -> gym.Env:
    space = OBSERVATIONS[observation]
    env = World(space, continuous, empty=observation == "no entities at times")
    if observation in ("sequence", "graph"):
        return PadSequences(env, ROOM)
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
        "net_arch": [13],  # wide enough that some of SB3's ReLUs let a gradient through
    }
    if algorithm is RecurrentPPO:
        arguments["lstm_hidden_size"] = 5
    return algorithm(  # type: ignore[call-arg]
        policy, env, policy_kwargs=arguments, seed=0, device="cpu", **ALGORITHMS[algorithm]
    )


def encoders(model: BaseAlgorithm) -> list[AttentionExtractor]:
    """Return the encoders that learn; targets only follow them."""
    modules = model.policy.named_modules(remove_duplicate=False)
    found = [
        module
        for name, module in modules
        if isinstance(module, AttentionExtractor) and "target" not in name
    ]
    return list(dict.fromkeys(found))


class Watched:
    """One part of an encoder while it learns: what had a gradient, and what moved."""

    def __init__(self, part: nn.Module):
        self.parameters = dict(part.named_parameters())
        self.before = {name: each.detach().clone() for name, each in self.parameters.items()}
        self.reached: set[str] = set()
        for name, each in self.parameters.items():
            each.register_hook(partial(self._hear, name))

    def _hear(self, name: str, gradient: torch.Tensor) -> None:
        if gradient.any():
            self.reached.add(name)

    @property
    def moved(self) -> set[str]:
        now = self.parameters.items()
        return {name for name, each in now if not torch.equal(each, self.before[name])}


def parts_of(encoder: AttentionExtractor) -> dict[str, Watched]:
    """Return the parts of an encoder that have weights; every attention is one besides."""
    inner = encoder.encoder
    parts = {"tokenizer": encoder.tokenizer, "readout": inner.readout, "norm": inner.norm}
    parts |= {f"block {i}": block for i, block in enumerate(inner.blocks)}
    parts |= {
        name: each for name, each in inner.named_modules() if isinstance(each, TappableAttention)
    }
    return {name: Watched(part) for name, part in parts.items() if list(part.parameters())}


def learns_and_tells(model: BaseAlgorithm, unlearnt: tuple[str, ...] = ()) -> None:
    """Every part of every encoder learns, and every map of a pass is there.

    All that a gradient has reached has moved, in each part there is some, and all stays finite.
    (TRPO moves more by rounding: its solver starts at random.)

    Args:
        model: yet to learn.
        unlearnt: parts that no gradient reaches in this case.
    """
    watched = [parts_of(encoder) for encoder in encoders(model)]
    assert watched
    model.learn(STEPS)
    for parts in watched:
        for name, part in parts.items():
            assert part.reached <= part.moved, name
            assert bool(part.reached) == (name not in unlearnt), name
    assert all(each.isfinite().all() for each in model.policy.parameters())
    assert model.env is not None
    with AttentionTap(model.policy) as tap:
        model.predict(model.env.reset(), deterministic=True)
        seen = tap.take()
    assert seen is not None and all(one.weights.isfinite().all() for one in seen.maps)


NO_DICTS = {(CrossQ, kind) for kind in ("typed entities", "a dict of kinds", "graph")}
"""sb3-contrib's CrossQ reads no Dict observations; `agents.algorithms.build` refuses them with
that reason."""
CELLS_OF_MATRIX = [
    pytest.param(algorithm, observation, id=f"{algorithm.__name__}-{observation}")
    for algorithm in ALGORITHMS
    for observation in OBSERVATIONS
    if (algorithm, observation) not in NO_DICTS
]


@pytest.mark.parametrize(("algorithm", "observation"), CELLS_OF_MATRIX)
def test_every_algorithm_learns_from_every_kind_of_token(algorithm, observation: str) -> None:
    learns_and_tells(built(algorithm, world(observation, algorithm in CONTINUOUS)))


@pytest.mark.parametrize(
    ("algorithm", "policy"), [(PPO, PointerPolicy), (MaskablePPO, MaskablePointerPolicy)]
)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_pointer_learns_and_tells(algorithm, policy, layers: int) -> None:
    extractor = {"width": 6, "heads": 3, "layers": layers}
    options = {"features_extractor_kwargs": extractor, "net_arch": [7]}
    model = algorithm(
        policy,
        World(OBSERVATIONS["typed entities"]["apples"]),
        policy_kwargs=options,
        seed=0,
        device="cpu",
        **ALGORITHMS[algorithm],
    )
    pointer = Watched(model.policy.action_net)
    learns_and_tells(model)
    assert pointer.moved == {"query.weight", "query.bias", "key.weight"}


@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO, DQN, SAC], ids=lambda each: each.__name__)
def test_where_there_never_is_an_entity_the_learned_vector_learns(algorithm) -> None:
    env = world("sequence", algorithm in CONTINUOUS)
    env.unwrapped.observe = tuple  # type: ignore[method-assign]
    model = built(algorithm, env, readout="query")
    readouts = [each.encoder.readout for each in encoders(model)]
    learns_and_tells(model, unlearnt=("tokenizer",))
    assert all(
        each.query_block.attention.empty_vector.any() for each in readouts
    )  # it starts at zero


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


WORDS = [(name, word) for name, registry in REGISTRIES.items() for word in registry.builtin]


def test_every_word_of_a_mechanism_is_tried() -> None:
    words = {field.name for field in fields(AttentionConfig)} - {"temperature", "top_k", "window"}
    assert {*words, "block", "readout"} == set(REGISTRIES)


@pytest.mark.parametrize("algorithm", [PPO, DQN], ids=lambda each: each.__name__)
@pytest.mark.parametrize(("name", "word"), WORDS)
def test_every_mechanism_learns_and_tells(algorithm, name: str, word: str) -> None:
    options: dict[str, Any] = {"layers": LAYERS.get(word, 1), "num_queries": 2}
    if name == "block":
        options |= {"block": word, "layers": 2}
    elif name == "readout":
        options |= {"readout": word, "query_source": "speed" if word == "cross" else ""}
    else:
        options["attention"] = AttentionConfig(**{name: word, "window": 1, "top_k": 2})
    # of these only a vector for no tokens at all would learn, and here there always are some
    unlearnt = ("readout",) if word in ("mean", "sum", "max") else ()
    learns_and_tells(built(algorithm, world(observation_for(word)), **options), unlearnt)
