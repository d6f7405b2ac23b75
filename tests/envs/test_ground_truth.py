"""What matters in the present state, where a world knows: found by its rules alone."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from attention_agents.envs.ground_truth import ground_truth_tokens
from attention_agents.envs.make import make_env
from attention_agents.envs.tokens.spaces import build_layout, choose_specs

LEFT, RIGHT, FORWARD, PICKUP, TOGGLE = 0, 1, 2, 3, 5


def known(env):
    return ground_truth_tokens(env, build_layout(choose_specs(env.observation_space)))


def names(env):
    layout, row = build_layout(choose_specs(env.observation_space)), known(env)
    return None if row is None else [layout.names[i] for i in np.flatnonzero(row)]


def test_a_world_of_another_family_does_not_know():
    env = make_env("CartPole-v1")
    env.reset(seed=0)
    assert known(env) is None


def doorkey(history=0):
    """A corridor of one row: agent, key, locked door, goal, in a line."""
    from minigrid.core.grid import Grid
    from minigrid.core.world_object import Door, Goal, Key

    env = make_env("MiniGrid-DoorKey-5x5-v0", history=history)
    env.reset(seed=0)
    world = env.unwrapped
    world.grid = Grid(8, 3)
    world.width, world.height = 8, 3
    world.grid.wall_rect(0, 0, 8, 3)
    world.grid.set(3, 1, Key("yellow"))
    world.grid.set(4, 1, Door("yellow", is_locked=True))
    world.grid.set(6, 1, Goal())
    world.agent_pos, world.agent_dir = (1, 1), 0
    return env


@pytest.mark.parametrize("history", [0, 2])
def test_minigrid_key_then_door_then_goal(history):
    env = doorkey(history)
    world = env.unwrapped
    assert names(env) == ["row 4 col 3"]  # two cells ahead of the last row, in the middle
    env.step(FORWARD)
    assert names(env) == ["row 5 col 3"]
    env.step(PICKUP)
    assert world.carrying.type == "key"
    assert names(env) == ["row 4 col 3"]  # the door
    env.step(FORWARD)
    env.step(TOGGLE)
    assert names(env) == ["row 3 col 3"]  # the goal, through the open door
    env.step(RIGHT)
    assert names(env) == ["row 6 col 0"]  # at its left hand
    env.step(RIGHT)
    assert names(env) == []  # behind it
    world.grid.set(2, 1, world.grid.get(6, 1))
    assert names(env) is None  # two goals


def test_what_a_wall_hides_is_not_in_sight():
    env = doorkey()
    world = env.unwrapped
    world.carrying, world.grid.grid[8 + 3] = world.grid.get(3, 1), None
    world.agent_pos = (3, 1)
    env.step(TOGGLE)
    assert names(env) == ["row 3 col 3"]
    env.step(TOGGLE)  # shut again
    assert names(env) == ["row 5 col 3"]


def test_asking_moves_no_random_stream():
    env = make_env("MiniGrid-DoorKey-5x5-v0")
    env.reset(seed=0)
    before = env.unwrapped.np_random.bit_generator.state
    known(env)
    assert env.unwrapped.np_random.bit_generator.state == before


def test_the_cue_and_the_ripest_fruit():
    env = make_env("attention/CueRecall-v0", history=5, env_kwargs={"length": 3})
    env.reset(seed=0)
    names_over_time = [names(env)]
    for _ in range(3):
        env.step(0)
        names_over_time.append(names(env))
    assert names_over_time == [[], [], [], ["-3 steps"]]
    short = make_env("attention/CueRecall-v0", history=3, env_kwargs={"length": 3})
    short.reset(seed=0)
    for _ in range(3):
        short.step(0)
    assert names(short) == []  # the window has lost it
    env = make_env("attention/Collect-v0")
    _, info = env.reset(seed=3)
    while info["target"] >= 0:
        assert names(env) == [f"stand {info['target']}"]
        *_, info = env.step(info["target"])
    assert names(env) == []


def highway(speeds, places, render_mode="rgb_array"):
    """The agent at x=0 in lane 1 at 25 m/s, and others at (x, lane)."""
    env = make_env("highway-fast-v0", render_mode=render_mode)
    env.reset(seed=0)
    world = env.unwrapped
    own, road = world.vehicle, world.road
    others = [vehicle for vehicle in road.vehicles if vehicle is not own][: len(places)]
    for vehicle, (x, lane), speed in zip(
        (own, *others), ((0, 1), *places), (25, *speeds), strict=True
    ):
        vehicle.lane_index = vehicle.target_lane_index = ("0", "1", lane)
        vehicle.lane = road.network.get_lane(vehicle.lane_index)
        vehicle.position = np.array(vehicle.lane.position(100.0 + x, 0))
        vehicle.heading, vehicle.speed = 0.0, float(speed)
    road.vehicles = [own, *others]
    if render_mode is not None:
        world.observation_type.observe()  # notes whom it sees
    return env


def test_highway_the_first_to_be_hit():
    env = highway([20, 10, 5, 5], [(40, 1), (60, 1), (20, 2), (-30, 1)])
    near = [
        vehicle.position[0] - env.unwrapped.vehicle.position[0]
        for vehicle in env.get_wrapper_attr("observed_vehicles")
    ]
    row = known(env)
    assert row is not None and row.sum() == 1
    assert near[row.argmax()] == pytest.approx(60)  # 55 m at 15 m/s come before 35 m at 5 m/s
    away = highway([30, 10], [(40, 1), (60, 0)])
    assert not known(away).any()
    assert known(highway([20], [(40, 1)], render_mode=None)) is None


def test_gymnasiums_own_registry_is_enough():
    env = gym.make("CartPole-v1")
    assert ground_truth_tokens(env, build_layout(choose_specs(env.observation_space))) is None
