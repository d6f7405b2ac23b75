"""Which tokens a query sees, and how much nearer ones are preferred."""

import math

import numpy as np
import pytest
import torch

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.attention_weighting import AttentionWeighting
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.registries import VISIBILITIES
from attention_agents.policies.testkit import (
    B,
    K,
    check_mechanism,
    example_tokens,
    layer_context,
    without_mask,
)
from tests.policies.scenes import (
    SCENES,
    QueryBlock,
    cells,
    features,
    moved,
    projected,
    started,
    steps,
    told,
)

MAKES_SENSE = [
    ("local", "grid"),
    ("local", "history"),
    ("local", "frames"),
    ("local", "mixed"),
    ("predicted", "grid"),
    ("predicted", "history"),
    ("predicted", "frames"),
    ("predicted", "mixed"),
    ("causal", "history"),
    ("causal", "timed"),
    ("spatial", "frames"),
    ("spatial", "timed"),
    ("temporal", "history"),
    ("temporal", "timed"),
]


def placed(where: str, scene: str, heads: int = 3, window: int = 1, **parts):
    return layer_context(
        heads, SCENES[scene], attention=AttentionConfig(visibility=where, window=window), **parts
    )


def seen_by(where: str, layout: TokenLayout, reach: int = 1) -> np.ndarray:
    """Return the window of each token, True everywhere where there is none."""
    weighting = AttentionWeighting(
        layer_context(1, layout, attention=AttentionConfig(visibility=where, window=reach))
    )
    visible = weighting.fixed_visibility
    count = len(layout)
    return np.ones((count, count), bool) if visible is None else visible.numpy()


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize(("where", "scene"), MAKES_SENSE)
def test_kit(where, scene, heads):
    place = placed(where, scene, heads)
    check_mechanism(lambda: SelfAttention(place), place, "ordered", compiles=place.heads == 3)
    query_block = placed(where, scene, heads, query_tokens=(2,))
    check_mechanism(
        lambda: QueryBlock(query_block), query_block, "ordered", compiles=query_block.heads == 3
    )


@pytest.mark.parametrize(("where", "scene"), [(w, s) for w, s in MAKES_SENSE if s != "history"])
def test_kit_without_mask(where, scene):
    place = placed(where, scene, heads=2)
    tokens = without_mask(example_tokens(place))
    check_mechanism(
        lambda: SelfAttention(place), place, "ordered", tokens=tokens, compiles=place.heads == 3
    )
    query_block = placed(where, scene, heads=2, query_tokens=(2,))
    check_mechanism(
        lambda: QueryBlock(query_block),
        query_block,
        "ordered",
        tokens=tokens,
        compiles=query_block.heads == 3,
    )


def rule(where: str, reach: int, query_source: tuple, token: tuple) -> bool:
    """Say in each mechanism's words whether a (key, row, col, step) sees another; None: unknown."""
    key, row, col, step = query_source
    other, row_n, col_n, step_n = token
    if where == "local":
        far = other == key and row is not None and max(abs(row_n - row), abs(col_n - col)) > reach
        return not far and not (None not in (step, step_n) and abs(step_n - step) > reach)
    if where == "causal":
        return (step_n or 0) <= (step or 0)
    if where == "spatial":
        return (step_n or 0) == (step or 0)
    return token == query_source or (step is not None and (key, row, col) == token[:3])


@pytest.mark.parametrize("where", ["local", "causal", "spatial", "temporal"])
@pytest.mark.parametrize("reach", [1, 2])
def test_windows_follow_their_rule(where, reach):
    grid = [("image", row, col, t) for t in (-2, -1, 0) for row in range(3) for col in range(5)]
    past = [("past", None, None, t) for t in (-3, -2, -1, 0)]
    frames = (cells(3, 5, "image", t) for t in (-2, -1, 0))
    layout = TokenLayout((*frames, steps(-3, -2, -1, 0, key="past"), features(1, "turn")))
    tokens = [*grid, *past, ("turn", None, None, None)]
    expected = [
        [rule(where, reach, query_source, token) for token in tokens] for query_source in tokens
    ]
    np.testing.assert_array_equal(seen_by(where, layout, reach), expected)


def test_local_by_hand():
    band = [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]
    np.testing.assert_array_equal(seen_by("local", SCENES["history"]), band)
    window = seen_by("local", SCENES["grid"])
    corner = [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]
    middle = [[0, 0, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1]]
    np.testing.assert_array_equal(window[0].reshape(3, 5), corner)
    np.testing.assert_array_equal(window[1 * 5 + 3].reshape(3, 5), middle)


def test_local_leaves_visible_what_has_no_distance():
    window = seen_by("local", TokenLayout((cells(1, 3, "a"), cells(1, 3, "b"), features(1, "c"))))
    near = [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    np.testing.assert_array_equal(window[:3, :3], near)
    np.testing.assert_array_equal(window[3:6, 3:6], near)
    assert window[:3, 3:].all() and window[3:6, :3].all() and window[6].all() and window[:, 6].all()


def test_causal_spatial_and_temporal_by_hand():
    """Two cells one step ago, two at present, and a direction that is of the present."""
    past, present = [1, 1, 0, 0, 0], [0, 0, 1, 1, 1]
    np.testing.assert_array_equal(
        seen_by("causal", SCENES["timed"]), [past, past, *[[1, 1, 1, 1, 1]] * 3]
    )
    np.testing.assert_array_equal(
        seen_by("spatial", SCENES["timed"]), [past, past, present, present, present]
    )
    left, right = [1, 0, 1, 0, 0], [0, 1, 0, 1, 0]
    np.testing.assert_array_equal(
        seen_by("temporal", SCENES["timed"]), [left, right, left, right, [0, 0, 0, 0, 1]]
    )


@pytest.mark.parametrize("scene", ["grid", "history", "frames", "mixed"])
def test_a_wide_local_window_equals_global(scene):
    place, everywhere = placed("local", scene, window=5), placed("global", scene)
    assert torch.equal(
        started(place)(example_tokens(place)), started(everywhere)(example_tokens(everywhere))
    )


@pytest.mark.parametrize("where", ["causal", "spatial"])
def test_a_single_step_equals_global(where):
    layout = TokenLayout((cells(2, 3, offset=0),))
    place = layer_context(3, layout, attention=AttentionConfig(visibility=where))
    everywhere = layer_context(3, layout)
    assert torch.equal(
        started(place)(example_tokens(place)), started(everywhere)(example_tokens(everywhere))
    )


@pytest.mark.parametrize("where", ["local", "causal", "spatial", "temporal"])
def test_an_asker_sees_what_its_token_sees(where):
    place, rows = placed(where, "timed"), (3, 0)
    some = placed(where, "timed", query_tokens=rows)
    everyone = AttentionWeighting(place).fixed_visibility
    expected = everyone[list(rows)] if everyone is not None else None
    seen = AttentionWeighting(some).fixed_visibility
    assert (seen is None and expected is None) or torch.equal(seen, expected)


@pytest.mark.parametrize(("where", "scene"), MAKES_SENSE)
def test_weights_follow_the_formula(where, scene):
    """The softmax over visible tokens in plain loops, with the bias of the where."""
    place = placed(where, scene)
    module, tokens = moved(place), example_tokens(place)
    _, weights = told(module, tokens)
    q, k, _ = (each.detach().double().numpy() for each in projected(module, tokens))
    window = seen_by(where, SCENES[scene])
    bias = module.weighting.score_bias(projected(module, tokens)[0], tokens.places)
    bias = np.zeros(weights.shape) if bias is None else bias.detach().numpy()
    for b, h, i in np.ndindex(*weights.shape[:3]):
        sees = [n for n in range(place.num_tokens) if window[i, n] and tokens.mask[b, n]]
        raised = {n: math.exp(q[b, h, i] @ k[b, h, n] / K**0.5 + bias[b, h, i, n]) for n in sees}
        row = [raised.get(n, 0.0) / (sum(raised.values()) or 1.0) for n in range(place.num_tokens)]
        np.testing.assert_allclose(weights[b, h, i], row, atol=1e-6)


def test_weights_at_values_reproduce_the_output():
    """What is told is what was read, with window and bias together."""
    place = placed("predicted", "frames")
    module, tokens = moved(place), example_tokens(place)
    out, weights = told(module, tokens)
    read = (weights @ projected(module, tokens)[2]).transpose(1, 2).reshape(B, place.num_tokens, -1)
    torch.testing.assert_close(module.output(read), out, atol=1e-5, rtol=0)


def test_predicted_follows_the_formula():
    """Luong et al. 2015, equations 9 and 10, on rows, columns and time, in plain loops."""
    place = placed("predicted", "frames", window=3)
    module, q = moved(place).weighting.visibility, torch.randn(B, 3, 12, K)
    bias, sigma = module(q).detach().numpy(), 3 / 2
    inner, aim = module.inner.detach().double(), module.aim.detach().double()
    axes = [(2, [0, 0, 0, 1, 1, 1] * 2), (3, [0, 1, 2] * 4), (2, [0] * 6 + [1] * 6)]
    for b, h, i, n in np.ndindex(B, 3, 12, 12):
        hidden, expected = torch.tanh(inner[h] @ q[b, h, i].double()), 0.0
        for axis, (size, at) in enumerate(axes):
            center = size / (1 + math.exp(-(aim[h, axis] @ hidden)))
            expected -= (at[n] + 0.5 - center) ** 2 / (2 * sigma**2)
        assert bias[b, h, i, n] == pytest.approx(expected, abs=1e-5)


def test_predicted_by_hand():
    """Without an aim the center is the middle: `-(i - 2)^2 / 2` with a window of 2."""
    module = VISIBILITIES["predicted"](placed("predicted", "history", heads=1, window=2))
    torch.nn.init.zeros_(module.aim)
    expected = torch.tensor([[[[-2.0, -0.5, 0.0, -0.5, -2.0]]]])
    torch.testing.assert_close(module(torch.ones(1, 1, 1, K)), expected)


def test_predicted_leaves_alone_what_stands_nowhere():
    bias = VISIBILITIES["predicted"](placed("predicted", "mixed"))(torch.randn(B, 3, 7, K))
    assert bias[..., 6].eq(0).all() and bias[..., :6].lt(0).all()


def test_predicted_has_no_center_where_there_is_no_choice():
    """Words are a grid of one row; a single cell is no grid at all."""
    where = AttentionConfig(visibility="predicted")
    words = VISIBILITIES["predicted"](
        layer_context(3, TokenLayout((cells(1, 5),)), attention=where)
    )
    assert words.aim.shape == (3, 1, K)
    with pytest.raises(ValueError, match="needs tokens on a grid or in time, and these are cells"):
        VISIBILITIES["predicted"](layer_context(3, TokenLayout((cells(1, 1),)), attention=where))


def test_predicted_serves_a_learned_query():
    weighting = AttentionWeighting(placed("predicted", "grid", query_tokens=None))
    assert isinstance(weighting.visibility, VISIBILITIES["predicted"])
    assert AttentionWeighting(placed("local", "grid", query_tokens=None)).visibility is None


PLACED, PAST = "tokens on a grid or in time", "a history of steps"


@pytest.mark.parametrize(
    ("where", "scene", "need", "kinds"),
    [
        ("local", "features", PLACED, "features"),
        ("local", "crowd", PLACED, "entities and features"),
        ("predicted", "entities", PLACED, "entities"),
        ("causal", "grid", PAST, "cells"),
        ("spatial", "mixed", PAST, "cells and features"),
        ("spatial", "history", "several tokens in a step, not 5 of one each", "steps of a history"),
        ("temporal", "entities", PAST, "entities"),
    ],
)
def test_what_makes_no_sense_is_refused(where, scene, need, kinds):
    text = f"visibility='{where}' needs {need}, and these are {kinds}; use visibility='global'"
    with pytest.raises(ValueError, match=text):
        AttentionWeighting(placed(where, scene))


def test_keys_that_are_no_tokens_are_refused():
    place = placed("predicted", "grid")
    nowhere = type(place)(place.width, place.heads, 4, attention=place.attention)
    with pytest.raises(
        ValueError, match="and these are no tokens of the observation; use visibility="
    ):
        AttentionWeighting(nowhere)


def test_a_window_needs_askers():
    with pytest.raises(
        ValueError, match="visibility='causal' needs queries that are tokens, got none"
    ):
        VISIBILITIES["causal"](placed("causal", "history", query_tokens=None))
