"""Atari, MinAtar and CarRacing: what is lit in the picture is lit at the same spot of the frame."""

import numpy as np
import pytest

from attention_agents.envs.make import make_env
from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.spaces import build_layout, choose_specs
from attention_agents.recording.observation_images import observation_image


def lit_box(changed):
    """Return the (4,) box around the pixels that are True."""
    rows, cols = np.nonzero(changed)
    return np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1])


def places(env, frame):
    layout = build_layout(choose_specs(env.observation_space))
    return layout.groups[0], get_token_places(env, layout, frame.shape)


@pytest.mark.parametrize("token", [0, 10, 24, 48])
def test_atari_patch_on_the_raw_frame(token):
    pytest.importorskip("ale_py")
    from gymnasium.wrappers import AtariPreprocessing

    env = make_env("ALE/Pong-v5", render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert frame.shape == (210, 160, 3)
    group, frame_places = places(env, frame)
    assert group.grid == (7, 7)

    # Paint the console's screen where the token says that it stands, and look what is observed.
    x0, y0, x1, y1 = frame_places.boxes[token]
    inner = env
    while not isinstance(inner, AtariPreprocessing):
        inner = inner.env
    for screen in inner.obs_buffer:
        screen[:] = 0
        screen[round(y0) : round(y1), round(x0) : round(x1)] = 255
    lit = lit_box(inner._get_obs() > 127)
    np.testing.assert_allclose(lit, group.boxes[token], atol=1)


def test_minatar_patch_covers_exactly_its_cells():
    pytest.importorskip("minatar")
    env = make_env("MinAtar/Breakout-v1", render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert frame.shape == (320, 320, 3)
    assert frame.dtype == np.uint8
    env.unwrapped.game.env.brick_map[7, 4] = 1
    changed = (env.render() != frame).any(2)
    assert lit_box(changed).tolist() == [4 * 32, 7 * 32, 5 * 32, 8 * 32]
    assert changed.sum() == 32 * 32

    group, frame_places = places(env, frame)
    reads_cell = [x0 <= 4 < x1 and y0 <= 7 < y1 for x0, y0, x1, y1 in group.boxes]
    covers_tile = [
        x0 <= 4 * 32 and x1 >= 5 * 32 and y0 <= 7 * 32 and y1 >= 8 * 32
        for x0, y0, x1, y1 in frame_places.boxes
    ]
    assert any(reads_cell)
    assert reads_cell == covers_tile
    np.testing.assert_array_equal(frame_places.boxes, np.array(group.boxes) * 32)


def test_carracing_patches_hold_the_car_in_the_picture_and_on_the_frame():
    pytest.importorskip("Box2D")
    env = make_env("CarRacing-v3", render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(60):
        env.step(np.array([0.0, 0.1, 0.0], np.float32))
    world = env.unwrapped
    picture, frame = world._render("state_pixels"), env.render()
    assert (picture.shape, frame.shape) == ((96, 96, 3), (400, 600, 3))
    world.car.hull.color = (0, 0, 1)
    change = np.abs(world._render("state_pixels").astype(int) - picture).max(2)
    lit_seen, lit_frame = lit_box(change > 40), lit_box((env.render() != frame).any(2))
    on_frame = lit_seen * (600 / 96, 400 / 96, 600 / 96, 400 / 96)
    np.testing.assert_allclose(on_frame, lit_frame, atol=600 / 96)

    def holding(boxes, lit):
        x, y = (lit[:2] + lit[2:]) / 2
        return [i for i, (x0, y0, x1, y1) in enumerate(boxes) if x0 <= x < x1 and y0 <= y < y1]

    group, frame_places = places(env, frame)
    assert 0 < len(holding(group.boxes, lit_seen)) < len(group)
    assert holding(group.boxes, lit_seen) == holding(frame_places.boxes, lit_frame)


def test_carracing_observes_what_the_car_sees_with_its_colours_first():
    pytest.importorskip("Box2D")
    env = make_env("CarRacing-v3")
    obs, _ = env.reset(seed=0)
    assert (obs.shape, obs.dtype) == ((3, 96, 96), np.uint8)
    np.testing.assert_array_equal(obs[1], env.unwrapped.state[:, :, 1])
    drawn = observation_image(places(env, np.zeros((400, 600, 3)))[0], obs)
    np.testing.assert_array_equal(drawn, env.unwrapped.state)


def test_other_tokens_than_the_pictures_have_no_place():
    pytest.importorskip("minatar")
    from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout

    env = make_env("MinAtar/Breakout-v1", render_mode="rgb_array")
    env.reset(seed=0)
    layout = TokenLayout((TokenGroup("features", ("speed", "height")),))
    assert np.isnan(get_token_places(env, layout, env.render().shape).boxes).all()


def test_minatar_planes_are_zeros_and_ones():
    pytest.importorskip("minatar")
    env = make_env("MinAtar/Seaquest-v1")
    obs, _ = env.reset(seed=0)
    assert (obs.shape, obs.dtype) == ((10, 10, 10), np.uint8)
    assert set(np.unique(obs)) == {0, 1}


class TestAtariTraining:
    """The signals that an Atari agent trains on, and those that it is judged by."""

    @pytest.fixture(autouse=True)
    def _needs_ale(self):
        pytest.importorskip("ale_py")

    def play(self, env, steps):
        env.reset(seed=1)
        rng = np.random.default_rng(1)
        for _ in range(steps):
            yield env.step(int(rng.integers(env.action_space.n)))

    def test_rewards_are_clipped_only_in_training(self):
        rewards = {
            training: [r for _, r, *_ in self.play(env, 300)]
            for training in (True, False)
            for env in [make_env("ALE/SpaceInvaders-v5", training=training)]
        }
        assert max(rewards[False]) > 1
        assert set(rewards[True]) == {0.0, 1.0}

    def test_an_episode_per_life_and_a_game_per_seed(self):
        env = make_env("ALE/Breakout-v5", training=True)
        lives = env.unwrapped.ale.lives
        for _, _, terminated, _, _ in self.play(env, 400):
            if terminated:
                break
        assert lives() == 4
        env.reset()
        assert lives() == 4  # the game goes on
        env.reset(seed=1)
        assert lives() == 5

    def test_a_judged_episode_is_the_whole_game(self):
        env = make_env("ALE/Breakout-v5")
        for _, _, terminated, _, _ in self.play(env, 1000):
            if terminated:
                break
        assert terminated
        assert env.unwrapped.ale.lives() == 0
