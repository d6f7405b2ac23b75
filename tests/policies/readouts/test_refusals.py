"""A readout that makes no sense of an observation or a mechanism is refused, with what to do."""

import re
from dataclasses import replace

import pytest

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.blocks.block import FeedForward
from attention_agents.policies.encoder import Encoder
from attention_agents.policies.registries import HEAD_MIXINGS, READOUTS
from attention_agents.policies.testkit import build_module, layer_context, with_attention
from tests.policies.readouts.cases import FRAMES, SET, TWO_KEYS, features, history, maker, place_of

LIVE = TokenLayout((features(2, "goal"), history(3, "past")))


@pytest.mark.parametrize(
    ("readout", "change", "message"),
    [
        ("ego", {}, "readout 'ego' needs a token of the agent itself, and this observation has "),
        (
            "slots",
            dict(num_queries=1),
            "readout 'slots' needs num_queries of at least 2: a single slot has ",
        ),
        (
            "cross",
            {},
            "readout 'cross' needs a Dict observation with two keys or more, one of which reads "
            "the others, got none; use readout='query'",
        ),
        (
            "cross",
            dict(layout=TokenLayout((features(5, "goal"),)), query_source="goal"),
            "one of which reads the others, got 'goal'; use readout='query'",
        ),
        (
            "cross",
            dict(layout=TWO_KEYS),
            "readout 'cross' needs query_source, the key whose tokens are the queries, to be "
            "one of 'goal', 'map', got ''",
        ),
        (
            "cross",
            dict(layout=TWO_KEYS, query_source="gaol"),
            "to be one of 'goal', 'map', got 'gaol'",
        ),
        (
            "present",
            {},
            "readout 'present' needs a history of steps, and this observation is of one step; "
            "make it one with --history 8 (in Python attention_agents.History or FrameHistory), or "
            "use readout='query'",
        ),
        (
            "present",
            dict(layout=FRAMES),
            "readout 'present' needs one token of the present step, got 11: none of them stands "
            "for the whole step; use readout='query', 'queries', or 'attention-gru', which",
        ),
        ("attention-gru", {}, "readout 'attention-gru' needs a history of steps, and this"),
        (
            "attention-gru",
            dict(layout=TokenLayout((history(1),))),
            "readout 'attention-gru' needs a history of steps, and this observation is of one step",
        ),
        ("augru", {}, "readout 'augru' needs a history of steps"),
        (
            "augru",
            dict(layout=FRAMES),
            "readout 'augru' needs one token per step, and this history has up to 11; use "
            "readout='attention-gru', which reads the tokens of each step",
        ),
        (
            "attgru",
            dict(layout=LIVE),
            "readout 'attgru' needs one token per step, and this history ",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(readout, change, message):
    layout = change.get("layout", SET)
    place = replace(layer_context(3, layout, query_tokens=None), **change)
    with pytest.raises(ValueError, match=re.escape(message)):
        READOUTS[readout](place)


def test_a_mechanism_that_slots_would_not_use_is_refused():
    place = with_attention(place_of("slots"), score="additive")
    with pytest.raises(ValueError, match="weigh tokens by a rule of their own"):
        Encoder(place, 1, readout="slots")
    Encoder(place, 2, readout="slots")  # a block before it does use it


@pytest.mark.parametrize("readout", ["augru", "attgru"])
def test_heads_that_gate_channels_cannot_be_mixed(readout):
    place = place_of(readout)
    for name in HEAD_MIXINGS.words:
        if name == "concat":
            continue
        with pytest.raises(
            ValueError, match=f"cannot be mixed, got head_mixing='{name}'; use head_mixing='concat'"
        ):
            READOUTS[readout](with_attention(place, head_mixing=name))


def test_default_mechanism_and_gain_of_a_site_are_kept():
    """A readout that adds what it read to a stream starts it small, one that does not, whole."""
    small = replace(place_of("votes"), gain=0.01, attention=AttentionConfig())
    assert build_module(maker("query", small)).query_block.attention.output.weight.std() < 0.01
    assert build_module(maker("votes", small)).attention.output.weight.std() > 0.1
    assert FeedForward(small).output.weight.std() < 0.01
