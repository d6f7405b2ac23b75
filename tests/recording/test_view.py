"""What is shown of a map, and what is said about what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attention_agents.recording.map_spec import (
    MapSpec,
    mean_over_heads,
    mean_over_queries,
    share_read,
    stored_rows,
)
from attention_agents.recording.map_view import MapView, choose_view
from attention_agents.recording.rendering.contact_sheet import listed_tokens
from attention_agents.recording.rendering.drawing import Pen
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.rendering.side_panel import ShownText
from attention_agents.recording.rollout import attention_rollout

N = 8
TOKENS = MapSpec("actor/0", "actor", 0, 1, "tokens")
CHANNELS = MapSpec(
    "actor/1", "actor", 1, 1, "pooled tokens", "none", keys="channels", key_count=7, query_count=1
)
OUT = replace(TOKENS, keys="inducing points", key_count=2, part="out", layer=2, name="actor/2/out")


def seen(make_step, spec, weights, **changes):
    """Return a step that holds one map, and a view of it."""
    step = make_step(0, maps={spec.name: np.array(weights, np.float32)}, **changes)
    return step, choose_view([spec])


@pytest.mark.parametrize(
    ("layer", "shown"), [(None, "actor/0"), (0, "actor/0"), (1, "actor/1"), (2, "actor/2/out")]
)
def test_only_maps_over_tokens_are_chosen(layer, shown):
    if layer in (None, 0):
        assert choose_view([TOKENS, CHANNELS, OUT], layer).spec.name == shown
        return
    keys = "channels" if layer == 1 else "inducing points"
    with pytest.raises(ValueError, match=rf"layer {layer} weighs {keys}, .* read tokens: 0$"):
        choose_view([TOKENS, CHANNELS, OUT], layer)


def test_of_two_maps_of_a_layer_the_one_over_tokens_is_shown():
    gathering = replace(OUT, queries="inducing points", keys="tokens", key_count=None, part="in")
    assert choose_view([TOKENS, gathering, OUT], 2).spec is gathering


def test_the_gate_of_a_picture_is_shown_before_that_of_the_numbers_beside_it():
    gates = [replace(TOKENS, name=f"actor/0/{part}", part=part) for part in ("numbers", "view")]
    assert choose_view(gates).spec.part == "view"
    assert choose_view(gates[::-1], layer=0).spec.part == "view"
    assert choose_view(gates[:1]).spec.part == "numbers"


def test_without_a_map_over_tokens_nothing_is_drawn(header, make_step):
    header = replace(header, maps=(CHANNELS,))
    step, view = seen(make_step, CHANNELS, np.full((1, 1, 7), 0.5))
    assert not view.drawable
    assert not view.token_weights(step).any() and view.token_weights(step).shape == (N,)
    assert view.description[1] == "weighs channels (not drawn), unnormalized"
    assert view.describe_spread(step, view.token_weights(step)) == ""
    scene = Scene(header, step)
    assert scene.draw(step).size == scene.size
    assert choose_view([CHANNELS], 1) == view


def test_what_is_drawn_and_what_is_not_sum_to_1(make_step):
    spec = replace(TOKENS, queries="readout", query_source="CLS", heads=2, extra_keys=("CLS",))
    weights = np.random.default_rng(0).dirichlet(np.ones(N + 1), (2, 1))
    step, view = seen(make_step, spec, weights)
    drawn, extras = view.token_weights(step), view.extra_weights(step)
    assert drawn.shape == (N,)
    ((name, weight),) = extras
    assert name == "CLS" and weight == pytest.approx(weights[:, 0, -1].mean())
    assert drawn.sum() + weight == pytest.approx(1)
    assert view.describe_details(step) == (f"not drawn: CLS {weight:.2f}",)
    assert view.description[1] == "the CLS asks"
    assert MapView(spec, 1).extra_weights(step)[0][1] == pytest.approx(weights[1, 0, -1])


def test_a_contact_sheet_lists_what_has_no_place(header, make_step):
    spec = replace(header.maps[1], extra_keys=("CLS",))
    weights = np.full((3, 1, N + 1), 0.05, np.float32)
    weights[..., -1] = 0.6
    step = make_step(0, maps={spec.name: weights})
    scene = Scene(replace(header, maps=(spec,)), step)
    best = listed_tokens(scene, step, scene.view.token_weights(step))
    assert best[0] == ("CLS", pytest.approx(0.6))


def test_heads_are_averaged_as_they_count(make_step):
    spec = replace(TOKENS, queries="readout", heads=2, head_weights=True)
    weights = np.zeros((2, 1, N))
    weights[0, 0, 0] = weights[1, 0, 1] = 1
    heads = {spec.name: np.array([0.5, 1.5], np.float32)}
    step, view = seen(make_step, spec, weights, heads=heads)
    np.testing.assert_allclose(view.token_weights(step)[:3], [0.25, 0.75, 0])
    assert view.description[0] == "actor, layer 0, mean of 2 heads as they count"
    assert view.describe_details(step) == ("heads count 0.50, 1.50",)
    np.testing.assert_allclose(MapView(spec, 0).token_weights(step)[:3], [1, 0, 0])


def test_hard_attention_says_how_many_tokens_were_read(make_step):
    """Seven of eight tokens are present."""
    spec = replace(TOKENS, queries="readout", heads=2, soft=True, mechanism="top-k 2")
    weights = np.zeros((2, 1, N))
    weights[0, 0, [0, 1]] = weights[1, 0, [1, 2]] = 0.5
    step, view = seen(make_step, spec, weights)
    assert view.describe_spread(step, view.token_weights(step)).startswith(
        "read 3 of 7 tokens (entropy 1.04"
    )
    one = MapView(spec, 0)
    assert one.describe_spread(step, one.token_weights(step)).startswith(
        "read 2 of 7 tokens (entropy 0.69"
    )
    assert view.describe_details(step) == ("top-k 2",)


def test_gates_are_called_unnormalized(make_step):
    spec = replace(TOKENS, queries="readout", normalized_over="none")
    weights = np.zeros((1, 1, N))
    weights[..., :2] = 0.7, 0.7
    step, view = seen(make_step, spec, weights)
    assert view.description[1] == "the readout asks, unnormalized"
    said = view.describe_spread(step, view.token_weights(step))
    assert said == "weight 0.200 on average, 0.700 at most"
    hard = MapView(replace(spec, soft=True), None)
    assert hard.describe_spread(step, hard.token_weights(step)) == f"read 2 of 7 tokens, {said}"


def test_weights_below_0_are_shown_by_their_size(make_step):
    """Heads that talk may weigh a token by -1 and 1: that is not the same as not at all."""
    spec = replace(TOKENS, queries="readout", heads=2, normalized_over="none")
    weights = np.zeros((2, 1, N))
    weights[:, 0, 3] = -1, 1
    step, view = seen(make_step, spec, weights)
    assert view.token_weights(step)[3] == 1 and view.token_weights(step).sum() == 1


def test_slots_that_tokens_choose_among_are_made_comparable(make_step):
    """Over slots a token's weights sum to 1, so that their plain mean would be even."""
    spec = replace(TOKENS, queries="slots", normalized_over="queries", query_count=2)
    weights = np.zeros((1, 2, N))
    weights[0, 0, :4], weights[0, 1, :4] = (0.9, 0.1, 0.5, 0.5), (0.1, 0.9, 0.5, 0.5)
    step, view = seen(make_step, spec, weights)
    expected = (weights[0] / weights[0].sum(-1, keepdims=True)).mean(0)
    np.testing.assert_allclose(view.token_weights(step), expected, rtol=1e-6)
    assert view.description[1] == "mean over slots, each made to sum to 1 (derived)"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(queries="readout", query_source="recurrent state"), "the recurrent state asks"),
        (dict(queries="readout", query_source="learned queries", query_count=4),
         "mean over 4 queries (derived)"),
        (dict(queries="asking tokens", query_source="goal", query_count=2),
         "mean over asking tokens of goal (derived)"),
        (dict(queries="slots", query_source="slots", query_count=2), "mean over slots (derived)"),
        (dict(queries="tokens"), "mean over tokens (derived)"),
    ],
)  # fmt: skip
def test_a_view_says_who_asks(changes, words):
    assert MapView(replace(TOKENS, **changes), None).description[1] == words


def test_queries_that_are_no_tokens_all_count(make_step):
    """Token 4 is absent; slot 4 is there."""
    spec = replace(TOKENS, queries="slots", query_count=5)
    weights = np.zeros((1, 5, N))
    weights[0, 4, 0] = weights[0, 3, 1] = weights[0, 2, 1] = weights[0, 1, 1] = weights[0, 0, 1] = 1
    step, view = seen(make_step, spec, weights)
    np.testing.assert_allclose(view.token_weights(step)[:2], [0.2, 0.8])


def test_the_mean_counts_present_queries_that_read_something():
    """Three tokens and a CLS, which asks too; token 1 is absent, token 2 sees nothing."""
    rows = [[0.5, 0, 0.25, 0.25], [9, 9, 9, 9], [0, 0, 0, 0], [0, 0, 0.5, 0.5]]
    weights, present = np.array([rows], np.float32), np.array([True, False, True])
    spec = replace(TOKENS, extra_keys=("CLS",), derived="mean over queries")
    mean = stored_rows(weights, spec, present)
    np.testing.assert_allclose(mean, [[[0.25, 0, 0.375, 0.375]]])
    assert mean.dtype == np.float32
    whole = replace(spec, derived="")
    assert stored_rows(weights, whole, present) is weights
    assert share_read(weights, whole, present) == pytest.approx(1.0)
    assert share_read(mean, spec, present) == pytest.approx(1.0)
    assert share_read(np.eye(3, dtype=np.float32)[None, :1], TOKENS, present) == pytest.approx(0.5)


def test_heads_may_read_nothing_apart():
    weights = np.array([[[1, 0], [0, 1]], [[0, 0], [0, 1]]], np.float32)
    mean = mean_over_queries(weights, np.array([True, True]))
    np.testing.assert_allclose(mean[:, 0], [[0.5, 0.5], [0, 1]])


def test_the_panel_has_room_for_every_note(make_step):
    spec = replace(
        TOKENS,
        queries="readout",
        heads=2,
        extra_keys=("CLS",),
        head_weights=True,
        mechanism="additive",
    )
    plain = ShownText(MapView(replace(TOKENS, queries="readout"), None))
    full = ShownText(MapView(spec, None))
    assert full.height == plain.height + 3 * full.ROW
    weights = np.full((2, 1, N + 1), 1 / 9)
    for heads in ({}, {spec.name: np.ones(2, np.float32)}):
        step, view = seen(make_step, spec, weights, heads=heads)
        assert len(view.describe_details(step)) == view.num_details == 3
        image = Image.new("RGB", (300, full.height + 50))
        full.draw(Pen(image), 0, 0, 300, step, view.token_weights(step))
        assert not np.asarray(image)[full.height :].any()


def test_rollout_by_hand():
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    there = np.ones(2, bool)
    np.testing.assert_allclose(attention_rollout([swap], np.array([1.0, 0]), there), [0.5, 0.5])
    first = np.array([[1.0, 0], [1.0, 0]])
    found = attention_rollout([first, swap], np.array([1.0, 0]), there)
    np.testing.assert_allclose(found, [0.75, 0.25])  # 0.5 of each, then half of the second moves
    absent = attention_rollout(
        [np.array([[1.0, 0], [0, 0]])], np.array([1.0, 0]), np.array([True, False])
    )
    np.testing.assert_allclose(absent, [1, 0])


def test_heads_that_all_count_nothing_count_the_same():
    weights = np.array([[[0.25, 0.75]], [[1.0, 0.0]]], np.float32)  # (H, Q, N)
    np.testing.assert_array_equal(mean_over_heads(weights, np.zeros(2)), weights.mean(0))
