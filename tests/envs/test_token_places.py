"""Places are asked of the environment, and never guessed."""

import numpy as np
import pytest

from attention_agents.envs.make import make_env
from attention_agents.envs.token_places import PicturePlaces, get_token_places
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from tests.envs.worlds import Counter

LAYOUT = TokenLayout(
    (
        TokenGroup("features", ("speed", "height")),
        TokenGroup(
            "patches",
            ("left", "right"),
            grid=(1, 2),
            boxes=((0.0, 0.0, 3.0, 5.0), (4.0, 0.0, 7.0, 5.0)),
            picture=(5, 7),
        ),
    )
)


def test_an_environment_that_does_not_say_has_no_places():
    frame_places = get_token_places(make_env("CartPole-v1"), LAYOUT, (400, 600, 3))
    assert np.isnan(frame_places.boxes).all()
    assert frame_places.ids.tolist() == [-1] * 4


def test_a_picture_is_scaled_to_its_frame_group_by_group():
    env = PicturePlaces(Counter((1,)), (5, 7))
    frame_places = get_token_places(env, LAYOUT, (50, 21, 3))
    assert np.isnan(frame_places.boxes[:2]).all()
    assert frame_places.boxes[2:].tolist() == [[0, 0, 9, 50], [12, 0, 21, 50]]
    assert frame_places.boxes.dtype == np.float32


def test_a_picture_of_another_size_has_no_places():
    env = PicturePlaces(Counter((1,)), (5, 8))
    assert np.isnan(get_token_places(env, LAYOUT, (50, 21, 3)).boxes).all()


def test_the_outermost_answer_counts_and_must_fit():
    env = PicturePlaces(Counter((1,)), (5, 7))
    env.token_places = lambda layout, frame_shape: TokenPlaces.unknown(3)
    with pytest.raises(ValueError, match=r"boxes of shape \(4, 4\) .* got \(3, 4\) and \(3,\)"):
        get_token_places(env, LAYOUT, (50, 21, 3))
