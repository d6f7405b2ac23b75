"""The last pictures, grids and scenes of an episode, as Stable-Baselines3 takes them."""

import copy
import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.preprocessing import preprocess_obs

from attention_agents.envs.make import make_env
from attention_agents.envs.token_places import PicturePlaces, get_token_places
from attention_agents.envs.tokens.layout import Conv, TokenLayout, TokenPlaces
from attention_agents.envs.tokens.spaces import TokenBox, build_layout, choose_specs
from attention_agents.envs.tokens.specs import Cells, Entities, Frames, Patches
from attention_agents.envs.wrappers.flat_history import History
from attention_agents.envs.wrappers.frame_history import FrameHistory
from tests.envs.worlds import Counter, Sampler

T = 3
STEM = (Conv(5, 2, 2),)

VIEW = TokenBox(
    np.zeros((10, 2), np.uint8),
    np.tile(np.array([10, 5], np.uint8), (10, 1)),
    (10, 2),
    np.uint8,
    tokens=Cells(2, 5, (11, 6)),
)
WORDS = TokenBox(0, 6, (7, 1), np.int16, tokens=Cells(1, 7, (7,)))
PARTS = {
    "categories": VIEW,
    "categories of any byte": TokenBox(0, 255, (10, 2), np.uint8, tokens=Cells(2, 5, (256, 256))),
    "planes": TokenBox(0, 1, (2, 5, 3), np.uint8, tokens=Cells(2, 5, channels=3)),
    "numbers": TokenBox(-2, 3, (2, 5, 3), tokens=Cells(2, 5, channels=3)),
    "patches": TokenBox(0, 1, (4, 6, 2), np.uint8, tokens=Patches(4, 6, 2, STEM, False)),
    "bytes": TokenBox(0, 255, (3, 4, 6), np.uint8, tokens=Patches(4, 6, 3, STEM)),
    "plain picture": spaces.Box(0, 255, (3, 36, 24), np.uint8),
    "entities": TokenBox(-2, 3, (5, 3), tokens=Entities(5, ("presence", "x", "y"), 0, ego=1)),
    "plain table": spaces.Box(-2, 3, (5, 3)),
}


class Painter(Counter):
    """Counter whose observation is a picture of 100 * episode + step."""

    observation_space = spaces.Box(-np.inf, np.inf, (2, 5, 3))

    def observe(self):
        return np.full((2, 5, 3), 100 * self.episode + self.steps, np.float32)


def test_windows_are_the_frames_of_this_episode_only():
    lengths = (2, 5, 1)
    env = FrameHistory(Painter(lengths), steps=T)
    for episode, length in enumerate(lengths):
        past = []
        window, _ = env.reset(seed=0)
        for step in range(length + 1):
            past.append([1.0] + [100.0 * (episode + 1) + step] * 30)
            expected = np.array(([[0.0] * 31] * T + past)[-T:], np.float32)
            np.testing.assert_array_equal(window, expected)
            assert env.observation_space.contains(window)
            if step < length:
                window, _, terminated, _, _ = env.step(0)
        assert terminated


def test_a_window_that_is_kept_does_not_change():
    env = FrameHistory(Painter((9,)), steps=T)
    first_obs, _ = env.reset(seed=0)
    copy = first_obs.copy()
    for _ in range(4):
        env.step(0)
    np.testing.assert_array_equal(first_obs, copy)


@pytest.mark.parametrize("name", PARTS)
def test_stable_baselines_changes_no_number_of_a_window(name):
    env = FrameHistory(Sampler(PARTS[name]), steps=T)
    check_env(env, warn=False)
    obs, _ = env.reset(seed=0)
    obs = env.step(0)[0]
    assert obs.dtype == PARTS[name].dtype
    model = PPO("MlpPolicy", env, n_steps=2, batch_size=2, device="cpu")
    assert isinstance(model.observation_space, TokenBox)
    tensor, _ = model.policy.obs_to_tensor(obs)
    observed = preprocess_obs(tensor, model.observation_space)
    np.testing.assert_array_equal(observed[0].numpy(), obs.astype(np.float32))


@pytest.mark.parametrize("name", PARTS)
def test_a_row_is_the_frame_as_the_environment_gave_it(name):
    inner = Sampler(copy.deepcopy(PARTS[name]))
    observed = []
    sample = inner.observation_space.sample
    inner.observation_space.sample = lambda: observed.append(sample()) or observed[-1]
    env = FrameHistory(inner, steps=T)
    env.reset(seed=0)
    env.step(0)
    window = env.step(0)[0]
    shape = env.observation_space.tokens.part.shape
    for row, frame in zip(window, observed[-T:], strict=True):
        np.testing.assert_array_equal(row[1:].reshape(shape), frame)


@pytest.mark.parametrize("name", PARTS)
def test_pictures_of_bytes_are_known_as_such(name):
    tokens = FrameHistory(Sampler(PARTS[name]), T).observation_space.tokens
    assert tokens.of_bytes == (name in ("bytes", "plain picture"))


def test_a_file_holds_one_number_for_the_bounds_of_a_picture():
    space = FrameHistory(Sampler(PARTS["bytes"]), T).observation_space
    assert (space.low == 0).all() and (space.high == 255).all()


def test_a_dict_frames_pictures_grids_and_tables_and_keeps_all_else():
    cars = TokenBox(0, 1, (3, 2), tokens=Entities(3, ("presence", "x"), 0))
    space = spaces.Dict(
        [
            ("view", VIEW),
            ("gear", spaces.Discrete(4)),
            ("cars", cars),
            ("words", WORDS),
            ("camera", PARTS["bytes"]),
        ]
    )
    env = FrameHistory(Sampler(space), steps=T)
    check_env(env, warn=False)
    members = env.observation_space.spaces
    assert list(members) == ["view", "gear", "cars", "words", "camera"]
    assert members["view"].tokens == Frames(T, VIEW.tokens)
    assert members["camera"].tokens == Frames(T, PARTS["bytes"].tokens, of_bytes=True)
    assert members["cars"].tokens == Frames(T, cars.tokens)
    assert [members[key] for key in ("gear", "words")] == [spaces.Discrete(4), WORDS]
    env.reset(seed=0)
    obs = env.step(1)[0]
    assert env.observation_space.contains(obs)
    assert obs["view"][:, 0].tolist() == obs["camera"][:, 0].tolist() == [0, 1, 1]


def test_the_layout_of_frames_survives_a_file():
    layout = build_layout(
        {"view": Frames(T, VIEW.tokens), "camera": Frames(2, PARTS["bytes"].tokens)}
    )
    assert TokenLayout.from_json(json.loads(json.dumps(layout.to_json()))) == layout


def test_only_the_present_frame_stands_on_the_rendered_one():
    inner = PicturePlaces(Sampler(PARTS["patches"]), (4, 6))
    env = FrameHistory(inner, steps=T)
    layout = build_layout(choose_specs(env.observation_space))
    frame_places = get_token_places(env, layout, (40, 60, 3))
    here = np.isfinite(frame_places.boxes).all(1)
    assert here.tolist() == [False] * 12 + [True] * 6
    assert frame_places.boxes[-1].tolist() == [40, 20, 60, 40]


@pytest.mark.parametrize(
    ("space", "history"),
    [
        (PARTS["bytes"], FrameHistory),
        (VIEW, FrameHistory),
        (spaces.Box(0, 255, (40, 36), np.uint8), FrameHistory),
        (spaces.Dict(a=VIEW, b=spaces.Discrete(3)), FrameHistory),
        (spaces.Box(-1, 1, (4,)), History),
        (spaces.Box(-1, 1, (4, 3)), FrameHistory),
        (PARTS["entities"], FrameHistory),
        (spaces.Sequence(spaces.Box(-1, 1, (2,))), FrameHistory),
        (spaces.Discrete(3), History),
        (spaces.Dict(a=WORDS, b=spaces.Box(-1, 1, (3,))), History),
    ],
)
def test_make_env_frames_all_but_vectors_and_flattens_those(space, history):
    gym.register("Sampler-v0", lambda **_: Sampler(space))
    try:
        env = make_env("Sampler-v0", history=T)
    finally:
        gym.registry.pop("Sampler-v0")
    assert type(env) is history
    assert env.observation_space.contains(env.reset(seed=0)[0])


def test_minigrid_keeps_its_direction_and_places():
    pytest.importorskip("minigrid")
    env = make_env("MiniGrid-DoorKey-5x5-v0", render_mode="rgb_array", history=T)
    now = make_env("MiniGrid-DoorKey-5x5-v0", render_mode="rgb_array")
    obs, one = env.reset(seed=3)[0], now.reset(seed=3)[0]
    np.testing.assert_array_equal(obs["view"][-1, 1:].reshape(49, 3), one["view"])
    assert obs["direction"] == one["direction"]
    layouts = [build_layout(choose_specs(world.observation_space)) for world in (env, now)]
    assert len(layouts[0]) == T * 49 + 1
    framed, alone = (
        get_token_places(world, layout, (160, 160, 3)).boxes
        for world, layout in zip((env, now), layouts, strict=True)
    )
    assert np.isnan(framed[: (T - 1) * 49]).all()
    np.testing.assert_array_equal(framed[(T - 1) * 49 :], alone)


class Walkers(Sampler):
    """Three places, of which the walker of that number has each in turn: 7 walks at the left."""

    def __init__(self):
        super().__init__(PARTS["entities"])
        self.first = 7

    def step(self, action):
        self.first += 1
        return super().step(action)

    def token_places(self, layout, frame_shape):
        places = TokenPlaces.unknown(len(layout))
        places.ids[:] = self.first + np.arange(len(layout))
        places.boxes[:] = 1
        return places


def test_entities_of_the_past_keep_who_they_were():
    env = FrameHistory(Walkers(), steps=T)
    layout = build_layout(choose_specs(env.observation_space))
    assert [group.ego for group in layout.groups] == [None, None, 1]
    assert get_token_places(env, layout, (9, 9, 3)).ids[:10].tolist() == [-1] * 10
    env.reset(seed=0)
    for first in range(7, 13):
        places = get_token_places(env, layout, (9, 9, 3))
        known_ids = [then >= 7 for then in (first - 2, first - 1, first)]
        assert (
            places.ids.reshape(T, 5)[:, 0] == np.where(known_ids, first + np.arange(-2, 1), -1)
        ).all()
        assert np.isfinite(places.boxes).all(1).tolist() == [False] * 10 + [True] * 5
        env.step(0)
    env.step(0)  # nobody asked who was there
    assert get_token_places(env, layout, (9, 9, 3)).ids.reshape(T, 5)[:, 0].tolist() == [12, -1, 14]
    env.reset(seed=0)
    assert (get_token_places(env, layout, (9, 9, 3)).ids[:10] == -1).all()


class Crowd(Sampler):
    """Four walkers and five birds, of other numbers, beside a direction."""

    def __init__(self):
        walkers = TokenBox(0, 1, (4, 2), tokens=Entities(4, ("presence", "x"), 0))
        birds = TokenBox(0, 1, (5, 2), tokens=Entities(5, ("presence", "x"), 0))
        direction = spaces.Discrete(4)
        super().__init__(spaces.Dict([("w", walkers), ("turn", direction), ("birds", birds)]))
        self.time = 0

    def step(self, action):
        self.time += 1
        return super().step(action)

    def token_places(self, layout, frame_shape):
        places = TokenPlaces.unknown(len(layout))
        for group, span in zip(layout.groups, layout.slices, strict=True):
            first = {"w": 100, "birds": 200}.get(group.key)
            if first is not None:
                places.ids[span] = first + 10 * self.time + np.arange(len(group))
                places.boxes[span] = first
        return places


def test_each_table_keeps_its_own_identities():
    env = FrameHistory(Crowd(), steps=2)
    layout = build_layout(choose_specs(env.observation_space))
    env.reset(seed=0)
    get_token_places(env, layout, (9, 9, 3))
    env.step(0)
    places = get_token_places(env, layout, (9, 9, 3))
    places_by_age = {
        (group.key, group.offsets and group.offsets[0]): (places.ids[span], places.boxes[span])
        for group, span in zip(layout.groups, layout.slices, strict=True)
    }
    assert {key: ids.tolist() for key, (ids, _) in places_by_age.items()} == {
        ("w", -1): [100, 101, 102, 103],
        ("w", 0): [110, 111, 112, 113],
        ("turn", None): [-1],
        ("birds", -1): [200, 201, 202, 203, 204],
        ("birds", 0): [210, 211, 212, 213, 214],
    }
    boxes = {
        key: np.unique(boxes).tolist() for key, (_, boxes) in places_by_age.items() if key[1] == 0
    }
    assert boxes == {("w", 0): [100], ("birds", 0): [200]}
    assert (
        np.isnan(places_by_age["w", -1][1]).all() and np.isnan(places_by_age["birds", -1][1]).all()
    )


@pytest.mark.parametrize("outer", [FrameHistory, History])
@pytest.mark.parametrize(("inner", "space"), [(FrameHistory, VIEW), (History, WORDS)])
def test_a_history_of_a_history_is_refused(inner, space, outer):
    once = inner(Sampler(space), 3)
    with pytest.raises(ValueError, match="is a history of 3 steps already; ask for more steps"):
        outer(once, 2)


@pytest.mark.parametrize(
    ("space", "steps", "message"),
    [
        (VIEW, 0, "a history needs 1 to 1024 steps, got 0"),
        (VIEW, 1025, "a history needs 1 to 1024 steps, got 1025"),
        (VIEW, "3", "a history needs 1 to 1024 steps, got '3'"),
        (VIEW, True, "a history needs 1 to 1024 steps, got True"),
        (spaces.Box(-1, 1, (4,)), 3, "needs a picture, a grid or entities in the .*, got Box"),
        (spaces.Dict(a=WORDS), 3, "for vectors, use History"),
    ],
)
def test_what_has_no_frames_is_refused(space, steps, message):
    with pytest.raises(ValueError, match=message):
        FrameHistory(Sampler(space), steps)
