"""The words of the encoder: explained as registered, looked up and refused before training."""

from __future__ import annotations

import re
from functools import cache

import pytest
import torch
from gymnasium import spaces

from attention_agents.agents.algorithms.checks import check_encoder
from attention_agents.agents.config.algorithms import algorithms_with
from attention_agents.agents.config.catalogue import HEAD, WORDS, glossary
from attention_agents.agents.config.encoder_config import MECHANISMS, EncoderConfig
from attention_agents.agents.config.run_config import PolicyConfig, RunConfig
from attention_agents.envs.make import make_env
from attention_agents.policies.attention import (
    MIXES,
    NORMALISERS,
    POSITIONS,
    SCORES,
    SELECTIONS,
    WHERES,
)
from attention_agents.policies.blocks import BLOCKS
from attention_agents.policies.readouts import READOUTS

REGISTRIES = {
    "block": BLOCKS,
    "readout": READOUTS,
    "attention": SCORES,
    "normaliser": NORMALISERS,
    "hard": SELECTIONS,
    "where": WHERES,
    "positions": POSITIONS,
    "mix": MIXES,
}

PLACES = {
    "features": ("CartPole-v1", 0),
    "history": ("CartPole-v1", 5),
    "frames": ("MiniGrid-DoorKey-5x5-v0", 3),
    "entities": ("highway-fast-v0", 0),
    "scenes": ("highway-fast-v0", 3),
}
NEEDS = {
    ("block", "space-time"): ("frames", "scenes"),
    ("readout", "ego"): ("entities", "scenes"),
    ("readout", "present"): ("history",),
    ("readout", "cross"): ("frames",),
    ("readout", "attention-gru"): ("history", "frames", "scenes"),
    ("readout", "augru"): ("history",),
    ("readout", "attgru"): ("history",),
    ("attention", "location"): ("features", "history", "frames"),
    ("hard", "perturbed-top-k"): ("history", "frames", "entities", "scenes"),
    ("where", "local"): ("history", "frames", "scenes"),
    ("where", "predicted"): ("history", "frames", "scenes"),
    ("where", "causal"): ("history", "frames", "scenes"),
    ("where", "spatial"): ("frames", "scenes"),
    ("where", "temporal"): ("history", "frames", "scenes"),
    ("positions", "relative"): ("history", "frames", "entities", "scenes"),
}
"""Where a word makes sense; every other word does everywhere."""


def run_of(**words) -> RunConfig:
    return RunConfig(
        env="x", algo="ppo", n_timesteps=1, seed=0, n_envs=1, encoder=EncoderConfig(**words)
    )


@cache
def space_of(place: str) -> spaces.Space:
    env_id, history = PLACES[place]
    return make_env(env_id, history=history).observation_space


@pytest.mark.parametrize("option", MECHANISMS)
def test_the_help_is_that_of_the_registries(option):
    registry = REGISTRIES[option]
    ours = {name: registry.help(name) for name in registry.names if _is_ours(registry[name])}
    if option == "readout":
        ours["auto"] = "ego where the observation has such a token, else query"
    assert WORDS[option] == ours


def _is_ours(piece: type) -> bool:
    return piece.__module__.startswith("attention_agents.policies.")


def test_the_glossary_holds_every_word_and_starts_with_the_default():
    lines = glossary().splitlines()
    defaults = vars(EncoderConfig()) | {"head": PolicyConfig().head}
    assert all(algorithms_with(head) for head in HEAD)
    for option, words in (WORDS | {"head": HEAD}).items():
        assert next(iter(words)) == defaults[option]
        for word, text in words.items():
            assert any(re.fullmatch(rf"  (--{option})? +{re.escape(word)}  +.+", x) for x in lines)
            assert any(line.endswith(f"  {text}") for line in lines)


@pytest.mark.parametrize(
    ("option", "word"), [(option, word) for option, words in WORDS.items() for word in words]
)
def test_every_word_builds_where_it_makes_sense_and_is_refused_elsewhere(option, word):
    config = run_of(
        **{option: word}, asker="direction" if word == "cross" else "", heads=2, width=14
    )
    needs = NEEDS.get((option, word), tuple(PLACES))
    for place in PLACES:
        if place in needs:
            check_encoder(config, space_of(place))
        else:
            with pytest.raises(ValueError, match=r"; (use|lower|make|give)"):
                check_encoder(config, space_of(place))


def test_a_check_leaves_the_random_stream_as_it_was():
    before = torch.get_rng_state()
    check_encoder(run_of(), space_of("features"))
    assert torch.equal(torch.get_rng_state(), before)
