"""The picture of a step: heat exactly where its tokens stand, everything else as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from envs.layout import Conv, TokenGroup, TokenLayout, TokenPlaces, receptive_boxes
from envs.spaces import Cells, Features, Patches, layout_of
from recording import MapSpec, Step
from recording.heat import draw_heat, heat_of
from recording.observed import enlarge, observation_picture
from recording.overlay import MARGIN, TITLE, Scene, compose
from recording.palette import fit, font, heat_table, number, plain
from recording.view import choose_view, entropy, mean_over_queries

GREY = 90


def lit(header, layout: TokenLayout, token: int, boxes: np.ndarray, shape=(40, 60)) -> tuple:
    """Return a header and a step in which one token has all the weight, on a grey frame."""
    maps = (MapSpec("actor/0", "actor", 0, 1, "readout"),)
    header = replace(header, layout=layout, maps=maps, observation_keys=("",))
    weights = np.zeros((1, 1, len(layout)), np.float32)
    weights[..., token] = 1.0
    step = Step(
        observation={"": np.zeros(1)},
        action=np.int64(1),
        maps={"actor/0": weights},
        frame=np.full((*shape, 3), GREY, np.uint8),
        places=TokenPlaces(boxes.astype(np.float32), np.full(len(layout), -1)),
    )
    return header, step


def changed(header, step: Step) -> np.ndarray:
    """Return which pixels of the enlarged frame the attention changed."""
    scene = Scene(header, step)
    stage = scene.stage
    area = (MARGIN, TITLE, MARGIN + stage.width, TITLE + stage.height)
    with_heat = np.asarray(scene.draw(step).crop(area))
    return (with_heat != GREY).any(-1)


@pytest.mark.parametrize("token", [0, 7, 24])
def test_a_lit_patch_changes_exactly_its_receptive_field(header, token):
    group = Patches(20, 30, 3, (Conv(8, 5, 3), Conv(8, 2, 1))).group("")
    _, fields = receptive_boxes(20, 30, (Conv(8, 5, 3), Conv(8, 2, 1)))
    boxes = np.array(fields) * 2.0  # the observation is the frame at half size
    mask = changed(*lit(header, TokenLayout((group,)), token, boxes))
    x0, y0, x1, y1 = (boxes[token] * 10).astype(int)  # 40 x 60 is shown ten times as large
    expected = np.zeros((400, 600), bool)
    expected[y0:y1, x0:x1] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_lit_cell_changes_exactly_its_tile_and_one_off_the_frame_nothing(header):
    layout = layout_of({"": Cells(2, 3, categories=(5,))})
    boxes = np.array(
        [(20 * c, 20 * r, 20 * c + 20, 20 * r + 20) for r in (0, 1) for c in (0, 1, 2)]
    )
    expected = np.zeros((400, 600), bool)
    expected[200:400, 400:600] = True
    np.testing.assert_array_equal(changed(*lit(header, layout, 5, boxes)), expected)
    nowhere = boxes.astype(float)
    nowhere[5] = np.nan
    assert not changed(*lit(header, layout, 5, nowhere)).any()


def test_heat_adds_up_where_fields_overlap():
    boxes = np.array([(0, 0, 4, 2), (2, 0, 4, 2), (np.nan,) * 4])
    heat = heat_of(np.array([0.5, 0.3, 0.2]), boxes, (3, 5))
    expected = np.zeros((3, 5))
    expected[:2, :4] += 0.5 / 8
    expected[:2, 2:4] += 0.3 / 4
    np.testing.assert_allclose(heat.density, expected, rtol=1e-6)
    assert heat.covered == 8
    assert heat.peak == pytest.approx((0.5 / 8 + 0.3 / 4) / (0.8 / 8))


def test_a_pixel_belongs_to_the_box_that_holds_its_centre():
    heat = heat_of(np.ones(2), np.array([(0, 0, 2.4, 1), (2.4, 0, 5, 1)]), (1, 5))
    np.testing.assert_allclose(heat.density[0], [1 / 2.4] * 2 + [1 / 2.6] * 3, rtol=1e-6)


def test_no_attention_leaves_the_picture_alone():
    image = Image.new("RGB", (5, 3), (1, 2, 3))
    assert draw_heat(image, heat_of(np.zeros(1), np.zeros((1, 4)), (3, 5))) is image


def test_lines_go_from_the_ego_entity_to_those_that_are_there(header, make_step):
    frame = np.full((400, 600, 3), GREY, np.uint8)
    corners = np.array([(50, 300), (500, 50), (500, 300), (300, 350), (50, 50)])
    boxes = np.full((8, 4), np.nan, np.float32)
    boxes[:5] = np.concatenate([corners, corners + 20], 1)
    weights = np.zeros((3, 1, 8), np.float32)
    weights[..., 1], weights[..., 2] = 0.9, 0.1
    places = TokenPlaces(boxes, np.array([0, 7, 8, 9, -1, -1, -1, -1]))
    step = make_step(
        0, frame=frame, places=places, maps=dict.fromkeys(("actor/0", "actor/1"), weights)
    )
    picture = np.asarray(Scene(header, step).stage.picture(step, weights[0, 0]))
    mark = (picture != GREY).any(-1)
    assert mark[185, 285], "the line to car 7 is missing"
    assert mark[310, 280], "the line to car 8 is missing"
    strong, weak = picture[185, 285].astype(int), picture[310, 280].astype(int)
    assert np.abs(strong - GREY).sum() > np.abs(weak - GREY).sum()
    assert not mark[40:80, 40:80].any(), "an absent entity is drawn"


def test_pictures_of_an_episode_have_one_even_size(header, make_step):
    scene = Scene(header, make_step(0))
    sizes = {scene.draw(make_step(t, terminated=t == 2), t, (), 1e9 * t).size for t in range(3)}
    sizes.add(scene.ending(make_step(9).frame, make_step(8), 9, 0.0).size)
    assert sizes == {scene.size}
    assert all(side % 2 == 0 for side in scene.size)
    assert compose(make_step(0), header).size == scene.size


def test_a_step_without_frame_or_pass_can_be_drawn(header, make_step):
    scene = Scene(header, make_step(0))
    nothing = {name: np.zeros((3, 1, 8), np.float32) for name in ("actor/0", "actor/1")}
    scene.draw(
        make_step(1, frame=None, maps=nothing, attended=False, distribution=None, value=None)
    )


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("head", [None, 2])
def test_the_view_is_the_asked_layer_and_head(header, make_step, layer, head):
    step = make_step(3)
    view = choose_view(header.maps, layer, head)
    stored = step.maps[f"actor/{layer}"][:, 0]
    np.testing.assert_allclose(view.weights(step), stored.mean(0) if head is None else stored[2])
    assert ("derived" in view.lines[1]) == (layer == 0)


def test_the_readout_is_shown_unless_another_layer_is_asked_for(header):
    assert choose_view(header.maps).spec.name == "actor/1"
    tokens = [replace(spec, queries="tokens") for spec in header.maps]
    assert choose_view(tokens).spec.name == "actor/1"
    critic = MapSpec("critic/1", "critic", 1, 2, "readout")
    assert choose_view([header.maps[0], critic]).spec.name == "actor/0"


@pytest.mark.parametrize(
    ("layer", "head", "message"),
    [
        (2, None, "layer must be 0 to 1, got 2"),
        (-1, None, "layer must be 0 to 1, got -1"),
        (None, 3, "head must be 0 to 2, got 3"),
        (0, -1, "head must be 0 to 2, got -1"),
    ],
)
def test_a_view_that_is_not_there_is_refused(header, make_step, layer, head, message):
    with pytest.raises(ValueError, match=message):
        compose(make_step(0), header, layer=layer, head=head)


def test_queries_of_absent_tokens_do_not_count():
    weights = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    mean = mean_over_queries(weights, np.array([True, False, True]))
    np.testing.assert_allclose(mean, [[[3, 4, 5]]])
    assert not mean_over_queries(weights, np.zeros(3, bool)).any()


def test_entropy_counts_tokens():
    assert np.exp(entropy(np.full(5, 0.2))) == pytest.approx(5)
    assert np.exp(entropy(np.array([0, 3.0, 0]))) == pytest.approx(1)
    assert entropy(np.zeros(3)) == 0


def test_observations_as_pictures():
    patches = TokenGroup("patches", ("p",), picture=(5, 7), boxes=((0, 0, 5, 7),))
    colour = np.random.default_rng(0).integers(2, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(observation_picture(patches, colour), colour)
    np.testing.assert_array_equal(observation_picture(patches, colour.transpose(2, 0, 1)), colour)
    stacked = np.stack([np.zeros((5, 7), np.uint8)] * 3 + [colour[..., 0]])
    newest = observation_picture(patches, stacked)
    np.testing.assert_array_equal(newest, np.repeat(colour[..., :1], 3, -1))
    planes = np.zeros((5, 7, 4), np.uint8)
    planes[2, 3, 1] = 1
    picture = observation_picture(patches, planes)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 2
    cells = Cells(2, 3, categories=(11, 6)).group("")
    assert observation_picture(cells, np.zeros((6, 2))).shape == (2, 3, 3)
    assert observation_picture(Features(("a",)).group(""), np.zeros(1)) is None


def test_enlarging_keeps_pixels_sharp():
    picture = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    large = np.asarray(enlarge(picture, 4))
    np.testing.assert_array_equal(large, picture.repeat(4, 0).repeat(4, 1))
    assert enlarge(picture, 2.5).size == (12, 8)
    assert enlarge(np.zeros((90, 60, 3), np.uint8), 0.5).size == (30, 45)


def test_the_heat_colours_grow_evenly_brighter():
    table = heat_table().astype(float) / 255
    assert table.shape == (256, 3)
    linear = np.where(table <= 0.04045, table / 12.92, ((table + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) > -0.002).all()
    assert luminance[0] < 0.02 and luminance[-1] > 0.8


def test_long_names_lose_their_middle():
    name = "angular velocity of the left knee 17"
    cut = fit(name, 120, 13)
    assert font(13).getlength(cut) <= 120
    assert cut.startswith("angular") and cut.endswith("17") and "…" in cut
    assert fit("short", 120, 13) == "short"


def test_text_that_the_font_lacks_is_replaced():
    assert plain("naïve\n\u202eÉtat 数") == "naive ?Etat ?"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (3.0, "3"), (0.12345, "0.123"), (-17.26, "-17.3"), (4120.4, "4120"),
     (3.1e7, "3.1e+07"), (2.5e-6, "2.5e-06"), (float("nan"), "nan"), (1.25, "1.250")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text
