"""Evidence on pictures: the right hue at the right place, nothing at zero, one scale."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from attention_agents.recording.evidence_spec import EvidenceSpec
from attention_agents.recording.evidence_view import (
    NO_ATTENTION,
    UNDEFINED,
    EvidenceView,
    choose_shown,
)
from attention_agents.recording.map_view import MapView
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.contact_sheet import contact_sheet
from attention_agents.recording.rendering.gallery import choose_extremes, gallery
from attention_agents.recording.rendering.overlay import Scene, compose
from attention_agents.recording.rendering.paint import EvidencePaint, format_signed
from attention_agents.recording.rendering.signed_heat import (
    SignedHeat,
    compute_signed_heat,
    draw_signed_heat,
    evidence_ramp,
)
from attention_agents.recording.rendering.terminal import play_in_terminal
from attention_agents.recording.rendering.video import film
from attention_agents.recording.scene.colors import AGAINST, FOR
from attention_agents.recording.scene.evidence_scale import EvidenceScale, evidence_scale
from attention_agents.recording.scene.evidence_words import evidence_words
from attention_agents.recording.scene.scene_layout import layout_of
from attention_agents.recording.step import Step
from attention_agents.recording.writer import RecordingWriter

ROWS, COLS, CELL = 3, 5, 20
N = ROWS * COLS
SPEC = EvidenceSpec(("action",), "logit", "mean", 300, tokens="cells")
FRAME = np.full((ROWS * CELL, COLS * CELL, 3), 90, np.uint8)


@pytest.fixture
def cells(header):
    """A frame of 3 x 5 cells, with evidence and one map over them."""
    boxes = tuple(
        (x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL)
        for y in range(ROWS)
        for x in range(COLS)
    )
    names = tuple(f"cell {i}" for i in range(N))
    group = TokenGroup("patches", names, "cars", grid=(ROWS, COLS), boxes=boxes)
    maps = (replace(header.maps[1], name="actor/0", layer=0),)
    return replace(header, layout=TokenLayout((group,)), maps=maps, evidence=SPEC)


def cell_step(make_step, evidence, t=0, **changes) -> Step:
    boxes = [
        (x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL)
        for y in range(ROWS)
        for x in range(COLS)
    ]
    places = TokenPlaces(np.array(boxes, np.float32), np.full(N, -1))
    values = dict(
        frame=FRAME,
        mask=np.ones(N, bool),
        places=places,
        maps={"actor/0": np.full((3, 1, N), 1 / N, np.float32)},
        evidence=np.asarray(evidence, np.float32)[None],
    )
    return make_step(t, **(values | changes))


def record(folder, header, steps):
    with RecordingWriter(folder, header) as writer:
        writer.begin_episode(1)
        for step in steps:
            writer.add_step(step)
    return open_recording(folder).episodes[0]


def test_each_cell_has_the_hue_of_its_sign_and_none_at_zero(cells, make_step):
    evidence = np.zeros(N)
    evidence[7], evidence[13] = 2.0, -2.0
    scene = Scene(cells, cell_step(make_step, evidence))
    assert isinstance(scene.view, EvidenceView)
    frame = scene.attended_frame
    picture = np.asarray(frame.render(cell_step(make_step, evidence), evidence), int)
    side = frame.width // COLS
    mean = picture.reshape(ROWS, side, COLS, side, 3).mean((1, 3)).reshape(N, 3)
    np.testing.assert_array_equal(mean[evidence == 0], 90)  # keeps its own colors
    for cell, hue in ((7, FOR), (13, AGAINST)):
        np.testing.assert_allclose(mean[cell], 0.8 * np.array(hue) + 0.2 * 90, atol=1)


def test_the_hues_grow_alike_with_the_size_of_the_evidence():
    share = np.array([[-1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 9.0]], np.float32)
    gray = Image.new("RGB", (8, 1), (90, 90, 90))
    picture = np.asarray(draw_signed_heat(gray, SignedHeat(share, 1.0)), int)[0]
    away = np.abs(picture - 90).sum(-1)
    assert away[3] == 0 and (np.diff(away[3:7]) > 0).all() and away[6] == away[7]
    for below, above in ((0, 6), (1, 5), (2, 4)):
        opacity_below = (picture[below] - 90) / (np.array(AGAINST) - 90)
        opacity_above = (picture[above] - 90) / (np.array(FOR) - 90)
        assert opacity_below.mean() == pytest.approx(opacity_above.mean(), abs=0.03)


def test_where_tokens_overlap_a_pixel_has_their_mean_and_the_object_all_see_stands_out():
    """A window of 3 x 3 slides over 10 x 10 cells; all that see cell (4, 6) have evidence 1."""
    corners = [(x, y) for y in range(8) for x in range(8)]
    boxes = np.array([(x, y, x + 3, y + 3) for x, y in corners], np.float32)
    evidence = np.array([x <= 6 < x + 3 and y <= 4 < y + 3 for x, y in corners], np.float32)
    heat = compute_signed_heat(evidence, boxes, 1.0, (10, 10))
    assert np.unravel_index(heat.mean.argmax(), heat.mean.shape) == (4, 6)
    assert heat.mean[4, 6] == 1 and (heat.mean == 1).sum() == 1
    np.testing.assert_array_equal(
        compute_signed_heat(-evidence, boxes, 1.0, (10, 10)).mean, -heat.mean
    )


def test_the_scale_is_that_of_the_episode_and_of_no_single_step(tmp_path, cells, make_step):
    """Of a hundred steps one has evidence a hundred times larger."""
    rows = [np.eye(N)[t % N] * (100.0 if t == 50 else 1.0) * (-1) ** t for t in range(100)]
    steps = [cell_step(make_step, row, t) for t, row in enumerate(rows)]
    episode = record(tmp_path / "seen", cells, steps)
    scene = Scene.of_episode(episode)
    assert isinstance(scene.paint, EvidencePaint)
    assert scene.paint.scale == pytest.approx((1.0, 1.0))
    strong, faint = (
        np.asarray(scene.attended_frame.render(s, scene.view.token_weights(s)))
        for s in (steps[50], steps[52])
    )
    cell = CELL * scene.attended_frame.factor
    assert strong.shape == faint.shape and cell > CELL
    assert {tuple(c) for c in strong.reshape(-1, 3)} == {tuple(c) for c in faint.reshape(-1, 3)}


def test_the_scale_of_a_picture_is_the_largest_mean_on_it(cells, make_step):
    step = cell_step(make_step, np.linspace(-3, 1, N))
    view = EvidenceView(cells, 0)
    scale = evidence_scale([step], view, layout_of(cells, step))
    assert scale == pytest.approx((3, 3))
    zeros = cell_step(make_step, np.zeros(N))
    assert evidence_scale([zeros], view, layout_of(cells, step)) == (1.0, 1.0)


def test_undefined_evidence_draws_nothing_and_says_so(cells, make_step):
    step = cell_step(make_step, np.full(N, np.nan))
    scene = Scene(cells, step)
    weights = scene.view.token_weights(step)
    assert not weights.any()
    assert scene.view.describe_spread(step, weights) == UNDEFINED
    assert (np.asarray(scene.attended_frame.render(step, weights)) == 90).all()
    assert scene.draw(step).size == scene.size


def test_evidence_comes_first_and_attention_is_there_when_asked_for(cells):
    assert isinstance(choose_shown(cells), EvidenceView)
    assert isinstance(choose_shown(cells, show="attention"), MapView)
    assert choose_shown(cells, head=2) == MapView(cells.maps[0], 2)
    with pytest.raises(ValueError, match="layer and head are of attention"):
        choose_shown(cells, layer=0, show="evidence")
    with pytest.raises(ValueError, match="a component is one of evidence"):
        choose_shown(cells, show="attention", component="action")
    without = replace(cells, evidence=None)
    assert isinstance(choose_shown(without), MapView)
    with pytest.raises(ValueError, match="this recording has no evidence"):
        choose_shown(without, show="evidence")
    with pytest.raises(ValueError, match="no attention maps: its policy has no attention"):
        choose_shown(replace(cells, maps=()), show="attention")


def test_of_several_components_the_one_with_most_evidence_is_shown(tmp_path, header, make_step):
    spec = replace(SPEC, components=("steer", "gas", "brake"))
    three = replace(header, evidence=spec)
    rows = np.array([[0.1] * 8, [-3.0] * 8, [1.0] * 8], np.float32)
    undefined = np.full((3, 8), np.nan, np.float32)
    steps = [make_step(0, evidence=rows), make_step(1, evidence=undefined), make_step(2)]
    episode = record(tmp_path / "seen", three, steps)
    view = choose_shown(three, episode=episode)
    assert isinstance(view, EvidenceView) and view.component == 1
    assert view.description[0] == "evidence on gas, 1 of 3 (most of this episode)"
    for asked in ("brake", "2"):
        named = choose_shown(three, component=asked, episode=episode)
        assert named.description[0] == "evidence on brake, 1 of 3"
    for wrong in ("clutch", "3", "-1"):
        with pytest.raises(ValueError, match=f"one of steer, gas, brake, got '{wrong}'"):
            choose_shown(three, component=wrong)


def test_signs_mean_the_action_taken_or_a_dimension_of_it(header):
    assert evidence_words(header, 0, np.array(2)) == ("for faster", "against faster")
    bits = replace(header, action_kind="multi_binary", action_sizes=(1,) * 4)
    assert evidence_words(bits, 1, np.array([1, 0, 1, 1])) == ("for right = 0", "against right = 0")
    parts = replace(header, action_kind="multi_discrete", action_sizes=(1, 3))
    assert evidence_words(parts, 1, np.array([0, 2])) == ("for slower", "against slower")
    pedals = replace(header, action_kind="continuous", action_sizes=(1,) * 4)
    assert evidence_words(pedals, 2, np.zeros(4)) == ("raises faster", "lowers faster")


def test_numbers_stand_beside_the_frame_as_signed_bars(header, make_step):
    """Of the dash, `speed` speaks for and `fuel` against: bars to the right and to the left."""
    evidence = np.zeros((1, 8), np.float32)
    evidence[0, 5], evidence[0, 7] = 1.0, -1.0
    step = make_step(1, evidence=evidence)
    scene = Scene(replace(header, evidence=SPEC), step)
    picture = np.asarray(scene.draw(step), int)
    left = scene.attended_frame.width + 46
    column = picture[56:200, left : left + 300]
    blue, orange = ((column == hue).all(-1).nonzero() for hue in (FOR, AGAINST))
    assert len(blue[0]) and len(orange[0])
    assert blue[1].min() > orange[1].max() and blue[0].max() < orange[0].min()
    assert len(blue[0]) == pytest.approx(len(orange[0]), rel=0.1)


def test_a_policy_without_attention_is_drawn_and_says_so(tmp_path, cells, make_step):
    stock = replace(cells, maps=())
    steps = [cell_step(make_step, np.eye(N)[t] - 0.1, t, maps={}) for t in range(N)]
    episode = record(tmp_path / "seen", stock, steps)
    scene = Scene.of_episode(episode)
    assert NO_ATTENTION in scene.view.describe_details(steps[0])
    assert len({picture.size for picture in film(episode)}) == 1
    with Image.open(contact_sheet(tmp_path / "sheet.png", episode)) as page:
        assert page.width == 1402
    with pytest.raises(ValueError, match="no attention maps"):
        next(film(episode, layer=0))


def test_attention_is_a_second_picture_beside_evidence(cells, make_step):
    step = cell_step(make_step, np.eye(N)[3])
    scene, alone = Scene(cells, step), Scene(replace(cells, maps=()), step)
    assert scene.size[0] == alone.size[0] or scene.size > alone.size
    looking = np.zeros((3, 1, N), np.float32)
    looking[..., 12] = 1
    there = np.asarray(scene.draw(replace(step, maps={"actor/0": looking})), int)
    even = np.asarray(scene.draw(step), int)
    changed = (there != even).any(-1).any(0).nonzero()[0]
    assert changed.min() > scene.attended_frame.width + 22  # beside the evidence, not on it


def test_a_gallery_shows_what_spoke_for_and_what_against(tmp_path, cells, make_step):
    rows = [np.eye(N)[t % N] * (-1) ** t for t in range(20)]
    episode = record(
        tmp_path / "seen", cells, [cell_step(make_step, r, t) for t, r in enumerate(rows)]
    )
    with Image.open(gallery(tmp_path / "gallery.png", episode)) as page:
        colors = np.asarray(page.convert("RGB"))
    assert colors.shape[1] > 1000
    most = choose_extremes(np.array(rows), -1, middle=0.0)
    assert {piece.step for piece in most} == set(range(0, 20, 2))


def test_the_terminal_says_what_spoke_for_and_against(tmp_path, cells, make_step):
    evidence = np.zeros(N)
    evidence[2], evidence[5] = 1.5, -2.5
    episode = record(tmp_path / "seen", cells, [cell_step(make_step, evidence)])
    out = io.StringIO()
    play_in_terminal(episode, Console(file=out, width=300))
    assert "evidence cell 5 -2.5, cell 2 +1.5" in out.getvalue()
    out = io.StringIO()
    play_in_terminal(episode, Console(file=out, width=300), show="attention")
    assert "attends to cell" in out.getvalue()


def test_one_step_alone_has_its_own_scale(cells, make_step):
    step = cell_step(make_step, np.eye(N)[4] * 1e-3)
    assert Scene(cells, step).paint.scale.picture == pytest.approx(1e-3)
    assert compose(step, cells).size == Scene(cells, step).size


def test_a_signed_bar_grows_from_the_middle(cells):
    paint = EvidencePaint(EvidenceScale(2.0, 1.0))
    assert paint.share(1.0, paint.top(np.zeros(1))) == 0.5
    assert paint.share(-9.0, 2.0) == -1
    assert [format_signed(value) for value in (0.3, -0.25, 0.001, -0.001)] == [
        "+0.30", "-0.25", "0.00", "0.00"
    ]  # fmt: skip


def test_the_ramp_shows_both_hues_and_nothing_between():
    ramp = np.asarray(evidence_ramp(97, 2, (18, 20, 24)), int)[0]
    np.testing.assert_array_equal(ramp[48], (18, 20, 24))
    assert ramp[0, 0] > ramp[0, 2] and ramp[-1, 2] > ramp[-1, 0]
