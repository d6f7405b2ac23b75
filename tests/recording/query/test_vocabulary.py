"""Objects go by who they are, whatever row of the observation they are in."""

from __future__ import annotations

import numpy as np
import pytest

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from attention_agents.envs.tokens.specs import Cells, Frames
from attention_agents.recording.observation_images import group_slices, name_stem
from attention_agents.recording.query.vocabulary import TokenVocabulary
from attention_agents.recording.step import Step
from tests.recording.past_scene import past_header, past_step

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
    cars, dash = group_slices(LAYOUT)
    assert cars.names_at(step(0, 12, 7)) == ("ego car", "car 12", "car 7")
    assert cars.names_at(step(0, 7, 12)) == ("ego car", "car 7", "car 12")
    assert cars.names_at(step(-1, -1, 12)) == ("ego car", "car 1", "car 12")
    assert dash.names_at(step(0, 7, 12)) == ("dash",)


def test_a_word_follows_its_object():
    find = TokenVocabulary(LAYOUT).find_tokens
    assert find("car 12")(step(0, 12, 7)).tolist() == [False, True, False, False]
    assert find("Car 12")(step(0, 7, 12)).tolist() == [False, False, True, False]
    assert not find("car 1")(step(0, 7, 12)).any(), "no car is called so there"
    assert find("car 1")(step(-1, -1, 12)).tolist() == [False, True, False, False]
    assert find("car")(step(0, 7, 12)).tolist() == [False, True, True, False]
    gone = step(0, 7, 12, present=(True, True, False, True))
    assert not find("car 12")(gone).any()
    assert find("2")(step(0, 7, 12)).tolist() == [False, False, True, False]


def test_what_is_called_nothing_of_the_kind_is_refused():
    message = "no token is called 'boat 3': there are 'car', 'car 1', 'car 2', 'cars', 'dash', 'ego"
    with pytest.raises(ValueError, match=message):
        TokenVocabulary(LAYOUT).find_tokens("boat 3")


@pytest.mark.parametrize(
    ("word", "tokens"),
    [
        ("car 11", [1, 6, 9]),
        ("car 11, now", [9]),
        ("car 11, 0 steps", [9]),
        ("Car 11 ,  -1 step", [6]),
        ("car 11,-2 steps", [1]),
        ("car 20, now", []),
        ("ego car", [0, 4, 8]),
        ("ego car, now", [8]),
        ("ego car, -2 steps", [0]),
        ("car, -1 steps", [5, 6, 7]),
        ("cars, now", [8, 9, 10, 11]),
        ("past", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("7", [7]),
    ],
)
def test_a_word_of_a_history(word, tokens):
    find = TokenVocabulary(past_header().layout).find_tokens(word)
    assert np.flatnonzero(find(past_step(2))).tolist() == tokens
    absent = ~past_step(1).mask
    assert not find(past_step(1))[absent].any()


def test_what_a_cell_held_then_is_asked_for_by_its_step():
    view = Cells(1, 3, (2,), words=(("empty", "key"),))
    layout = TokenLayout(Frames(2, view).token_groups("view"))
    frames = np.array([[1, 0, 1, 0], [1, 0, 0, 1]])  # presence, then three cells
    maps = {"actor/0": np.full((1, 1, 6), 1 / 6, np.float32)}
    seen = Step({"view": frames}, np.array(0), maps, mask=np.ones(6, bool))
    tokens = {
        word: np.flatnonzero(TokenVocabulary(layout).find_tokens(word)(seen)).tolist()
        for word in ("key", "key, now", "key, -1 step", "row 0 col 1", "row 0 col 1, now")
    }
    assert tokens == {
        "key": [1, 5],
        "key, now": [5],
        "key, -1 step": [1],
        "row 0 col 1": [4],
        "row 0 col 1, now": [4],
    }


def test_a_step_before_the_history_is_refused():
    with pytest.raises(ValueError, match=r"'car, -3 steps' asks for 3 steps back, .* goes 2 back"):
        TokenVocabulary(past_header().layout).find_tokens("car, -3 steps")
    with pytest.raises(
        ValueError,
        match=r"now': there are 'car', 'car 1', 'car 2', 'car 3', 'cars', 'ego car', 'past'$",
    ):
        TokenVocabulary(past_header().layout).find_tokens("boat, now")


@pytest.mark.parametrize(
    ("name", "stem"), [("car 12", "car"), ("car12", "car"), ("ego car", ""), ("7", ""), ("", "")]
)
def test_a_stem_is_what_comes_before_the_number(name, stem):
    assert name_stem(name) == stem
