"""The words of the encoder: explained as registered, looked up and refused before training."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import import_module

import pytest
import torch
from gymnasium import spaces

from attention_agents.agents.algorithms.checks import check_encoder
from attention_agents.agents.config.catalogue import POLICY_HEADS, glossary
from attention_agents.agents.config.encoder_config import EncoderConfig
from attention_agents.agents.config.run_config import PolicyConfig, RunConfig
from attention_agents.envs.make import make_env
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.registries import REGISTRIES, SCORES
from attention_agents.policies.testkit import check_mechanism, layer_context

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
    ("score", "location"): ("features", "history", "frames"),
    ("hard_attention", "perturbed-top-k"): ("history", "frames", "entities", "scenes"),
    ("visibility", "local"): ("history", "frames", "scenes"),
    ("visibility", "predicted"): ("history", "frames", "scenes"),
    ("visibility", "causal"): ("history", "frames", "scenes"),
    ("visibility", "spatial"): ("frames", "scenes"),
    ("visibility", "temporal"): ("history", "frames", "scenes"),
    ("positions", "relative"): ("history", "frames", "entities", "scenes"),
}
"""Where a word makes sense; every other word does everywhere."""


NEW_SCORE = """
from torch import nn
from attention_agents.policies.attention.scores.score import Score
from attention_agents.policies.registries import SCORES

@SCORES.register("manhattan", "minus the sum of the differences")
class Manhattan(Score):
    def forward(self, q, k):
        return -(q[:, :, :, None] - k[:, :, None]).abs().sum(-1) * self.scale
"""


def run_of(**words) -> RunConfig:
    return RunConfig(
        env="x",
        algo="ppo",
        n_timesteps=1,
        seed=0,
        n_envs=1,
        encoder=EncoderConfig.from_words(**words),
    )


@cache
def space_of(place: str) -> spaces.Space:
    env_id, history = PLACES[place]
    return make_env(env_id, history=history).observation_space


@pytest.mark.parametrize("option", REGISTRIES)
def test_the_words_of_the_source_are_those_that_are_registered(option):
    """Words and help are read without an import; what is imported then registers the same."""
    registry = REGISTRIES[option]
    for word, entry in registry.builtin.items():
        if registry.is_empty(word):
            assert registry.build(word, None) is None
            continue
        piece = registry[word]
        assert (piece.__module__, registry._pieces[word]) == (entry.module, (piece, entry.help))


def test_a_new_file_is_a_new_score(tmp_path, monkeypatch):
    """Nothing else is edited: it is in the help, can be asked for, and trains."""
    (tmp_path / "manhattan.py").write_text(NEW_SCORE)
    scores = import_module("attention_agents.policies.attention.scores")
    monkeypatch.setattr(scores, "__path__", [*scores.__path__, str(tmp_path)])
    monkeypatch.delitem(SCORES.__dict__, "builtin")
    monkeypatch.setattr(SCORES, "_pieces", dict(SCORES._pieces))
    try:
        assert re.search(r"^ +manhattan +minus the sum of the differences$", glossary(), re.M)
        assert "attention_agents.policies.attention.scores.manhattan" not in sys.modules
        check_encoder(run_of(score="manhattan"), space_of("features"))
        context = layer_context(attention=AttentionConfig(score="manhattan"))
        check_mechanism(lambda: SelfAttention(context), context, compiles=False)
    finally:
        del SCORES.__dict__["builtin"]


def test_the_glossary_holds_every_word_and_starts_with_the_default():
    lines = glossary().splitlines()
    defaults = (
        vars(EncoderConfig()) | vars(AttentionConfig()) | {"policy-head": PolicyConfig().head}
    )
    options = {option: registry.words for option, registry in REGISTRIES.items()}
    for option, words in (options | {"policy-head": POLICY_HEADS}).items():
        assert next(iter(words)) == defaults[option]
        option = option.replace("_", "-")
        for word, text in words.items():
            assert any(re.fullmatch(rf"  (--{option})? +{re.escape(word)}  +.+", x) for x in lines)
            assert any(line.endswith(f"  {text}") for line in lines)


@pytest.mark.parametrize(
    ("option", "word"),
    [(option, word) for option, registry in REGISTRIES.items() for word in registry.builtin],
)
def test_every_word_builds_where_it_makes_sense_and_is_refused_elsewhere(option, word):
    config = run_of(
        **{option: word}, query_source="direction" if word == "cross" else "", heads=2, width=14
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
