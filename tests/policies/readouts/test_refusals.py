"""A readout that makes no sense of an observation or a mechanism is refused, with what to do."""

import re
from dataclasses import replace

import pytest

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention import MIXES, Mechanism
from attention_agents.policies.blocks import FeedForward
from attention_agents.policies.encoder import Encoder
from attention_agents.policies.readouts import READOUTS
from attention_agents.policies.testkit import built, site, with_mechanism
from tests.policies.readouts.cases import FRAMES, SET, TWO_KEYS, features, history, maker, place_of

LIVE = TokenLayout((features(2, "goal"), history(3, "past")))


@pytest.mark.parametrize(
    ("readout", "change", "message"),
    [
        ("ego", {}, "readout 'ego' needs a token of the agent itself, and this observation has "),
        ("slots", dict(points=1), "readout 'slots' needs points of at least 2: a slot alone has "),
        (
            "cross",
            {},
            "readout 'cross' needs a Dict observation with two keys or more, one of which asks "
            "for the others, got none; use readout='query'",
        ),
        (
            "cross",
            dict(layout=TokenLayout((features(5, "goal"),)), asker="goal"),
            "one of which asks for the others, got 'goal'; use readout='query'",
        ),
        (
            "cross",
            dict(layout=TWO_KEYS),
            "readout 'cross' needs asker, the key whose tokens ask, to be one of 'goal', 'map', "
            "got ''",
        ),
        ("cross", dict(layout=TWO_KEYS, asker="gaol"), "to be one of 'goal', 'map', got 'gaol'"),
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
    place = replace(site(3, layout, askers=None), **change)
    with pytest.raises(ValueError, match=re.escape(message)):
        READOUTS[readout](place)


def test_a_mechanism_that_slots_would_not_use_is_refused():
    place = with_mechanism(place_of("slots"), score="additive")
    with pytest.raises(ValueError, match="weigh tokens by a rule of their own"):
        Encoder(place, 1, readout="slots")
    Encoder(place, 2, readout="slots")  # a block before it does use it


@pytest.mark.parametrize("readout", ["augru", "attgru"])
def test_heads_that_gate_channels_cannot_be_mixed(readout):
    place = place_of(readout)
    for name in MIXES.names:
        if name == "concat":
            continue
        with pytest.raises(
            ValueError, match=f"cannot be mixed, got mix='{name}'; use mix='concat'"
        ):
            READOUTS[readout](with_mechanism(place, mix=name))


def test_default_mechanism_and_gain_of_a_site_are_kept():
    """A readout that adds what it read to a stream starts it small, one that does not, whole."""
    small = replace(place_of("votes"), gain=0.01, mechanism=Mechanism())
    assert built(maker("query", small)).asking.attention.output.weight.std() < 0.01
    assert built(maker("votes", small)).attention.output.weight.std() > 0.1
    assert FeedForward(small).output.weight.std() < 0.01
