"""Objects go by who they are, whatever row of the observation they are in."""

from __future__ import annotations

import numpy as np
import pytest

from envs.layout import TokenGroup, TokenLayout, TokenPlaces
from recording.contents import Contents
from recording.format import Step
from recording.observed import parts_of, stem_of

LAYOUT = TokenLayout(
    (
        TokenGroup("entities", ("ego car", "car 1", "car 2"), "cars", ego=0),
        TokenGroup("features", ("x 1",), "dash"),
    )
)


def step(*ids: int, present: tuple[bool, ...] = (True,) * 4) -> Step:
    places = TokenPlaces(np.full((4, 4), np.nan, np.float32), np.array([*ids, -1]))
    maps = {"actor/0": np.full((1, 1, 4), 0.25, np.float32)}
    return Step({}, np.int64(0), maps, mask=np.array(present), places=places)


def test_a_name_follows_its_object():
    cars, dash = parts_of(LAYOUT)
    assert cars.names_at(step(0, 12, 7)) == ("ego car", "car 12", "car 7")
    assert cars.names_at(step(0, 7, 12)) == ("ego car", "car 7", "car 12")
    assert cars.names_at(step(-1, -1, 12)) == ("ego car", "car 1", "car 12")
    assert dash.names_at(step(0, 7, 12)) == ("dash",)


def test_a_word_follows_its_object():
    find = Contents(LAYOUT).find
    assert find("car 12")(step(0, 12, 7)).tolist() == [False, True, False, False]
    assert find("Car 12")(step(0, 7, 12)).tolist() == [False, False, True, False]
    assert not find("car 1")(step(0, 7, 12)).any(), "no car is called so there"
    assert find("car 1")(step(-1, -1, 12)).tolist() == [False, True, False, False]
    assert find("car")(step(0, 7, 12)).tolist() == [False, True, True, False]
    gone = step(0, 7, 12, present=(True, True, False, True))
    assert not find("car 12")(gone).any()
    assert find("2")(step(0, 7, 12)).tolist() == [False, False, True, False]


def test_what_is_called_nothing_of_the_kind_is_refused():
    message = "no token is called 'boat 3': there are car, car 1, car 2, cars, dash, ego car"
    with pytest.raises(ValueError, match=message):
        Contents(LAYOUT).find("boat 3")


@pytest.mark.parametrize(
    ("name", "stem"), [("car 12", "car"), ("car12", "car"), ("ego car", ""), ("7", ""), ("", "")]
)
def test_a_stem_is_what_comes_before_the_number(name, stem):
    assert stem_of(name) == stem
