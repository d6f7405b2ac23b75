"""What a layout says about where tokens stand."""

import numpy as np

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.envs.tokens.specs import Cells, Frames, History
from attention_agents.policies.attention.token_geometry import Geometry, describe_tokens
from tests.policies.scenes import SCENES, cells, entities, features

NAN = float("nan")


def test_cells_of_past_frames_share_grid_and_track():
    here = Geometry.of(TokenLayout(Frames(2, Cells(1, 3, (5,))).token_groups("image")))
    expected = [[0, 0, -1], [0, 1, -1], [0, 2, -1], [0, 0, 0], [0, 1, 0], [0, 2, 0]]
    np.testing.assert_array_equal(here.coordinates, expected)
    assert here.group.tolist() == [0, 0, 0, 1, 1, 1]
    assert here.grid.tolist() == [0] * 6
    assert here.track.tolist() == [0, 1, 2, 0, 1, 2]
    assert here.has_time.all() and here.same_grid.all()


def test_steps_of_a_history_stand_on_no_grid():
    here = Geometry.of(TokenLayout(History(3, 7).token_groups("")))
    np.testing.assert_array_equal(here.coordinates, [[NAN, NAN, -2], [NAN, NAN, -1], [NAN, NAN, 0]])
    assert here.grid.tolist() == [-1] * 3 and here.track.tolist() == [0] * 3
    assert not here.same_grid.any()


def test_grids_of_two_keys_are_two_grids():
    here = Geometry.of(TokenLayout((cells(1, 2, "front"), cells(1, 2, "back"), features(1, "x"))))
    assert here.grid.tolist() == [0, 0, 1, 1, -1]
    assert here.track.tolist() == [0, 1, 2, 3, 4]
    assert here.same_grid[0, 1] and not here.same_grid[0, 2] and not here.same_grid[4, 4]


def test_what_has_no_step_is_of_the_present():
    here = Geometry.of(SCENES["timed"])
    assert here.has_time.tolist() == [True] * 4 + [False]
    assert here.step_offset.tolist() == [-1, -1, 0, 0, 0]


def test_no_layout_has_no_tokens():
    here = Geometry.of(None)
    assert here.coordinates.shape == (0, 3) and here.grid.shape == here.step_offset.shape == (0,)
    assert describe_tokens(None) == "no tokens of the observation"


def test_kinds_are_called_once():
    layout = TokenLayout((cells(1, 2, "a"), entities(2, "b"), cells(1, 2, "c")))
    assert describe_tokens(layout) == "cells and entities"
