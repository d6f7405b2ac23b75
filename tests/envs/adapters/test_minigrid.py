"""MiniGrid: the cells that the agent sees, and the tiles where they stand."""

import sys
from types import ModuleType

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("minigrid")

from minigrid import wrappers
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX
from minigrid.core.world_object import Ball
from minigrid.envs import DoorKeyEnv

from attention_agents.envs.adapters.minigrid import ViewTokens
from attention_agents.envs.make import make_env
from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.spaces import build_layout, choose_specs

SIDE, TILE = 7, 32
DIRECTIONS = {0: "right", 1: "down", 2: "left", 3: "up"}


def places(env, frame):
    layout = build_layout(choose_specs(env.observation_space))
    return get_token_places(env, layout, frame.shape)


def empty_room(position, direction):
    env = make_env("MiniGrid-Empty-16x16-v0", render_mode="rgb_array")
    env.reset(seed=0)
    env.unwrapped.agent_pos, env.unwrapped.agent_dir = position, direction
    return env


def look(env):
    """Return the observation of the state as it is, through the wrappers."""
    return env.get_wrapper_attr("observation")(env.unwrapped.gen_obs())


@pytest.mark.parametrize("direction", DIRECTIONS, ids=DIRECTIONS.get)
@pytest.mark.parametrize("cell", [(0, 0), (2, 5), (5, 1), (6, 6)])
def test_a_ball_lights_the_tile_of_its_cell(direction, cell):
    env = empty_room((7, 8), direction)
    before = env.render()
    row, col = cell
    spot = next(  # MiniGrid's own arithmetic, the other way round
        (x, y)
        for x in range(16)
        for y in range(16)
        if tuple(env.unwrapped.get_view_coords(x, y)) == (col, row)
    )
    env.unwrapped.put_obj(Ball("purple"), *spot)

    token = row * SIDE + col
    assert look(env)["view"][token, :2].tolist() == [OBJECT_TO_IDX["ball"], COLOR_TO_IDX["purple"]]
    after = env.render()
    x0, y0, x1, y1 = places(env, after).boxes[token].astype(int)
    assert (x1 - x0, y1 - y0) == (TILE, TILE)
    assert (x0, y0) == (spot[0] * TILE, spot[1] * TILE)
    changed = (before != after).any(2)
    assert changed[y0:y1, x0:x1].sum() > TILE * TILE / 4
    changed[y0:y1, x0:x1] = False
    assert not changed.any()


@pytest.mark.parametrize("direction", DIRECTIONS, ids=DIRECTIONS.get)
def test_cells_beyond_the_grid_have_no_place(direction):
    env = empty_room((1, 14), direction)
    frame_places = places(env, env.render())
    on_grid = {
        int(y * SIDE + x)
        for i in range(16)
        for j in range(16)
        for x, y in [env.unwrapped.get_view_coords(i, j)]
        if 0 <= x < SIDE and 0 <= y < SIDE
    }
    assert 0 < len(on_grid) < SIDE * SIDE
    assert set(np.flatnonzero(np.isfinite(frame_places.boxes).all(1))) == on_grid
    assert (frame_places.ids == -1).all()


def test_the_agent_stands_in_the_middle_of_the_last_row():
    env = empty_room((3, 9), 2)
    box = places(env, env.render()).boxes[6 * SIDE + 3]
    assert box.tolist() == [3 * TILE, 9 * TILE, 4 * TILE, 10 * TILE]


def test_the_agents_own_view_can_be_the_frame():
    env = make_env("MiniGrid-Empty-8x8-v0", render_mode="rgb_array", env_kwargs={"agent_pov": True})
    env.reset(seed=0)
    boxes = places(env, env.render()).boxes[:49]
    assert boxes[3 * SIDE + 5].tolist() == [5 * TILE, 3 * TILE, 6 * TILE, 4 * TILE]


def test_asking_for_places_changes_nothing():
    env = make_env("MiniGrid-DoorKey-5x5-v0", render_mode="rgb_array")
    env.reset(seed=5)
    frame = env.render()
    before, random = env.unwrapped.hash(), env.unwrapped.np_random.bit_generator.state
    places(env, frame)
    assert env.unwrapped.hash() == before
    assert env.unwrapped.np_random.bit_generator.state == random


def test_unseen_cells_remain_tokens():
    env = make_env("MiniGrid-DoorKey-5x5-v0")
    obs, _ = env.reset(seed=5)
    assert obs["view"].shape == (49, 3)
    assert (obs["view"][:, 0] == OBJECT_TO_IDX["unseen"]).any()
    cells = env.observation_space["view"].tokens
    assert (cells.rows, cells.cols, cells.categories) == (7, 7, (11, 6, 3))
    assert [len(words) for words in cells.words] == [11, 6, 3] and "key" in cells.words[0]


def test_constant_missions_are_left_out_and_varying_ones_are_words():
    assert list(make_env("MiniGrid-DoorKey-5x5-v0").observation_space.spaces) == [
        "view",
        "direction",
    ]
    env = make_env("MiniGrid-GoToDoor-5x5-v0")
    words = env.get_wrapper_attr("_missions")._words
    for seed in range(4):
        obs, _ = env.reset(seed=seed)
        read = [words.vocabulary[i - 2] for i in obs["mission"][:, 0] if i]
        assert " ".join(read) == env.unwrapped.mission
        assert env.observation_space.contains(obs)


def test_every_babyai_word_is_known():
    env = make_env("BabyAI-BossLevel-v0")
    for seed in range(3):
        obs, _ = env.reset(seed=seed)
        count = len(env.unwrapped.mission.split())
        assert (obs["mission"][:count] > 1).all()
        assert not obs["mission"][count:].any()


def test_a_mission_longer_than_possible_is_refused():
    words = make_env("MiniGrid-GoToDoor-5x5-v0").get_wrapper_attr("_missions")._words
    with pytest.raises(ValueError, match="may have 5 words, got 6"):
        words.encode_mission("go to the very red door")


WRAPPED = {
    "FullyObsWrapper": ({}, (25, 3)),
    "ViewSizeWrapper": ({"agent_view_size": 5}, (25, 3)),
    "RGBImgPartialObsWrapper": ({}, (3, 56, 56)),
    "ImgObsWrapper": ({}, (3, 7, 7)),
}


@pytest.fixture(params=WRAPPED)
def wrapped(request):
    """The id of a DoorKey whose registration names a wrapper, and the shape of what it observes."""
    kwargs, shape = WRAPPED[request.param]
    spec = getattr(wrappers, request.param).wrapper_spec(**kwargs)
    env_id = f"Wrapped{request.param}-v0"
    gym.register(
        env_id,
        entry_point="minigrid.envs:DoorKeyEnv",
        kwargs={"size": 5},
        additional_wrappers=(spec,),
    )
    yield env_id, shape
    gym.registry.pop(env_id)


def test_a_registered_wrapper_decides_what_is_observed(wrapped):
    env_id, shape = wrapped
    env = make_env(env_id, render_mode="rgb_array")
    for seed in range(20):
        obs, _ = env.reset(seed=seed)
        assert env.observation_space.contains(obs)
    parts = obs if isinstance(obs, dict) else {"view": obs}
    assert parts.get("view", parts.get("image")).shape == shape
    assert "mission" not in parts


def test_a_cell_of_a_fully_observed_grid_stands_at_its_tile():
    env = make_env("MiniGrid-DoorKey-5x5-v0", render_mode="rgb_array")
    env = ViewTokens(wrappers.FullyObsWrapper(env.unwrapped))
    obs, _ = env.reset(seed=0)
    x, y = env.unwrapped.agent_pos
    agent = int(np.flatnonzero(obs["view"][:, 0] == OBJECT_TO_IDX["agent"])[0])
    assert agent == 5 * y + x and obs["view"][agent, 2] == env.unwrapped.agent_dir
    boxes = places(env, env.render()).boxes
    assert boxes[agent].tolist() == [TILE * x, TILE * y, TILE * (x + 1), TILE * (y + 1)]


def test_an_environment_of_ones_own_is_known_by_its_class(monkeypatch):
    module = ModuleType("own_grid")
    module.Mine = type("Mine", (DoorKeyEnv,), {})
    monkeypatch.setitem(sys.modules, "own_grid", module)
    gym.register("OwnGrid-v0", entry_point="own_grid:Mine")
    try:
        assert list(make_env("OwnGrid-v0").observation_space) == ["view", "direction"]
    finally:
        gym.registry.pop("OwnGrid-v0")
