"""Sequences and graphs as tables: nothing is lost, nothing is made up."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.env_checker import check_env

from attention_agents.envs.make import make_env
from attention_agents.envs.tokens.spaces import TokenBox, build_layout, choose_specs
from attention_agents.envs.tokens.specs import Entities
from attention_agents.envs.wrappers.padding import (
    PadSequences,
    TooManyEntitiesError,
    pad_sequences,
    pad_space,
)
from tests.envs.worlds import Sampler

MOST = 5

UNIT = spaces.Dict(
    hp=spaces.Box(0, 7, (1,)),
    kind=spaces.Discrete(3, start=1),
    place=spaces.Box(-2, 2, (2,)),
)
FEATURES = {
    "box": spaces.Box(-1, 3, (2,)),
    "table": spaces.Box(-1, 3, (2, 3)),
    "scalar": spaces.Box(0, 1, ()),
    "bytes": spaces.Box(0, 255, (3,), np.uint8),
    "discrete": spaces.Discrete(3, start=-1),
    "choices": spaces.MultiDiscrete([2, 3], start=[1, 0]),
    "bits": spaces.MultiBinary(3),
    "dict": UNIT,
    "tuple": spaces.Tuple((spaces.Discrete(2), spaces.Box(-1, 1, (3,)))),
    "nested": spaces.Dict(a=spaces.Tuple((UNIT, spaces.Discrete(2))), b=spaces.MultiBinary(2)),
}


def samples(space, count):
    space.seed(count)
    return tuple(space.sample() for _ in range(count))


def flat(space, item):
    """Return an item's features, by Gymnasium's own flattening."""
    return np.asarray(spaces.flatten(space, item), np.float32)


@pytest.mark.parametrize("stack", [False, True])
@pytest.mark.parametrize("name", FEATURES)
def test_every_entity_is_a_row_of_presence_and_its_flat_features(name, stack):
    space = spaces.Sequence(FEATURES[name], stack=stack)
    table, pad = pad_space(space, MOST)
    for count in (0, 1, 3, MOST):
        items = samples(FEATURES[name], count)
        whole = items
        if stack:
            empty = gym.vector.utils.create_empty_array(FEATURES[name], count)
            whole = gym.vector.utils.concatenate(FEATURES[name], items, empty) if count else empty
        rows = pad(whole)
        assert table.contains(rows)
        assert rows[:, 0].tolist() == [1] * count + [0] * (MOST - count)
        assert not rows[count:].any()
        for row, item in zip(rows, items, strict=False):
            np.testing.assert_array_equal(row[1:], flat(FEATURES[name], item))


def test_columns_are_named():
    table, _ = pad_space(spaces.Dict(units=spaces.Sequence(UNIT)), MOST)
    names = ("presence", "hp", "kind 0", "kind 1", "kind 2", "place 0", "place 1")
    assert table["units"].tokens == Entities(MOST, names, presence=0, label="units")
    assert build_layout(choose_specs(table)).names[:2] == ("units 0", "units 1")
    alone, _ = pad_space(spaces.Sequence(spaces.Box(-1, 1, (2,))), MOST)
    assert alone.tokens == Entities(MOST, ("presence", "x0", "x1"), presence=0)


def test_a_row_of_zeros_that_is_present_counts():
    _, pad = pad_space(spaces.Sequence(spaces.Box(-1, 1, (2,))), 3)
    assert pad((np.zeros(2, np.float32),)).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_a_table_that_is_kept_does_not_change():
    _, pad = pad_space(spaces.Sequence(spaces.Discrete(2)), 3)
    first_table = pad((1,))
    pad((0, 0))
    assert first_table[:, 0].tolist() == [1, 0, 0]
    graph = spaces.Graph(spaces.Discrete(2), spaces.Discrete(2))
    _, pad = pad_space(graph, 3)
    pad(spaces.GraphInstance(np.array([1]), None, None))["edges"][:] = 7
    assert not pad(spaces.GraphInstance(np.array([1]), None, None))["edges"].any()


def test_a_graph_gives_nodes_and_edges_that_know_their_ends():
    space = spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Discrete(3))
    table, pad = pad_space(space, MOST)
    assert table["nodes"].tokens.features == ("presence", "index", "x0", "x1")
    assert table["edges"].tokens.features == (
        *("presence", "source", "target"),
        *("choice 0", "choice 1", "choice 2"),
    )
    nodes = np.array([[0.5, -0.5], [0, 0], [1, 1]], np.float32)
    links = np.array([[0, 2], [2, 1]], np.int32)
    padded = pad(spaces.GraphInstance(nodes, np.array([2, 0]), links))
    assert table.contains(padded)
    assert padded["nodes"][:3].tolist() == [[1, 0, 0.5, -0.5], [1, 0.25, 0, 0], [1, 0.5, 1, 1]]
    assert not padded["nodes"][3:].any()
    assert padded["edges"][:2].tolist() == [[1, 0, 0.5, 0, 0, 1], [1, 0.5, 0.25, 1, 0, 0]]
    assert not padded["edges"][2:].any()
    assert build_layout(choose_specs(table)).names[4:6] == ("node 4", "edge 0")


def test_a_graph_may_have_no_edges():
    space = spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Discrete(3))
    table, pad = pad_space(space, MOST)
    padded = pad(spaces.GraphInstance(np.ones((2, 2), np.float32), None, None))
    assert table.contains(padded)
    assert not padded["edges"].any()
    table, pad = pad_space(spaces.Graph(spaces.Discrete(3), None), MOST)
    padded = pad(spaces.GraphInstance(np.array([2, 0]), None, None))
    assert isinstance(table, TokenBox)
    assert padded[:2].tolist() == [[1, 0, 0, 1], [1, 1, 0, 0]]


DEEP = spaces.Dict(
    camera=spaces.Box(0, 255, (3, 36, 36), np.uint8),
    team=spaces.Tuple((spaces.Sequence(UNIT, stack=True), spaces.Box(-1, 1, (2,)))),
    roads=spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Box(0, 1, (1,))),
    inbox=spaces.Sequence(spaces.Discrete(4)),
)


def make_padded_env(space, **kwargs):
    gym.register("Sampler-v0", lambda **_: Sampler(space))
    try:
        return make_env("Sampler-v0", **kwargs)
    finally:
        gym.registry.pop("Sampler-v0")


def test_make_env_pads_at_any_depth_before_it_makes_spaces_plain():
    env = make_padded_env(DEEP, max_entities=97)
    check_env(env, warn=False)
    members = env.observation_space.spaces
    assert set(members) == {"camera", "team/0", "team/1", "roads/nodes", "roads/edges", "inbox"}
    assert members["inbox"].shape == (97, 1 + 4)
    assert members["team/0"].tokens.count == 97
    assert env.observation_space.contains(env.reset(seed=0)[0])


def test_make_env_has_room_for_32_when_nobody_says_more():
    assert make_padded_env(spaces.Sequence(spaces.Discrete(3))).observation_space.shape == (32, 4)


def test_a_history_of_sequences_is_flat():
    env = make_padded_env(spaces.Sequence(spaces.Discrete(3)), max_entities=7, history=3)
    assert env.observation_space.shape == (3, 1 + 7 * 4)


def test_what_does_not_vary_is_not_wrapped():
    env = Sampler(spaces.Dict(a=spaces.Discrete(3), b=spaces.Tuple((UNIT,))))
    assert pad_sequences(env) is env


@pytest.mark.parametrize("stack", [False, True])
def test_more_entities_than_fit_are_refused(stack):
    space = spaces.Dict(a=spaces.Dict(units=spaces.Sequence(spaces.Box(-1, 1, (2,)), stack=stack)))
    _, pad = pad_space(space, 2)
    with pytest.raises(
        TooManyEntitiesError,
        match=r"a/units holds 3 entities \(units\), and there is room for 2; train with "
        r"--max-entities 3 or more \(max_entities in Python\)",
    ):
        pad({"a": {"units": np.zeros((3, 2), np.float32)}})
    graph = spaces.Graph(spaces.Discrete(2), spaces.Discrete(2))
    _, pad = pad_space(graph, 2)
    links = np.zeros((3, 2), np.int32)
    with pytest.raises(ValueError, match=r"the observation holds 3 entities \(edge\)"):
        pad(spaces.GraphInstance(np.array([1]), np.array([0, 1, 1]), links))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Sequence(spaces.Text(5)), r"features of Text.* are not supported; supported are B"),
        (spaces.Sequence(spaces.Sequence(UNIT)), "features of Sequence.* are not supported"),
        (spaces.Graph(spaces.Discrete(2), spaces.Text(3)), "features of Text"),
        (spaces.Sequence(spaces.Dict()), "entities need features, got Dict"),
    ],
)
def test_entities_of_unsupported_features_are_refused(space, message):
    with pytest.raises(ValueError, match=message):
        PadSequences(Sampler(space), MOST)


def test_there_must_be_room():
    with pytest.raises(ValueError, match="max_entities must be at least 1, got 0"):
        PadSequences(Sampler(spaces.Sequence(UNIT)), 0)


def test_there_is_no_room_for_more_than_can_be_attended_to():
    assert make_padded_env(spaces.Sequence(spaces.Discrete(3)), max_entities=1024).observation_space
    with pytest.raises(
        ValueError,
        match="max_entities must be at most 1024, the most tokens that can be attended to, got",
    ):
        PadSequences(Sampler(spaces.Sequence(UNIT)), 1025)
    _, pad = pad_space(spaces.Sequence(spaces.Box(-1, 1, (1,)), stack=True), 2)
    with pytest.raises(TooManyEntitiesError, match="; observe at most 1024, such as the nearest"):
        pad(np.zeros((1025, 1), np.float32))


def test_tables_of_too_many_tokens_in_all_are_refused_with_the_option():
    env = make_padded_env(
        spaces.Dict(a=spaces.Sequence(UNIT), b=spaces.Sequence(UNIT)), max_entities=600
    )
    with pytest.raises(ValueError, match=r"would give 1200 tokens .*\. Make less room .*--max-ent"):
        build_layout(choose_specs(env.observation_space))


@pytest.mark.parametrize("name", ["nodes", "edges"])
def test_edges_keep_their_ends_in_any_order(name):
    space = spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Box(0, 1, (1,)))
    _, pad = pad_space(space, MOST)
    space.seed(3)
    graph = space.sample(num_nodes=4, num_edges=5)
    order = np.array([3, 0, 4, 1, 2])
    other = spaces.GraphInstance(graph.nodes, graph.edges[order], graph.edge_links[order])
    one, two = pad(graph)[name], pad(other)[name]
    rows = order if name == "edges" else slice(None)
    np.testing.assert_array_equal(one[rows], two)
