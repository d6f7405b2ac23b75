"""Any space, brought into the form that Stable-Baselines3 takes."""

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env

from attention_agents.envs.tokens.layout import Conv
from attention_agents.envs.tokens.spaces import TokenBox, choose_specs
from attention_agents.envs.tokens.specs import Cells, Features, Patches
from attention_agents.envs.wrappers.plain_spaces import (
    NamedFeatures,
    PlainObservation,
    plain_actions,
    plain_observations,
)
from tests.envs.worlds import Sampler

BOX = spaces.Box(-1, 1, (3,))

SPACES = {
    "box": BOX,
    "double": spaces.Box(-1.0, 1.0, (3,), np.float64),
    "scalar": spaces.Box(-1, 1, ()),
    "flags": spaces.Box(0, 1, (2, 3), bool),
    "picture": spaces.Box(0, 255, (3, 36, 36), np.uint8),
    "picture, channels last": spaces.Box(0, 255, (36, 36, 3), np.uint8),
    "picture without channels": spaces.Box(0, 255, (40, 36), np.uint8),
    "discrete": spaces.Discrete(5),
    "discrete from 3": spaces.Discrete(5, start=3),
    "multi discrete": spaces.MultiDiscrete([2, 3, 5]),
    "multi discrete table": spaces.MultiDiscrete([[2, 3], [5, 7]]),
    "multi discrete from": spaces.MultiDiscrete([2, 3], start=[1, -1]),
    "multi binary": spaces.MultiBinary(4),
    "multi binary table": spaces.MultiBinary([2, 3]),
    "dict": spaces.Dict(speed=BOX, gear=spaces.Discrete(5)),
    "nested": spaces.Dict(
        arm=spaces.Dict(joint=BOX, grip=spaces.Discrete(2, start=1)), time=spaces.Box(0, 1, ())
    ),
    "tuple": spaces.Tuple((spaces.Discrete(3), BOX, spaces.Tuple((spaces.MultiBinary(2),)))),
    "dotted": spaces.Dict({"arm.joint": BOX}),
}


@pytest.mark.parametrize("name", SPACES)
def test_stable_baselines_takes_it_and_tokens_fit(name):
    env = plain_observations(Sampler(SPACES[name]))
    check_env(env, warn=False)
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert choose_specs(env.observation_space)


@pytest.mark.parametrize("name", ["box", "picture", "discrete", "multi binary", "dict"])
def test_supported_spaces_are_not_wrapped(name):
    env = Sampler(SPACES[name])
    assert plain_observations(env) is env


def test_parts_keep_their_values_under_their_path():
    inner = Sampler(SPACES["nested"])
    env = PlainObservation(inner)
    obs = {"arm": {"joint": np.array([0.25, 0.5, 1.0], np.float32), "grip": 2}, "time": 0.75}
    flat = env.observation(obs)
    assert set(flat) == {"arm/joint", "arm/grip", "time"}
    assert flat["arm/joint"].tolist() == [0.25, 0.5, 1.0]
    assert flat["arm/grip"] == 1  # counted from 0
    assert flat["time"].tolist() == [0.75]


def test_members_of_tuples_are_named_by_index():
    env = PlainObservation(Sampler(SPACES["tuple"]))
    assert list(env.observation_space.spaces) == ["0", "1", "2/0"]


def test_clashing_names_are_refused():
    clash = spaces.Dict({"a/b": BOX, "a": spaces.Dict(b=BOX)})
    with pytest.raises(ValueError, match="keys clash"):
        PlainObservation(Sampler(clash))


@pytest.mark.parametrize(
    "space", [spaces.Text(5), spaces.Sequence(BOX), spaces.Dict(a=spaces.Text(5))]
)
def test_unsupported_observations_are_refused(space):
    with pytest.raises(ValueError, match="not supported; supported are Box, Discrete"):
        plain_observations(Sampler(space))


@pytest.mark.parametrize("space", [spaces.Dict({}), spaces.Tuple(())])
def test_observations_of_nothing_are_refused(space):
    with pytest.raises(ValueError, match="no parts"):
        plain_observations(Sampler(space))


def test_tokens_survive_the_conversion_of_their_numbers():
    tokens = Features(("height", "speed"))
    space = TokenBox(-np.inf, 1e300, (2,), np.float64, tokens=tokens)
    env = plain_observations(Sampler(space))
    assert env.observation_space.tokens == tokens
    assert env.observation_space.dtype == np.float32
    assert np.isinf(env.observation_space.high).all()


def test_names_must_fit_the_numbers():
    with pytest.raises(ValueError, match="2 names need a vector of as many numbers"):
        NamedFeatures(Sampler(BOX), ("height", "speed"))


@pytest.mark.parametrize(
    ("space", "sent", "arrives"),
    [
        (spaces.Discrete(3, start=-1), np.int64(0), -1),
        (spaces.MultiDiscrete([[2, 3], [5, 7]]), np.array([1, 2, 3, 4]), [[1, 2], [3, 4]]),
        (spaces.MultiDiscrete([2, 3], start=[4, 5]), np.array([1, 2]), [5, 7]),
        (
            spaces.MultiBinary([2, 3]),
            np.array([1, 0, 0, 0, 1, 1], np.int8),
            [[1, 0, 0], [0, 1, 1]],
        ),
    ],
)
def test_actions_count_from_zero(space, sent, arrives):
    inner = Sampler(BOX, space)
    env = plain_actions(inner)
    check_env(env, warn=False)
    assert env.action_space.contains(sent)
    env.step(sent)
    assert np.asarray(inner.actions[-1]).tolist() == arrives


SQUARES = (Conv(5, 6, 6),)


@pytest.mark.parametrize(
    ("shape", "tokens", "turned", "tokens_then"),
    [
        (
            (24, 18, 3),
            Patches(24, 18, 3, SQUARES, channels_first=False),
            (3, 24, 18),
            Patches(24, 18, 3, SQUARES),
        ),
        ((24, 18), Patches(24, 18, 1, SQUARES), (1, 24, 18), Patches(24, 18, 1, SQUARES)),
        (
            (7, 5, 3),
            Cells(7, 5, channels=3),
            (3, 7, 5),
            Cells(7, 5, channels=3, channels_first=True),
        ),
    ],
)
def test_a_picture_keeps_its_tokens_in_stable_baselines(shape, tokens, turned, tokens_then):
    env = plain_observations(Sampler(TokenBox(0, 255, shape, np.uint8, tokens=tokens)))
    assert isinstance(env, PlainObservation)
    model = PPO("MlpPolicy", env, n_steps=2, batch_size=2, device="cpu")
    assert (model.observation_space.shape, model.observation_space.tokens) == (turned, tokens_then)
    picture = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    observed = env.observation(picture)
    assert observed.shape == turned
    for y, x in np.ndindex(shape[:2]):
        assert observed[:, y, x].tolist() == np.atleast_1d(picture[y, x]).tolist()


def test_a_picture_that_stable_baselines_would_turn_takes_no_other_tokens():
    names = tuple(f"x{i}" for i in range(5 * 4 * 3))
    space = TokenBox(0, 255, (5, 4, 3), np.uint8, tokens=Features(names))
    with pytest.raises(ValueError, match="a picture of bytes must be cut into patches or cells"):
        plain_observations(Sampler(space))


def test_planes_that_stable_baselines_would_not_turn_stay():
    tokens = Patches(10, 10, 4, (Conv(5, 5, 5),), channels_first=False)
    env = Sampler(TokenBox(0, 1, (10, 10, 4), np.uint8, tokens=tokens))
    assert plain_observations(env) is env


@pytest.mark.parametrize("space", [BOX, spaces.Discrete(3), spaces.MultiBinary(2)])
def test_supported_actions_are_not_wrapped(space):
    env = Sampler(BOX, space)
    assert plain_actions(env) is env


@pytest.mark.parametrize(
    "space", [spaces.Tuple((BOX, BOX)), spaces.Dict(a=BOX), spaces.Box(-np.inf, np.inf, (2,))]
)
def test_unsupported_actions_are_refused(space):
    with pytest.raises(ValueError, match="not supported; supported are Box with finite bounds"):
        plain_actions(Sampler(BOX, space))
