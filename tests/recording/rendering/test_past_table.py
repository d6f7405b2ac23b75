"""Objects of past steps keep their row, their name and their share, whichever row they were in."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, add_age, strip_age
from attention_agents.recording.observation_images import GroupSlice, group_slices
from attention_agents.recording.query.attention_shift import (
    AttentionTarget,
    attention_per_target,
    attention_shift,
)
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.contact_sheet import listed_tokens
from attention_agents.recording.rendering.drawing import HEADING, Pen, text_width
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.rendering.past_table import MIN_CELL, PastTable
from attention_agents.recording.scene.display import MAX_ROWS, label_interval
from attention_agents.recording.scene.past_objects import PastObject, past_objects
from attention_agents.recording.scene.scene_layout import past_entities
from attention_agents.recording.step import Step
from tests.recording.past_scene import (
    PARTS,
    ROAD,
    SPEC,
    N,
    Road,
    older,
    past_header,
    past_step,
    strangers_at,
    unknown_at,
)

WIDTH = 300


class Noted(Pen):
    """Notes what is written."""

    def __init__(self, image: Image.Image):
        super().__init__(image)
        self.written: list[str] = []

    def draw_text(self, x: float, y: float, text: str, *args: Any, **more: Any) -> float:
        self.written.append(text)
        return super().draw_text(x, y, text, *args, **more)


def table_of(
    parts: list[GroupSlice], step: Step, weights: np.ndarray, width: int = WIDTH
) -> tuple[np.ndarray, list[str]]:
    """Return a table, (height, width, 3) int, and what is written in it."""
    table = PastTable(parts, width)
    pen = Noted(Image.new("RGB", (width, table.height)))
    table.draw(pen, 0, 0, width, step, weights.astype(np.float32))
    return np.asarray(pen.image).astype(int), pen.written


def drawn(step: Step, token: int | None) -> np.ndarray:
    """Return the table with all weight on one token, (height, width, 3) int."""
    (past,) = past_entities(PARTS)
    weights = np.zeros(N, np.float32)
    if token is not None:
        weights[token] = 1
    return table_of(past, step, weights)[0]


def named(parts: list[GroupSlice], step: Step) -> dict[str, dict[int, int]]:
    """Return the objects of the past by what they are called."""
    return {each.name: tokens for each, tokens in past_objects(parts, step).items()}


@pytest.mark.parametrize(
    ("t", "called"), [(0, "car 1"), (-1, "car 1, -1 step"), (-2, "car 1, -2 steps")]
)
def test_a_name_says_how_old_its_token_is(t, called):
    assert add_age("car 1", t) == called
    assert strip_age(called, t) == "car 1"
    assert strip_age(called, t - 1) == called


def test_names_say_who_and_when():
    then, before, now = (part.names_at(past_step(2)) for part in PARTS)
    assert then == ("ego car, -2 steps", "car 11, -2 steps", "car 12, -2 steps", "car 20, -2 steps")
    assert before == ("ego car, -1 step", "car 12, -1 step", "car 11, -1 step", "car 21, -1 step")
    assert now == ("ego car", "car 11", "car 12", "car 22")
    assert PARTS[1].names_at(past_step(2), dated=False) == ("ego car", "car 12", "car 11", "car 21")
    assert PARTS[1].names_at(replace(past_step(2), places=None))[1] == "car 1, -1 step"


def test_names_of_older_recordings_are_read_as_those_of_today():
    written = json.loads(json.dumps(older(past_header()).layout.to_json()))
    assert written[1]["names"][1] == "car 1, -1 steps"
    assert TokenLayout.from_json(written) == past_header().layout
    steps = TokenGroup("history", ("-2 steps", "-1 steps", "present"), offsets=(-2, -1, 0))
    (read,) = TokenLayout.from_json(json.loads(json.dumps(TokenLayout((steps,)).to_json()))).groups
    assert read.names == ("-2 steps", "-1 step", "present")


def test_an_object_is_one_row_whichever_row_it_was_in():
    assert named(PARTS[:-1], past_step(2)) == {
        "ego car": {-2: 0, -1: 4},
        "car 11": {-2: 1, -1: 6},
        "car 12": {-2: 2, -1: 5},
        "car 20": {-2: 3},
        "car 21": {-1: 7},
    }
    assert past_objects(PARTS[:-1], past_step(0)) == {}, "before the episode nobody was there"


def test_a_row_that_nobody_knows_is_not_the_object_of_its_number():
    step = Road(who=unknown_at).step(2)
    assert named(PARTS[:-1], step) == {
        "ego car": {-2: 0, -1: 4},
        "car, row 1": {-2: 1, -1: 5},
        "car 1": {-2: 2, -1: 6},
        "car 20": {-2: 3},
        "car 21": {-1: 7},
    }
    unseen = named(PARTS[:-1], replace(step, places=None))
    assert list(unseen) == ["ego car", "car, row 1", "car, row 2", "car, row 3"]


def test_lighting_a_token_fills_its_bar_and_its_sum_alone():
    step, row = past_step(2), PastTable.ROW
    shown = ["car 11", "car 12", "car 20", "car 21", "ego car"]
    for token, name, column in ((6, "car 11", 1), (1, "car 11", 0), (5, "car 12", 1)):
        mark = (drawn(step, token) != drawn(step, None)).any(-1)
        mark[: HEADING + row] = False  # the sum of all, and what a full bar is
        rows, cols = np.flatnonzero(mark.any(1)), np.flatnonzero(mark[:, : WIDTH - 50].any(0))
        top = HEADING + (1 + shown.index(name)) * row
        assert top <= rows[0] and rows[-1] < top + row, name
        left, cell = WIDTH * 0.38 + column * WIDTH * 0.23, WIDTH * 0.23
        assert cols[0] == round(left) and cols[-1] == round(left + cell - 2) - 1, name


def test_bars_have_a_scale_of_their_own_which_is_said():
    (past,) = past_entities(PARTS)
    step, weights = past_step(2), np.zeros(N)
    weights[[6, 5, -1]] = 0.02, 0.01, 0.97
    seen, words = table_of(past, step, weights)
    assert "full bar 0.020" in words and "weight, sum 0.03" in words
    weights[-1] = 0
    np.testing.assert_array_equal(seen, table_of(past, step, weights)[0])
    dark = table_of(past, step, np.zeros(N))
    filled = (seen != dark[0]).any(-1)
    left = round(WIDTH * 0.61)
    lengths = [
        filled[HEADING + PastTable.ROW * place + 11, left : left + 67].sum() for place in (1, 2)
    ]
    assert lengths == pytest.approx([67, 33], abs=1), "half the weight is half the bar"
    assert not any("full bar" in text for text in dark[1]), "no bar is full"


def test_there_is_a_row_for_each_object_that_can_be():
    (past,) = past_entities(PARTS)
    table = PastTable(past, WIDTH)
    assert table.rows == 2 * 3 + 1, "the agent is the same at each step"
    assert table.height == HEADING + PastTable.ROW * (1 + table.rows)
    _, words = table_of(past, Road(who=strangers_at).step(2), np.ones(N))
    assert {"ego car", *(f"car {i}" for i in range(100, 106))} <= set(words)
    (long,) = past_entities(Road(16).parts)
    table = PastTable(long, WIDTH)
    assert table.rows == MAX_ROWS < 15 * 3 + 1
    assert table.height == HEADING + PastTable.ROW * (1 + MAX_ROWS + 1)


def test_what_has_no_room_is_summed_up():
    road = Road(16, strangers_at)
    (past,) = past_entities(road.parts)
    step, weights = road.step(15), np.zeros(64)
    ego, cars = np.arange(0, 60, 4), [i for i in range(60) if i % 4]
    weights[ego] = 0.016  # 15 x 0.016 = 0.240
    weights[cars] = np.linspace(0.011, 0.002, 45)  # in the order of their numbers
    for width in (WIDTH, 90):  # the newest 6 steps only
        _, words = table_of(past, step, weights, width)
        assert len(PastTable(past, width).shown) == (15 if width == WIDTH else 6)
        assert words[words.index("ego car") + 1] == "0.240", "of all steps"
        rest = weights[cars][MAX_ROWS - 1 :]
        assert words[-1] == f"22 others, together {rest.sum():.3f}" and len(rest) == 22
        assert f"weight, sum {weights.sum():.2f}" in words
        assert [name for name in words if name.startswith("car")] == [
            f"car {i}" for i in range(100, 123)
        ]


def test_the_pasts_of_two_parts_are_two_tables():
    road = Road(goal=True)
    cars, goal = past_entities(road.parts)
    assert [[(part.group.key, part.offset) for part in each] for each in (cars, goal)] == [
        [("cars", -2), ("cars", -1)],
        [("goal", -2), ("goal", -1)],
    ]
    step, weights = road.step(2), np.linspace(0.01, 0.15, N + 3)
    assert named(goal, step) == {"goal": {-2: N, -1: N + 1}}
    assert "goal" not in named(cars, step)
    for parts, tokens in ((cars, range(8)), (goal, range(N, N + 2))):
        title, note, full = table_of(parts, step, weights)[1][:3]
        own = weights[list(tokens)]
        assert title == f"past steps of {parts[0].group.key}".upper()
        assert (note, full) == (f"weight, sum {own.sum():.2f}", f"full bar {own.max():.3f}")


def test_a_contact_sheet_names_objects_by_who_they_are():
    weights = np.zeros(N)
    weights[[5, 6, 7, 4]] = 4, 3, 2, 1
    step = past_step(2, weights)
    best = listed_tokens(Scene(past_header(), step), step, weights / 10)
    names = ["car 12, -1 step", "car 11, -1 step", "car 21, -1 step", "ego car, -1 step"]
    assert best == [
        (name, pytest.approx(share))
        for name, share in zip(names, (0.4, 0.3, 0.2, 0.1), strict=True)
    ]


def test_the_present_is_on_the_picture_and_the_past_beside_it():
    scene = Scene(past_header(), past_step(2))
    assert scene.attended_frame is not None
    assert [part.offset for part in scene.layout.placed] == [0]
    assert [part.offset for part in scene.layout.unplaced] == [-2, -1]
    sizes = {scene.draw(past_step(t), t).size for t in range(5)}
    assert len(sizes) == 1


def test_the_newest_steps_have_room():
    long = replace(SPEC, steps=41)
    layout = replace(past_header().layout, groups=long.token_groups("cars"))
    (past,) = past_entities(group_slices(layout))
    table = PastTable(past, WIDTH)
    room = int(WIDTH * 0.46 / MIN_CELL)
    assert [part.offset for part in table.shown] == list(range(-room, 0))
    assert len(table.parts) == 40
    assert label_interval(WIDTH * 0.46 / room, text_width(str(-room), 12) + 4) > 1


def test_names_are_in_the_order_of_their_numbers():
    names = ["ego car", "car 10", "car 2", "bus 3"]
    assert sorted(names, key=lambda name: PastObject(name, 0, False).rank) == [
        "bus 3",
        "car 2",
        "car 10",
        "ego car",
    ]


def test_shares_of_an_object_are_those_of_all_its_steps():
    weights = np.arange(N, dtype=np.float32)
    shares = attention_per_target(PARTS, past_step(2), weights)
    assert shares[AttentionTarget("cars", 11, True)] == pytest.approx((1 + 6 + 9) / 66)
    assert sum(shares.values()) == pytest.approx(1)
    unknown = attention_per_target(PARTS, replace(past_step(2), places=None), weights)
    assert unknown[AttentionTarget("cars", 6, False)] == pytest.approx(6 / 66)


def test_attention_that_stays_on_an_object_has_not_moved(tmp_path):
    (episode,) = open_recording(ROAD.record(tmp_path / "road", 6)).episodes
    weights = np.zeros((6, N), np.float32)
    for t in range(6):
        weights[t, named(PARTS, past_step(t))["car 12"][0]] = 0.5
    assert attention_shift(episode, weights).tolist() == [0] * 6
    weights[3] = np.roll(weights[3], 1)
    assert attention_shift(episode, weights).tolist() == [0, 0, 0, 1, 1, 0]
