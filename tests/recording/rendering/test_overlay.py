"""The picture of a step: heat exactly where its tokens stand, everything else as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attention_agents.envs.tokens.layout import (
    Conv,
    TokenGroup,
    TokenLayout,
    TokenPlaces,
    receptive_boxes,
)
from attention_agents.envs.tokens.spaces import build_layout, default_stem
from attention_agents.envs.tokens.specs import Cells, Features, Frames, History, Patches
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.map_view import choose_view, entropy, mean_over_queries
from attention_agents.recording.observation_images import (
    GroupSlice,
    enlarge_image,
    group_slices,
    observation_image,
)
from attention_agents.recording.rendering.drawing import (
    HEADING,
    Pen,
    drawable_text,
    fit_text,
    load_font,
)
from attention_agents.recording.rendering.heat import compute_heat, draw_heat, even_weight
from attention_agents.recording.rendering.overlay import MARGIN, TITLE, Scene, compose
from attention_agents.recording.rendering.past_steps import GAP, PastFrames
from attention_agents.recording.rendering.unplaced_tokens import TimeStrip, TokenBars, TokenGrid
from attention_agents.recording.scene.colors import PANEL, heat_table
from attention_agents.recording.scene.display import MIN_HEAT_TOP, format_number
from attention_agents.recording.scene.scene_layout import layout_of as scene_layout_of
from attention_agents.recording.step import Step

GREY = 90


def lit(header, layout: TokenLayout, token: int, boxes: np.ndarray, shape=(40, 60)) -> tuple:
    """Return a header and a step in which one token has all the weight, on a gray frame."""
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
    stage = scene.attended_frame
    area = (MARGIN, TITLE, MARGIN + stage.width, TITLE + stage.height)
    with_heat = np.asarray(scene.draw(step).crop(area))
    return (with_heat != GREY).any(-1)


@pytest.mark.parametrize("token", [0, 7, 24])
def test_a_lit_patch_changes_exactly_its_receptive_field(header, token):
    group = Patches(20, 30, 3, (Conv(8, 5, 3), Conv(8, 2, 1))).token_groups("")[0]
    _, fields = receptive_boxes(20, 30, (Conv(8, 5, 3), Conv(8, 2, 1)))
    boxes = np.array(fields) * 2.0  # the observation is the frame at half size
    mask = changed(*lit(header, TokenLayout((group,)), token, boxes))
    x0, y0, x1, y1 = (boxes[token] * 10).astype(int)  # 40 x 60 is shown ten times as large
    expected = np.zeros((400, 600), bool)
    expected[y0:y1, x0:x1] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_lit_cell_changes_exactly_its_tile_and_one_off_the_frame_nothing(header):
    layout = build_layout({"": Cells(2, 3, categories=(5,))})
    boxes = np.array(
        [(20 * c, 20 * r, 20 * c + 20, 20 * r + 20) for r in (0, 1) for c in (0, 1, 2)]
    )
    expected = np.zeros((400, 600), bool)
    expected[200:400, 400:600] = True
    np.testing.assert_array_equal(changed(*lit(header, layout, 5, boxes)), expected)
    nowhere = boxes.astype(float)
    nowhere[5] = np.nan
    assert not changed(*lit(header, layout, 5, nowhere)).any()


def test_heat_is_the_lift_over_an_even_spread():
    boxes = np.array([(0, 0, 4, 2), (2, 0, 4, 2), (np.nan,) * 4])
    heat = compute_heat(np.array([0.5, 0.3, 0.2]), boxes, 0.25, (3, 5))
    expected = np.zeros((3, 5))
    expected[:2, :2] = 0.5 / 0.25  # seen by the first token alone
    expected[:2, 2:4] = (0.5 / 8 + 0.3 / 4) / (0.25 / 8 + 0.25 / 4)
    np.testing.assert_allclose(heat.lift, expected, rtol=1e-6)
    assert heat.top == MIN_HEAT_TOP
    assert compute_heat(np.array([0.9, 0, 0]), boxes, 0.1, (3, 5)).top == pytest.approx(9)


def test_an_even_spread_is_told_among_present_tokens():
    present = np.array([True, True, False, True, True])
    assert even_weight(np.array([0.5, 0.1, 0, 0.1, 0.1]), present) == pytest.approx(0.2)
    assert even_weight(np.zeros(5), np.zeros(5, bool)) == 0


SPECS = {
    "84 x 84": Patches(84, 84, 4, default_stem(84, 84)),
    "96 x 96": Patches(96, 96, 3, default_stem(96, 96)),
    "10 x 10": Patches(10, 10, 4, default_stem(10, 10)),
    "cells": Cells(7, 5, categories=(3,)),
}


@pytest.mark.parametrize("name", SPECS)
def test_even_attention_is_flat(header, name):
    """Receptive fields overlap in the middle of a picture, and attention has no part in that."""
    group = SPECS[name].token_groups("")[0]
    layout = TokenLayout((group, TokenGroup("features", ("speed", "fuel"))))
    boxes = np.array([*group.boxes, *[(np.nan,) * 4] * 2]) * 5
    shape = tuple(5 * side for side in group.picture)
    header, step = lit(header, layout, 0, boxes, shape)
    even = np.full(len(layout), 1 / len(layout), np.float32)
    picture = np.asarray(Scene(header, step).attended_frame.render(step, even))
    seen = np.zeros(picture.shape[:2], bool)
    factor = picture.shape[0] // shape[0]
    for x0, y0, x1, y1 in (boxes[:-2] * factor).astype(int):
        seen[y0:y1, x0:x1] = True
    assert len(np.unique(picture[seen], axis=0)) == 1
    assert (picture[seen] != GREY).any()
    assert (picture[~seen] == GREY).all()


def test_a_pixel_belongs_to_the_box_that_holds_its_centre():
    boxes = np.array([(0, 0, 2.4, 1), (2.4, 0, 5, 1)])
    heat = compute_heat(np.array([0.2, 0.8]), boxes, 0.5, (1, 5))
    np.testing.assert_allclose(heat.lift[0], [0.4] * 2 + [1.6] * 3, rtol=1e-6)


def test_no_attention_leaves_the_picture_alone():
    image = Image.new("RGB", (5, 3), (1, 2, 3))
    assert draw_heat(image, compute_heat(np.zeros(1), np.zeros((1, 4)), 1.0, (3, 5))) is image


@pytest.fixture
def road(header, make_step):
    """Return which pixels of a gray frame with cars are drawn over, by who asks."""
    frame = np.full((400, 600, 3), GREY, np.uint8)
    corners = np.array([(50, 300), (500, 50), (500, 300), (300, 350), (50, 50)])
    boxes = np.full((8, 4), np.nan, np.float32)
    boxes[:5] = np.concatenate([corners, corners + 20], 1)
    weights = np.zeros((3, 1, 8), np.float32)
    weights[..., 1], weights[..., 2] = 0.9, 0.1
    places = TokenPlaces(boxes, np.array([0, 7, 8, 9, -1, -1, -1, -1]))
    maps = dict.fromkeys(("actor/0", "actor/1"), weights)
    step = make_step(0, frame=frame, places=places, maps=maps)

    def draw(query_source: str, layer: int = 1) -> np.ndarray:
        first, readout = header.maps
        asked = replace(header, maps=(first, replace(readout, query_source=query_source)))
        return np.asarray(Scene(asked, step, layer).attended_frame.render(step, weights[0, 0]))

    return draw


def test_lines_go_from_the_ego_entity_to_those_that_are_there(road):
    picture = road("ego")
    mark = (picture != GREY).any(-1)
    assert mark[185, 285], "the line to car 7 is missing"
    assert mark[310, 280], "the line to car 8 is missing"
    strong, weak = picture[185, 285].astype(int), picture[310, 280].astype(int)
    assert np.abs(strong - GREY).sum() > np.abs(weak - GREY).sum()
    assert not mark[40:80, 40:80].any(), "an absent entity is drawn"


@pytest.mark.parametrize(("query_source", "layer"), [("learned query", 1), ("", 1), ("ego", 0)])
def test_there_are_no_lines_when_it_is_not_the_ego_that_asks(road, query_source, layer):
    mark = (road(query_source, layer) != GREY).any(-1)
    assert not mark[185, 285] and not mark[310, 280]
    assert mark[60, 497], "the box of car 7 is missing"


def test_a_picture_says_who_asks(header):
    def said(spec):
        return choose_view([spec]).description[1]

    first, readout = header.maps
    assert said(readout) == "the agent's own token asks"
    assert said(replace(readout, query_source="learned query")) == "a learned query asks"
    assert said(replace(readout, query_source="")) == "the readout asks"
    assert said(first) == "mean over tokens (derived)"


def side(header, group, draw, token, **changes):
    """Return the pixels in which lighting a token changes a part that is drawn by itself."""
    header, step = lit(header, TokenLayout((group,)), token, np.full((len(group), 4), np.nan))
    step = replace(step, **changes)
    pictures = []
    for weights in (np.zeros(len(group), np.float32), step.maps["actor/0"][0, 0]):
        image = Image.new("RGB", (400, 600))
        draw(Pen(image), step, weights)
        pictures.append(np.asarray(image).astype(int))
    return (pictures[0] != pictures[1]).any(-1)


def test_lighting_a_bar_fills_its_row_alone(header):
    group = Features(("a", "b", "c", "d", "e")).token_groups("")[0]
    bars = TokenBars(GroupSlice(group, slice(0, 5)))
    mark = side(
        header,
        group,
        lambda pen, step, weights: bars.draw(pen, 0, 0, 300, step, weights),
        3,
        observation={"": np.zeros(5)},
    )
    mark[:HEADING] = False  # there the sum stands
    rows = np.flatnonzero(mark.any(1))
    top = HEADING + 3 * bars.ROW
    assert top <= rows[0] and rows[-1] < top + bars.ROW
    assert mark[top + bars.ROW // 2, 186:252].all(), "the bar of the only weight is full"


def test_lighting_a_cell_heats_its_square_alone(header):
    group = Cells(2, 3, categories=(5,)).token_groups("")[0]
    grid = TokenGrid(GroupSlice(group, slice(0, 6)), 300)
    mark = side(
        header,
        group,
        lambda pen, step, weights: grid.draw(pen, 0, 0, 300, step, weights),
        4,
        observation={"": np.zeros((6, 1))},
    )
    mark[:HEADING] = False
    expected = np.zeros_like(mark)
    expected[HEADING + 100 : HEADING + 200, 100:200] = True
    np.testing.assert_array_equal(mark, expected)


def test_a_past_frame_stands_over_its_own_bar(header):
    """Four steps of one color each: the third has the weight, the fourth is the present."""
    colors = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]
    frames = [np.full((30, 40, 3), color, np.uint8) for color in colors]
    group = History(4, 2).token_groups("")[0]
    strip = TimeStrip(GroupSlice(group, slice(0, 4)), (30, 40), 400)
    assert strip.frame_count == 3
    image = Image.new("RGB", (400, 600))
    header, step = lit(header, TokenLayout((group,)), 2, np.full((4, 4), np.nan))
    step = replace(step, frame=frames[3])
    # an older frame than the strip needs comes first, as in the middle of an episode
    past = [np.full((30, 40, 3), 77, np.uint8), *frames[:3]]
    strip.draw(Pen(image), 0, 0, step, step.maps["actor/0"][0, 0], past)
    pixels = np.asarray(image)
    for place, color in enumerate(colors):
        assert tuple(pixels[32, 100 * place + 20]) == color
    mark = side(
        header,
        group,
        lambda pen, step, weights: strip.draw(pen, 0, 0, step, weights, past),
        2,
        frame=frames[3],
    )
    columns, rows = np.flatnonzero(mark.any(0)), np.flatnonzero(mark.any(1))
    assert (columns[0], columns[-1]) == (200, 200 + strip.thumb - 1)
    assert (rows[0], rows[-1]) == (70, 70 + strip.BAR - 1)


def test_a_young_episode_leaves_the_past_empty(header):
    group = History(4, 2).token_groups("")[0]
    strip = TimeStrip(GroupSlice(group, slice(0, 4)), (30, 40), 400)
    header, step = lit(header, TokenLayout((group,)), 3, np.full((4, 4), np.nan))
    frame = np.full((30, 40, 3), 200, np.uint8)
    step = replace(step, frame=frame, mask=np.array([False, False, True, True]))
    image = Image.new("RGB", (400, 600))
    strip.draw(Pen(image), 0, 0, step, step.maps["actor/0"][0, 0], [frame])
    shown = [np.asarray(image)[32, 100 * place + 20, 0] == 200 for place in range(4)]
    assert shown == [False, False, True, True]


@pytest.mark.parametrize("steps", [17, 80, 200])
def test_a_long_history_is_bars_the_newest_that_have_room(header, steps):
    group = History(steps, 2).token_groups("")[0]
    strip = TimeStrip(GroupSlice(group, slice(0, steps)), (30, 40), 400)
    assert strip.thumb >= 4 and strip.frame_count == 0
    assert strip.offsets == list(range(1 - min(steps, 80), 1))

    def draw(pen, step, weights):
        strip.draw(pen, 0, 0, step, weights, [])

    frame = np.zeros((30, 40, 3), np.uint8)
    mark = side(header, group, draw, steps - 2, frame=frame)
    columns = np.flatnonzero(mark[: strip.height - strip.FOOT].any(0))
    left = round((min(steps, 80) - 2) * strip.step)
    assert (columns[0], columns[-1]) == (left, left + strip.thumb - 1)
    hidden = side(header, group, draw, 0, frame=frame)
    assert hidden[: strip.height - strip.FOOT].any() == (steps <= 80)
    if steps > 80:
        assert hidden.any(), "nothing says that there are others"


T, ROWS, COLS = 3, 2, 5
SHADES = (40, 120, 200)
"""Of the frames, oldest first."""


@pytest.fixture
def framed(header):
    """Return a header and a step of three gray frames, the middle of which is attended to."""
    spec = Frames(T, Patches(ROWS, COLS, 1, (Conv(1, 1, 1),)), of_bytes=True)
    layout = build_layout({"": spec})
    observation = np.ones((T, 1 + ROWS * COLS), np.uint8)
    observation[:, 1:] = np.array(SHADES)[:, None]
    boxes = np.full((len(layout), 4), np.nan)
    boxes[-ROWS * COLS :] = np.array(layout.groups[-1].boxes) * 10
    header, step = lit(header, layout, ROWS * COLS + 3, boxes, (ROWS * 10, COLS * 10))
    return header, replace(step, observation={"": observation})


def test_a_group_is_drawn_from_its_own_frame(framed):
    header, step = framed
    for group, shade in zip(header.layout.groups, SHADES, strict=True):
        picture = observation_image(group, step.observation[""])
        assert picture.shape == (ROWS, COLS, 3)
        assert (picture == shade).all()
    with pytest.raises(ValueError, match=r"of shape \(2, 11\) has no frame 2 steps ago"):
        observation_image(header.layout.groups[0], step.observation[""][1:])


@pytest.mark.parametrize("frame", [True, False])
def test_only_the_present_frame_is_on_the_stage(framed, frame):
    header, step = framed
    scene = Scene(header, step if frame else replace(step, frame=None))
    assert [part.group.past for part in scene.layout.placed] == [False]
    assert scene.layout.unplaced == ()
    drawn = np.asarray(scene.attended_frame.render(step, step.maps["actor/0"][0, 0]))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == 1, "a past frame heats the present one"
    assert tuple(drawn[0, 0]) == ((GREY,) * 3 if frame else (SHADES[-1],) * 3)


def test_a_past_token_heats_its_place_in_its_own_frame_alone(framed):
    header, step = framed
    (past,) = scene_layout_of(header, step).past_frames
    frames = PastFrames(past, 300)
    assert [part.offset for part in frames.parts] == [-2, -1]
    (height, width), lit_left = frames.thumb, frames.slot + 3 * 147 // 5
    assert (height, width) == (58, 147)

    def drawn(weights):
        image = Image.new("RGB", (400, 300))
        frames.draw(Pen(image), 0, 0, 300, step, weights)
        return np.asarray(image)[HEADING : HEADING + height].astype(int)

    dark, light = drawn(np.zeros(30, np.float32)), drawn(step.maps["actor/0"][0, 0])
    assert (dark[:, :width] == SHADES[0]).all()
    assert (dark[:, frames.slot : frames.slot + width] == SHADES[1]).all()
    rows, columns = np.nonzero((dark != light).any(-1))
    assert (columns.min(), columns.max()) == (lit_left, frames.slot + 4 * 147 // 5)
    assert (rows.min(), rows.max()) == (0, height // 2 - 1)


def test_a_past_from_before_the_episode_stays_empty(framed):
    header, step = framed
    step = replace(step, mask=np.repeat([False, True, True], ROWS * COLS))
    (past,) = scene_layout_of(header, step).past_frames
    frames = PastFrames(past, 300)
    image = Image.new("RGB", (400, 300))
    frames.draw(Pen(image), 0, 0, 300, step, np.zeros(30, np.float32))
    middle = np.asarray(image)[HEADING + frames.thumb[0] // 2]
    assert tuple(middle[5]) == PANEL
    assert tuple(middle[frames.slot + 5]) == (SHADES[1],) * 3


def test_the_newest_past_frames_have_room(header):
    groups = Frames(9, Cells(2, 3, (5,))).token_groups("view")
    parts = group_slices(TokenLayout(groups))[:-1]
    frames = PastFrames(parts, 5 * (58 + GAP) - GAP)
    assert [part.offset for part in frames.shown] == [-5, -4, -3, -2, -1]
    assert frames.slot * len(frames.shown) - GAP <= 5 * (58 + GAP) - GAP
    assert frames.thumb[0] <= 120 and frames.thumb[1] >= 50


def test_a_scene_with_a_past_has_room_for_it(framed):
    header, step = framed
    image = Scene(header, step).draw(step)
    foot = np.asarray(image)[TITLE + 400 :, MARGIN : MARGIN + 300]
    assert (foot == SHADES[0]).all(-1).sum() > 5000, "the oldest frame is missing"


def test_pictures_of_an_episode_have_one_even_size(header, make_step):
    scene = Scene(header, make_step(0))
    sizes = {scene.draw(make_step(t, terminated=t == 2), t, (), 1e9 * t).size for t in range(3)}
    sizes.add(scene.draw_ending(make_step(9).frame, make_step(8), 9, 0.0).size)
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
    np.testing.assert_allclose(
        view.token_weights(step), stored.mean(0) if head is None else stored[2]
    )
    assert ("derived" in view.description[1]) == (layer == 0)


def test_the_readout_is_shown_unless_another_layer_is_asked_for(header):
    assert choose_view(header.maps).spec.name == "actor/1"
    rolled = replace(header.maps[1], name="actor/rollout", heads=1, derived="rollout")
    assert choose_view([*header.maps, rolled]).spec.name == "actor/rollout"
    assert choose_view([*header.maps, rolled], layer=1).spec.name == "actor/1"
    assert choose_view([*header.maps, rolled], head=2).spec.name == "actor/1"
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
    color = np.random.default_rng(0).integers(2, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(observation_image(patches, color), color)
    np.testing.assert_array_equal(observation_image(patches, color.transpose(2, 0, 1)), color)
    stacked = np.stack([np.zeros((5, 7), np.uint8)] * 3 + [color[..., 0]])
    newest = observation_image(patches, stacked)
    np.testing.assert_array_equal(newest, np.repeat(color[..., :1], 3, -1))
    planes = np.zeros((5, 7, 4), np.uint8)
    planes[2, 3, 1] = 1
    picture = observation_image(patches, planes)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 2
    shades = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)
    for gray in (shades, shades[None], np.stack([1 - shades] * 3 + [shades])):
        picture = observation_image(patches, gray)
        np.testing.assert_array_equal(picture[..., 0], np.rint(255 * shades))
    cells = Cells(2, 3, categories=(11, 6)).token_groups("")[0]
    assert observation_image(cells, np.zeros((6, 2))).shape == (2, 3, 3)
    assert observation_image(Features(("a",)).token_groups("")[0], np.zeros(1)) is None


def test_enlarging_keeps_pixels_sharp():
    picture = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    large = np.asarray(enlarge_image(picture, 4))
    np.testing.assert_array_equal(large, picture.repeat(4, 0).repeat(4, 1))
    assert enlarge_image(picture, 2.5).size == (12, 8)
    assert enlarge_image(np.zeros((90, 60, 3), np.uint8), 0.5).size == (30, 45)


def test_the_heat_colours_grow_evenly_brighter():
    table = heat_table().astype(float) / 255
    assert table.shape == (256, 3)
    linear = np.where(table <= 0.04045, table / 12.92, ((table + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) > -0.002).all()
    assert luminance[0] < 0.02 and luminance[-1] > 0.8


def test_long_names_lose_their_middle():
    name = "angular velocity of the left knee 17"
    cut = fit_text(name, 120, 13)
    assert load_font(13).getlength(cut) <= 120
    assert cut.startswith("angular") and cut.endswith("17") and "…" in cut
    assert fit_text("short", 120, 13) == "short"


def test_text_that_the_font_lacks_is_replaced():
    assert drawable_text("naïve\n\u202eÉtat 数") == "naive ?Etat ?"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (3.0, "3"), (0.12345, "0.123"), (-17.26, "-17.3"), (4120.4, "4120"),
     (3.1e7, "3.1e+07"), (2.5e-6, "2.5e-06"), (float("nan"), "nan"), (1.25, "1.250")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert format_number(value) == text
