"""Objects of past steps keep their row, their name and their share, whichever row they were in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recording import open_recording
from recording.contents import Contents
from recording.format import Step
from recording.observed import parts_of
from recording.overlay import Scene
from recording.palette import HEADING, Pen
from recording.past_table import (
    LEAST_CELL,
    PastTable,
    in_order,
    labelled,
    objects_of,
    past_entities,
)
from recording.shift import Spot, attention_shift, shares_of
from tests.recording.past_scene import CARS, PARTS, SPEC, N, T, past_header, past_step, record_past

WIDTH = 300


def drawn(step: Step, token: int | None) -> np.ndarray:
    """Return the table with all weight on one token, (height, width, 3) int."""
    (past,) = past_entities(PARTS)
    table = PastTable(past, WIDTH)
    image = Image.new("RGB", (WIDTH, table.height))
    weights = np.zeros(N, np.float32)
    if token is not None:
        weights[token] = 1
    table.draw(Pen(image), 0, 0, WIDTH, step, weights)
    return np.asarray(image).astype(int)


def test_names_say_who_and_when():
    then, before, now = (part.names_at(past_step(2)) for part in PARTS)
    assert then == ("ego car, -2 steps", "car 11, -2 steps", "car 12, -2 steps", "car 20, -2 steps")
    assert before == (
        "ego car, -1 steps", "car 12, -1 steps", "car 11, -1 steps", "car 21, -1 steps",
    )  # fmt: skip
    assert now == ("ego car", "car 11", "car 12", "car 22")
    assert PARTS[1].names_at(past_step(2), dated=False) == ("ego car", "car 12", "car 11", "car 21")
    assert PARTS[1].names_at(replace(past_step(2), places=None))[1] == "car 1, -1 steps"


def test_an_object_is_one_row_whichever_row_it_was_in():
    objects = objects_of(PARTS[:-1], past_step(2))
    assert objects == {
        "ego car": {-2: 0, -1: 4},
        "car 11": {-2: 1, -1: 6},
        "car 12": {-2: 2, -1: 5},
        "car 20": {-2: 3},
        "car 21": {-1: 7},
    }
    assert objects_of(PARTS[:-1], past_step(0)) == {}, "before the episode nobody was there"


def test_lighting_a_token_fills_its_bar_and_its_sum_alone():
    step, row = past_step(2), PastTable.ROW
    # the four with the largest sums have room; where all but one are 0, the first come first
    shown = ["car 11", "car 12", "car 20", "ego car"]
    for token, name, column in ((6, "car 11", 1), (1, "car 11", 0), (5, "car 12", 1)):
        mark = (drawn(step, token) != drawn(step, None)).any(-1)
        mark[:HEADING] = False
        rows, cols = np.flatnonzero(mark.any(1)), np.flatnonzero(mark[:, : WIDTH - 50].any(0))
        top = HEADING + (1 + shown.index(name)) * row
        assert top <= rows[0] and rows[-1] < top + row, name
        left, cell = WIDTH * 0.38 + column * WIDTH * 0.23, WIDTH * 0.23
        assert cols[0] == round(left) and cols[-1] == round(left + cell - 2) - 1, name


def test_the_present_is_on_the_picture_and_the_past_beside_it():
    scene = Scene(past_header(), past_step(2))
    assert scene.stage is not None
    assert [part.offset for part in scene.stage.parts] == [0]
    assert [part.offset for part in scene.parts_beside] == [-2, -1]
    sizes = {scene.draw(past_step(t), t).size for t in range(5)}
    assert len(sizes) == 1


def test_the_newest_steps_have_room():
    long = replace(SPEC, steps=41)
    layout = replace(past_header().layout, groups=long.groups("cars"))
    (past,) = past_entities(parts_of(layout))
    table = PastTable(past, WIDTH)
    room = int(WIDTH * 0.46 / LEAST_CELL)
    assert [part.offset for part in table.shown] == list(range(-room, 0))
    assert len(table.parts) == 40
    assert labelled(-room, WIDTH * 0.46 / room) > 1


def test_names_are_in_the_order_of_their_numbers():
    names = ["ego car", "car 10", "car 2", "bus 3"]
    assert sorted(names, key=in_order) == ["bus 3", "car 2", "car 10", "ego car"]


def test_a_word_means_an_object_at_all_steps_of_a_history():
    find, step = Contents(past_header().layout).find, past_step(2)
    assert np.flatnonzero(find("car 11")(step)).tolist() == [1, 6, 9]
    assert np.flatnonzero(find("car 11, -1 steps")(step)).tolist() == [6]
    assert np.flatnonzero(find("ego car")(step)).tolist() == [0, 4, 8]
    assert np.flatnonzero(find("ego car, -2 steps")(step)).tolist() == [0]
    assert find("car")(step).sum() == T * (CARS - 1)
    with pytest.raises(ValueError, match="no token is called 'boat 3'"):
        find("boat 3")


def test_shares_of_an_object_are_those_of_all_its_steps():
    weights = np.arange(N, dtype=np.float32)
    shares = shares_of(PARTS, past_step(2), weights)
    assert shares[Spot("cars", 11, True)] == pytest.approx((1 + 6 + 9) / 66)
    assert sum(shares.values()) == pytest.approx(1)
    unknown = shares_of(PARTS, replace(past_step(2), places=None), weights)
    assert unknown[Spot("cars", 6, False)] == pytest.approx(6 / 66)


def test_attention_that_stays_on_an_object_has_not_moved(tmp_path):
    (episode,) = open_recording(record_past(tmp_path / "road", 6)).episodes
    weights = np.zeros((6, N), np.float32)
    for t in range(6):
        weights[t, objects_of(PARTS, past_step(t))["car 12"][0]] = 0.5
    assert attention_shift(episode, weights).tolist() == [0] * 6
    weights[3] = np.roll(weights[3], 1)
    assert attention_shift(episode, weights).tolist() == [0, 0, 0, 1, 1, 0]
