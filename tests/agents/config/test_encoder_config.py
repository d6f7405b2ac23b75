"""Words of the encoder that a person gave and that nothing uses."""

import json
import re
from dataclasses import asdict, replace

import pytest
import torch

from attention_agents.agents.config import presets as module
from attention_agents.agents.config.encoder_config import (
    EncoderConfig,
    EncoderOptions,
    words_that_use,
)
from attention_agents.agents.config.presets import load_presets, resolve_config
from attention_agents.agents.config.run_config import RunConfig, TrainConfig
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.encoder import Encoder
from attention_agents.policies.registries import (
    BLOCKS,
    HARD_ATTENTIONS,
    READOUTS,
    REGISTRIES,
    VISIBILITIES,
)

REFUSED = {
    "budget and no choice": (
        {"top_k": 7},
        "top_k=7 would change nothing with hard_attention='none'; leave it out, or use one of "
        "hard_attention='perturbed-top-k', hard_attention='top-k'",
    ),
    "the default budget": ({"top_k": 4}, "top_k=4 would change nothing with hard_attention='none'"),
    "budget and one place": (
        {"top_k": 7, "hard_attention": "gumbel"},
        "top_k=7 would change nothing with hard_attention='gumbel'",
    ),
    "reach and everywhere": (
        {"window": 9},
        "window=9 would change nothing with visibility='global'; leave it out, or use one of "
        "visibility='local', visibility='predicted'",
    ),
    "reach and the past": (
        {"window": 9, "visibility": "causal"},
        "window=9 would change nothing with visibility='causal'",
    ),
    "points and one query": (
        {"num_queries": 3, "layers": 1},
        "num_queries=3 would change nothing with readout='auto', block='residual'; leave it out, "
        "or use one of readout='queries', readout='slots', block='isab'",
    ),
    "points and a mean": (
        {"num_queries": 3, "readout": "mean", "block": "sab"},
        "num_queries=3 would change nothing with readout='mean', block='sab'",
    ),
    "one head against itself": (
        {"heads": 1, "head_mixing": "weighted"},
        "head_mixing='weighted' weighs heads against each other, and heads=1 has no other; use",
    ),
}
TAKEN = [
    {"top_k": 7, "hard_attention": "top-k"},
    {"top_k": 7, "hard_attention": "perturbed-top-k"},
    {"window": 9, "visibility": "local"},
    {"window": 9, "visibility": "predicted"},
    {"num_queries": 3, "readout": "queries"},
    {"num_queries": 3, "readout": "slots"},
    {"num_queries": 3, "block": "isab"},
    {"num_queries": 3, "readout": "of-a-plugin"},
    {"num_queries": 3, "block": "of-a-plugin"},
    {"top_k": 7, "hard_attention": "of-a-plugin"},
    {"window": 9, "visibility": "of-a-plugin"},
    {"heads": 1, "head_mixing": "talking"},
    {"heads": 2, "head_mixing": "weighted"},
]


def settled(**words) -> RunConfig:
    return resolve_config(TrainConfig(env="x", algo="ppo", encoder="pooled", **words), "other")


@pytest.mark.parametrize("case", REFUSED)
def test_what_nothing_uses_is_refused(case):
    words, text = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(text)):
        settled(**words)


@pytest.mark.parametrize("words", TAKEN)
def test_what_something_uses_is_taken(words):
    encoder = settled(**words).encoder
    assert {name: encoder.option(name) for name in words} == words
    assert set(encoder.given) == set(words)


def test_what_a_preset_says_is_never_refused(monkeypatch):
    shelves = load_presets()
    other = shelves["families"]["other"]
    words = {
        "top_k": 7,
        "hard_attention": "top-k",
        "window": 9,
        "visibility": "local",
        "num_queries": 3,
    }
    words |= {"readout": "slots", "head_mixing": "weighted"}
    changed = {**shelves, "families": {"other": other | {"ppo": other["ppo"] | {"pooled": words}}}}
    monkeypatch.setattr(module, "load_presets", lambda: changed)
    run = settled(hard_attention="none", visibility="global", readout="mean", heads=1)
    attention = run.encoder.attention
    assert (attention.top_k, attention.window, run.encoder.num_queries) == (7, 9, 3)
    assert settled(top_k=5).encoder.attention.top_k == 5
    with pytest.raises(ValueError, match="top_k=5 would change nothing with hard_attention='none'"):
        settled(hard_attention="none", top_k=5)


def test_what_was_given_is_kept_and_makes_no_other_encoder():
    run = settled(layers=1, window=9, visibility="local")
    assert run.encoder.given == ("layers", "visibility", "window")
    assert run.encoder == EncoderConfig.from_words(layers=1, visibility="local", window=9)
    again = RunConfig.from_json(json.loads(json.dumps(run.to_json())))
    assert again == run and set(again.encoder.given) == set(run.encoder.given)


OLD = {
    "attention": "additive",
    "normaliser": "sigmoid",
    "temperature": 2.0,
    "hard": "top-k",
    "budget": 7,
    "where": "local",
    "reach": 9,
    "positions": "relative",
    "mix": "weighted",
    "points": 3,
    "asker": "goal",
    "readout": "cross",
    "heads": 1,
    "tokens": "auto",
}
"""An encoder as version 0.1 wrote it, from before options were remembered as given."""


def test_the_words_of_older_files_are_read():
    attention = AttentionConfig(
        score="additive",
        normalizer="sigmoid",
        temperature=2.0,
        hard_attention="top-k",
        top_k=7,
        visibility="local",
        window=9,
        positions="relative",
        head_mixing="weighted",
    )
    config = EncoderConfig(
        heads=1, readout="cross", num_queries=3, query_source="goal", attention=attention
    )
    assert EncoderConfig.from_json(OLD) == config
    assert EncoderConfig.from_json(OLD).given == ()
    assert EncoderConfig.from_json(json.loads(json.dumps(asdict(config)))) == config
    given = EncoderConfig.from_json({"hard": "top-k", "budget": 2, "given": ["hard", "budget"]})
    assert given.given == ("hard_attention", "top_k")


def test_a_preset_with_older_words_is_read(monkeypatch):
    shelves = load_presets()
    other = shelves["families"]["other"]
    words = {"budget": 7, "hard": "top-k", "mix": "weighted", "points": 3, "attention": "dot"}
    changed = {**shelves, "families": {"other": other | {"ppo": other["ppo"] | {"pooled": words}}}}
    monkeypatch.setattr(module, "load_presets", lambda: changed)
    encoder = settled(head_mixing="talking").encoder
    assert encoder.attention == AttentionConfig(
        score="dot", hard_attention="top-k", top_k=7, head_mixing="talking"
    )
    assert encoder.num_queries == 3


def test_given_are_the_options_that_are_not_open():
    assert EncoderOptions().given == () == TrainConfig(env="x", n_timesteps=3).given
    assert EncoderOptions(tokens="cells", top_k=0, hard_attention="none").given == (
        "hard_attention",
        "top_k",
    )


FRAMES = TokenLayout(
    tuple(TokenGroup("cells", tuple("abcdef"), "", (2, 3), offsets=(t,) * 6) for t in (-1, 0))
)
STEPS = TokenLayout((TokenGroup("history", tuple("abcde"), offsets=(-4, -3, -2, -1, 0)),))
PLACE = LayerContext(12, 2, 12, FRAMES, query_tokens=tuple(range(12)))


def of_mechanism(option: str, word: str, number: str, value: int) -> torch.Tensor:
    """Return what a word makes of scores, for one value of a number."""
    torch.manual_seed(0)
    place = replace(PLACE, attention=AttentionConfig(**{option: word, number: value}))
    scores = torch.randn(2, 2, 12, 12)
    if option == "hard_attention":
        if HARD_ATTENTIONS.is_empty(word):
            return scores
        return HARD_ATTENTIONS[word](place)(scores, scores.softmax(-1), None)
    if VISIBILITIES.is_empty(word):
        return scores
    visibility = VISIBILITIES[word](place)
    bias = visibility(scores[..., :6])
    visible = visibility.visible
    return (torch.zeros(12, 12) if visible is None else visible.float()) if bias is None else bias


@pytest.mark.parametrize(
    ("option", "number"), [("hard_attention", "top_k"), ("visibility", "window")]
)
def test_words_that_use_a_number_are_those_that_it_changes(option, number):
    for word in REGISTRIES[option].builtin:
        few, many = (of_mechanism(option, word, number, value) for value in (1, 2))
        assert torch.equal(few, many) == (word not in words_that_use(number)[option]), word


def weights(layers: int, num_queries: int, query_source: str = "", **words: str) -> int:
    layout = STEPS if words["readout"] in ("present", "augru", "attgru") else FRAMES
    if words["readout"] == "ego":
        layout = TokenLayout((TokenGroup("entities", tuple("abcde"), ego=0),))
    if words["readout"] == "cross":
        layout, query_source = (
            TokenLayout((*FRAMES.groups, TokenGroup("features", ("g",), "goal"))),
            "goal",
        )
    place = LayerContext(
        12, 2, len(layout), layout, num_queries=num_queries, query_source=query_source
    )
    encoder = Encoder(place, layers, **words)
    return sum(each.numel() for each in encoder.parameters())


def test_words_that_use_queries_are_those_that_they_change():
    users = words_that_use("num_queries")
    for block in BLOCKS.builtin:
        counts = [weights(2, number, block=block, readout="query") for number in (2, 3)]
        assert (counts[0] == counts[1]) == (block not in users["block"]), block
    for readout in READOUTS.builtin:
        counts = [weights(1, number, block="residual", readout=readout) for number in (2, 3)]
        assert (counts[0] == counts[1]) == (readout not in users["readout"]), readout
