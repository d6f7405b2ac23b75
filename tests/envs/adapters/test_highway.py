"""highway-env: which vehicle each row is, and where the viewer draws it."""

from unittest.mock import Mock

import numpy as np
import pytest

pytest.importorskip("highway_env")

from attention_agents.envs.make import make_env
from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.spaces import build_layout, choose_specs
from attention_agents.envs.tokens.specs import Entities

IDS = ("highway-fast-v0", "intersection-v2", "merge-v1", "roundabout-v1", "exit-v1")


def places(env, frame):
    return get_token_places(env, build_layout(choose_specs(env.observation_space)), frame.shape)


def started(env_id, seed=3, steps=2, **kwargs):
    env = make_env(env_id, render_mode="rgb_array", **kwargs)
    obs, _ = env.reset(seed=seed)
    for _ in range(steps):
        obs, *_ = env.step(1)
    return env, obs


def column(env, name):
    return env.unwrapped.observation_type.features.index(name)


@pytest.mark.parametrize("env_id", IDS)
def test_each_row_is_the_vehicle_that_was_observed(env_id):
    env, obs = started(env_id, steps=0)
    for _ in range(4):
        kind, observed_vehicles = (
            env.unwrapped.observation_type,
            env.get_wrapper_attr("observed_vehicles"),
        )
        assert observed_vehicles[0] is env.unwrapped.vehicle
        assert int(obs[:, column(env, "presence")].sum()) == len(observed_vehicles)
        low, high = kind.features_range["vx"]
        origin = 0 if kind.absolute else observed_vehicles[0].velocity[0]
        for row, vehicle in enumerate(observed_vehicles):
            speed = vehicle.velocity[0] - (origin if row else 0)
            expected = np.clip(np.interp(speed, (low, high), (-1, 1)), -1, 1)
            assert obs[row, column(env, "vx")] == pytest.approx(expected, abs=1e-5)
        obs, _, terminated, truncated, _ = env.step(1)
        if terminated or truncated:
            obs, _ = env.reset()


@pytest.mark.parametrize("env_id", IDS)
def test_a_box_covers_exactly_the_drawn_vehicle(env_id):
    env, _ = started(env_id)
    frame = env.render()
    frame_places = places(env, frame)
    road = env.unwrapped.road
    tested = 0
    for row, vehicle in enumerate(env.get_wrapper_attr("observed_vehicles")):
        if not np.isfinite(frame_places.boxes[row]).all():
            continue
        everyone = list(road.vehicles)
        road.vehicles = [v for v in everyone if v is not vehicle]
        changed = (env.render() != frame).any(2)
        road.vehicles = everyone
        lit = np.argwhere(changed)
        drawn = np.array([*lit.min(0)[::-1], *(lit.max(0)[::-1] + 1)])
        turned = abs(vehicle.heading) > np.deg2rad(2)
        # The edge of a turned rectangle falls between pixels.
        np.testing.assert_allclose(frame_places.boxes[row], drawn, atol=1 if turned else 0)
        tested += 1
    assert tested >= 1


def test_identities_stay_with_vehicles():
    env, _ = started("highway-fast-v0", steps=0)
    name_of = {}
    rows_of = {}
    for _ in range(12):
        ids = places(env, env.render()).ids
        for row, vehicle in enumerate(env.get_wrapper_attr("observed_vehicles")):
            assert name_of.setdefault(vehicle, ids[row]) == ids[row]
            rows_of.setdefault(vehicle, set()).add(row)
        assert ids[0] == 0
        _, _, terminated, truncated, _ = env.step(3)
        if terminated or truncated:
            break
    assert len(set(name_of.values())) == len(name_of)
    assert any(len(rows) > 1 for rows in rows_of.values())  # rows did change hands


def test_vehicles_off_the_frame_have_an_identity_but_no_box():
    env, _ = started("highway-fast-v0", steps=0)
    frame = env.render()
    env.get_wrapper_attr("observed_vehicles")[1].position += (1000.0, 0.0)
    frame_places = places(env, frame)
    assert np.isnan(frame_places.boxes[1]).all()
    assert frame_places.ids[1] > 0


def test_places_before_any_frame_are_unknown():
    env, _ = started("highway-fast-v0", steps=0)
    frame_places = places(env, np.zeros((150, 600, 3), np.uint8))
    assert np.isnan(frame_places.boxes).all()
    assert frame_places.ids[0] == 0


def test_training_asks_for_the_neighbours_once_an_observation(monkeypatch):
    def asked(env):
        env.reset(seed=0)
        ask = Mock(wraps=env.unwrapped.road.close_objects_to)
        monkeypatch.setattr(env.unwrapped.road, "close_objects_to", ask)
        env.step(1)
        return ask.call_count

    assert asked(make_env("highway-fast-v0")) == 1
    assert asked(make_env("highway-fast-v0", render_mode="rgb_array")) == 2


@pytest.mark.parametrize("env_id", ["highway-fast-v0", "intersection-v2"])
def test_rendering_and_asking_for_places_change_nothing(env_id):
    def trajectory(watched):
        env = make_env(env_id, render_mode="rgb_array" if watched else None)
        observed_vehicles = [env.reset(seed=7)[0]]
        for _ in range(5):
            if watched:
                places(env, env.render())
            obs, reward, terminated, truncated, _ = env.step(1)
            observed_vehicles.append(np.append(obs.ravel(), reward))
            if terminated or truncated:
                break
        return np.concatenate([np.ravel(x) for x in observed_vehicles])

    np.testing.assert_array_equal(trajectory(True), trajectory(False))


def test_frames_are_drawn_with_sdls_dummy_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env, _ = started("highway-fast-v0", steps=0)
    assert env.render().std() > 1


def test_the_space_says_what_the_columns_are():
    tokens = make_env("highway-fast-v0").observation_space.tokens
    assert tokens == Entities(5, ("presence", "x", "y", "vx", "vy"), 0, 0, "vehicle", (1, 2))


def test_vehicles_without_both_coordinates_have_no_position():
    config = {"observation": {"type": "Kinematics", "features": ["presence", "vx", "y"]}}
    tokens = make_env("highway-fast-v0", env_kwargs={"config": config}).observation_space.tokens
    assert tokens.position is None


def test_shuffled_rows_are_refused():
    config = {"observation": {"type": "Kinematics", "order": "shuffled"}}
    with pytest.raises(ValueError, match='got order="shuffled"; use order="sorted"'):
        make_env("highway-fast-v0", env_kwargs={"config": config})


def test_other_observations_are_plain_arrays():
    env = make_env(
        "highway-fast-v0", env_kwargs={"config": {"observation": {"type": "OccupancyGrid"}}}
    )
    obs, _ = env.reset(seed=0)
    assert obs.shape == (4, 11, 11)
    assert choose_specs(env.observation_space)[""].height == 11
