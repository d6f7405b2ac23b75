"""The encoder as a whole: every block with every readout, layers, refusals."""

import pytest
import torch

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.encoder import Encoder
from attention_agents.policies.registries import BLOCKS, READOUTS
from attention_agents.policies.testkit import (
    B,
    check_mechanism,
    example_tokens,
    layer_context,
    record_weights,
)

H = 3
STEPS = TokenLayout((TokenGroup("history", tuple("abcde"), offsets=(-4, -3, -2, -1, 0)),))
ROAD = TokenLayout(
    (
        *(TokenGroup("cells", ("l", "r"), "image", (1, 2), offsets=(t, t)) for t in (-2, -1, 0)),
        TokenGroup("entities", ("ego", "car", "truck"), "near", ego=0),
    )
)
"""Frames, and entities of which one is the agent."""
BY_STEP = ("present", "augru", "attgru")
"""Readouts that need one token per step; all others read ROAD."""
ENDS = [word for word in READOUTS.words if word != "auto"]


def place_for(readout: str, **words) -> LayerContext:
    layout = STEPS if readout in BY_STEP else ROAD
    mechanism = AttentionConfig(**words)
    query_source = "near" if READOUTS[readout].takes_query_source else ""
    return layer_context(
        heads=H, layout=layout, query_tokens=None, query_source=query_source, attention=mechanism
    )


def fitting(block: str, readout: str) -> bool:
    return block != "space-time" or readout not in BY_STEP


PAIRS = [(block, end) for block in BLOCKS.words for end in ENDS if fitting(block, end)]


@pytest.mark.parametrize(("block", "readout"), PAIRS)
def test_every_block_goes_with_every_readout(block, readout):
    place = place_for(readout)
    encoder, tokens = Encoder(place, 3, block, readout), example_tokens(place)
    out, heard = record_weights(encoder, tokens)
    assert out.shape == (B, place.width) and out.isfinite().all()
    assert len(encoder.blocks) == 3 - READOUTS[readout].is_attention_layer
    placed = encoder.attention_modules()
    assert {layer for layer, _ in placed} == set(range(3))
    assert [module for _, module in placed] == [module for module, _ in heard]
    names = [(layer, module.part) for layer, module in placed]
    assert len(set(names)) == len(names)  # so that maps can be told apart


@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("readout", ENDS)
def test_it_has_the_layers_asked_for(readout, layers):
    place = place_for(readout)
    encoder = Encoder(place, layers, readout=readout)
    assert {layer for layer, _ in encoder.attention_modules()} == set(range(layers))
    assert encoder(example_tokens(place)).shape == (B, place.width)


def test_attentions_are_told_apart_by_layer_and_part():
    encoder = Encoder(place_for("query"), 3, "space-time", "query")
    assert [(layer, module.part) for layer, module in encoder.attention_modules()] == [
        (0, "time"),
        (0, "space"),
        (1, "time"),
        (1, "space"),
        (2, ""),
    ]


@pytest.mark.parametrize(
    ("block", "readout"), [*((name, "query") for name in BLOCKS.words), ("residual", "mean")]
)
def test_kit(block, readout):
    place = place_for(readout)
    order = "ordered" if block == "space-time" else "invariant"
    idle = ("blocks.0.gates.empty_vector",) if block == "channel" else ()  # gates on no token
    check_mechanism(
        lambda: Encoder(place, 2, block, readout),
        place,
        order,
        compiles=place.heads == 3,
        idle=idle,
    )


def test_branches_shrink_with_depth():
    """Each of the two branches of L layers adds a variance of 1 / 2L."""
    torch.manual_seed(0)
    encoder = Encoder(LayerContext(width=256, heads=2, num_tokens=5), 8, readout="mean")
    for block in encoder.blocks:
        weight = block.attention.output.weight.detach()
        assert float(weight.std()) == pytest.approx((1 / 16) ** 0.5 / 16, rel=0.05)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            dict(query_source="near"),
            {},
            "is for readouts that cross two keys, and 'query' does not",
        ),
        (dict(width=10), {}, "width must be a multiple of heads, got width=10, heads=3; try width"),
        (dict(width=0), {}, "width must be at least 1, got 0"),
        (dict(heads=0), {}, "heads must be at least 1, got 0"),
        (dict(num_queries=0), {}, "num_queries must be at least 1, got 0"),
        ({}, dict(layers=-1), "layers must be at least 1, got -1"),
        ({}, dict(readout="qery"), "unknown readout 'qery'; did you mean 'query'"),
        ({}, dict(block="gtrxi"), "unknown block 'gtrxi'; did you mean 'gtrxl'"),
        ({}, dict(layers=1, block="isab"), "'isab' needs a layer before the readout 'query'; use"),
        ({}, dict(readout="ego"), "readout 'ego' needs a token of the agent itself"),
        ({}, dict(block="space-time"), "needs the tokens of two frames or more"),
    ],
)
def test_wrong_sizes_and_names_are_refused(change, options, message):
    place = LayerContext(**(dict(width=21, heads=3, num_tokens=5) | change))
    with pytest.raises(ValueError, match=message):
        Encoder(place, **(dict(layers=2) | options))


@pytest.mark.parametrize("readout", BY_STEP)
def test_frames_and_single_steps_do_not_go_together(readout):
    with pytest.raises(ValueError, match="each step is one token"):
        Encoder(place_for(readout), 2, "space-time", readout)


@pytest.mark.parametrize(
    ("words", "layers", "block", "readout"),
    [
        (dict(score="additive"), 2, "channel", "mean"),
        (dict(temperature=0.5), 3, "channel", "max"),
    ],
)
def test_a_mechanism_that_nothing_uses_is_refused(words, layers, block, readout):
    with pytest.raises(ValueError, match="weigh tokens by a rule of their own") as error:
        Encoder(place_for(readout, **words), layers, block, readout)
    assert repr(next(iter(words.values()))) in str(error.value)


@pytest.mark.parametrize(
    ("layers", "block", "readout"),
    [(1, "residual", "query"), (3, "isab", "query"), (2, "isab", "mean"), (2, "channel", "query")],
)
def test_a_window_without_queries_that_stand_somewhere_is_refused(layers, block, readout):
    with pytest.raises(ValueError, match="visibility='local' needs queries that stand somewhere"):
        Encoder(place_for(readout, visibility="local"), layers, block, readout)


@pytest.mark.parametrize(
    ("layers", "block", "readout"),
    [(1, "residual", "ego"), (2, "residual", "query"), (2, "isab", "ego"), (2, "gtrxl", "query")],
)
def test_a_window_is_used_where_some_query_stands_somewhere(layers, block, readout):
    place = place_for(readout, visibility="local")
    assert Encoder(place, layers, block, readout)(example_tokens(place)).isfinite().all()


def test_a_word_that_nobody_registered_is_refused():
    with pytest.raises(ValueError, match="did you mean 'additive'"):
        Encoder(place_for("query", score="aditive"), 2)
