"""Spaces survive the way to a file and back; files that say anything else are refused."""

import json

import numpy as np
import pytest
from gymnasium import spaces

from attention_agents.envs.tokens.layout import Conv
from attention_agents.envs.tokens.space_json import space_from_json, space_to_json
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import (
    Categories,
    Cells,
    Entities,
    Features,
    Frames,
    History,
    Patches,
)

STEM = (Conv(5, 3, 2, 1), Conv(7, 2))

TOKENS = {
    "features": TokenBox(-1, 1, (3,), tokens=Features(("x", "y", "z"))),
    "categories": TokenBox(0, 4, (2,), np.int64, tokens=Categories((3, 5), ("gear", "lane"))),
    "entities": TokenBox(
        -np.inf, np.inf, (5, 3), tokens=Entities(5, ("presence", "x", "y"), 0, 0, "vehicle")
    ),
    "entities without ego": TokenBox(0, 1, (5, 2), tokens=Entities(5, ("x", "y"))),
    "cells": TokenBox(
        np.zeros((6, 2), np.uint8),
        np.tile(np.array([10, 5], np.uint8), (6, 1)),
        (6, 2),
        np.uint8,
        tokens=Cells(2, 3, (11, 6)),
    ),
    "planes": TokenBox(0, 1, (2, 3, 5), tokens=Cells(2, 3, channels=5)),
    "planes, channels first": TokenBox(
        0, 1, (5, 2, 3), tokens=Cells(2, 3, channels=5, channels_first=True)
    ),
    "patches": TokenBox(0, 1, (11, 13, 4), np.uint8, tokens=Patches(11, 13, 4, STEM, False)),
    "history": TokenBox(-7, 7, (5, 3), tokens=History(5, 2)),
    "entities with a position": TokenBox(
        -1, 1, (5, 3), tokens=Entities(5, ("x", "y", "hp"), position=(1, 0))
    ),
    "frames of cells": TokenBox(0, 10, (2, 13), np.uint8, tokens=Frames(2, Cells(2, 3, (11, 6)))),
    "frames of pictures": TokenBox(
        *(0, 255, (3, 1 + 11 * 13 * 4), np.uint8),
        tokens=Frames(3, Patches(11, 13, 4, STEM, False), of_bytes=True),
    ),
    "frames of entities": TokenBox(
        -1, 1, (2, 16), tokens=Frames(2, Entities(5, ("x", "y", "hp"), ego=3, position=(1, 0)))
    ),
}

PLAIN = {
    "box": spaces.Box(-1.5, 2.5, (2, 3)),
    "unbounded": spaces.Box(-np.inf, np.inf, (3,), np.float64),
    "half bounded": spaces.Box(np.array([0, -np.inf]), np.array([np.inf, 0.1]), dtype=np.float64),
    "picture": spaces.Box(0, 255, (96, 96, 3), np.uint8),
    "flags": spaces.Box(0, 1, (2,), bool),
    "scalar": spaces.Box(0, 1, ()),
    "large": spaces.Box(-(2**62), 2**62, (1,), np.int64),
    "discrete": spaces.Discrete(7),
    "discrete from": spaces.Discrete(7, start=-2),
    "multi discrete": spaces.MultiDiscrete([2, 3, 5]),
    "multi discrete table": spaces.MultiDiscrete([[2, 3], [5, 7]], start=[[0, 1], [2, 3]]),
    "multi binary": spaces.MultiBinary(5),
    "multi binary table": spaces.MultiBinary((2, 3)),
    "dict": spaces.Dict([("view", TOKENS["cells"]), ("direction", spaces.Discrete(4))]),
}


@pytest.mark.parametrize("space", [*PLAIN.values(), *TOKENS.values()], ids=[*PLAIN, *TOKENS])
def test_there_and_back(space):
    text = json.dumps(space_to_json(space), allow_nan=False)
    back = space_from_json(json.loads(text))
    assert back == space
    assert type(back) is type(space)
    assert back.dtype == space.dtype
    if isinstance(space, TokenBox):
        assert back.tokens == space.tokens
    if isinstance(space, spaces.Dict):
        assert list(back.spaces) == list(space.spaces)
        assert back["view"].tokens == space["view"].tokens


def test_uniform_bounds_are_one_number():
    data = space_to_json(PLAIN["picture"])
    assert (data["low"], data["high"]) == (0, 255)
    assert len(json.dumps(data)) < 100


@pytest.mark.parametrize("space", [spaces.Text(5), spaces.Tuple((PLAIN["box"],))])
def test_unsupported_spaces_are_not_written(space):
    with pytest.raises(ValueError, match="cannot be written; supported are box"):
        space_to_json(space)


def box(**changes):
    data = {"kind": "box", "shape": [2, 3], "dtype": "float32", "low": 0.0, "high": 1.0, **changes}
    return {key: value for key, value in data.items() if value is not ...}


def table(**changes):
    entities = {"kind": "entities", "count": 2, "features": ["a", "b", "c"]}
    tokens = {**entities, "presence": 0, "ego": None, "label": "car", **changes}
    return box(tokens={key: value for key, value in tokens.items() if value is not ...})


def test_cells_of_older_files_have_their_channels_last():
    written = space_to_json(TOKENS["planes"])
    del written["tokens"]["channels_first"]
    assert space_from_json(written).tokens == TOKENS["planes"].tokens


def test_entities_of_older_files_have_no_position():
    written = space_to_json(TOKENS["entities"])
    del written["tokens"]["position"]
    assert space_from_json(written).tokens == TOKENS["entities"].tokens


def frames(**changes):
    written = space_to_json(TOKENS["frames of cells"])
    return {**written, "tokens": {**written["tokens"], **changes}}


def scenes(of_bytes=False, **changes):
    written = space_to_json(TOKENS["frames of entities"])
    part = {**written["tokens"]["part"], **changes}
    return {**written, "tokens": {**written["tokens"], "part": part, "of_bytes": of_bytes}}


def test_the_examples_below_are_sound_but_for_their_fault():
    assert space_from_json(scenes()).tokens.part.count == 5
    assert space_from_json(box()).shape == (2, 3)
    assert space_from_json(table()).tokens.label == "car"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "unknown kind of space None"),
        ([], "unknown kind of space"),
        ({"kind": ["box"]}, "unknown kind of space"),
        ({"kind": "os.system"}, "unknown kind of space 'os.system'; known are box, discrete"),
        (box(low=...), "box: lacks low"),
        (box(more=1), "box: has the unknown .*more"),
        (box(dtype="object"), "dtype must be one of"),
        (box(dtype=["float32"]), "dtype must be one of"),
        (box(shape=3), "shape must be a list"),
        (box(shape=[2, -3]), "shape must be at least 1, got -3"),
        (box(shape=[2, True]), "shape must be a whole number"),
        (box(shape=[2**20, 2**20]), "holds more than"),
        (box(low=[0.0, 1.0]), "a bound needs 1 or 6 numbers, got 2"),
        (box(low="nan"), "'nan' cannot be a bound"),
        (box(low=float("nan")), "nan cannot be a bound"),
        (box(low=None), "None cannot be a bound"),
        (box(low=10**400), "box: "),
        (box(low=2.0), "low must not be above high"),
        (box(dtype="uint8", low=0, high=256), "256 cannot be a bound of uint8"),
        (box(dtype="uint8", low=0, high=0.5), "0.5 cannot be a bound of uint8"),
        (box(dtype="uint8", low=0, high="inf"), "cannot be a bound of uint8"),
        ({"kind": "discrete", "n": 0, "start": 0}, "n must be at least 1"),
        ({"kind": "discrete", "n": 3}, "lacks start"),
        ({"kind": "discrete", "n": 2.0, "start": 0}, "n must be a whole number"),
        ({"kind": "multi_discrete", "nvec": [2, 0], "start": [0, 0]}, "entries above 0"),
        ({"kind": "multi_discrete", "nvec": [2, 2], "start": [0]}, "have one shape"),
        ({"kind": "multi_discrete", "nvec": [[2], [2, 3]], "start": [0]}, "multi_discrete: "),
        ({"kind": "multi_discrete", "nvec": ["2"], "start": [0]}, "nvec must be a list of whole"),
        ({"kind": "multi_binary", "shape": "x"}, "shape must be a list"),
        ({"kind": "dict", "spaces": {"a": box()}}, "spaces must be a list"),
        ({"kind": "dict", "spaces": [["a"]]}, "spaces: a list of key, space is needed"),
        ({"kind": "dict", "spaces": [[1, box()]]}, "key must be a string"),
        ({"kind": "dict", "spaces": [["a", box()], ["a", box()]]}, "the key 'a' stands twice"),
        ({"kind": "dict", "spaces": [["a", {"kind": "dict", "spaces": []}]]}, "inside a dict"),
        ({"kind": "dict", "spaces": [["a", box(low=None)]]}, "dict: key 'a': box: None cannot be"),
        (box(tokens=None), "unknown kind of tokens None"),
        (table(kind="evil"), "unknown kind of tokens 'evil'"),
        (table(kind={}), "unknown kind of tokens"),
        (table(ego=...), "entities tokens: lacks ego"),
        (table(extra=1), "entities tokens: has the unknown"),
        (table(count="2"), "count must be a whole number"),
        (table(count=3), "box: tokens must fit the shape"),
        (table(features=["a"]), "box: tokens must fit the shape"),
        (table(features="abc"), "features must be a list"),
        (table(presence=3), "box: tokens must fit the shape"),
        (table(ego=-1), "ego must be at least 0"),
        (table(label=7), "label must be a string"),
        (table(position=[0]), r"position must be a list of 2, got \[0\]"),
        (table(position=[0, -1]), "position must be at least 0"),
        (table(position=[0, 3]), "box: tokens must fit the shape"),
        (table(position=7), "position must be a list"),
        (frames(steps=3), "box: tokens must fit the shape"),
        (frames(steps=0), "steps must be at least 1"),
        (scenes(presence=7), "box: tokens must fit the shape"),
        (scenes(position=[0, 9]), "box: tokens must fit the shape"),
        (scenes(ego=9), "box: tokens must fit the shape"),
        (scenes(of_bytes=True), "box: tokens must fit the shape"),
        (frames(of_bytes=1), "of_bytes must be true or false"),
        (
            frames(part=None),
            "frames tokens: unknown kind of part None; known are patches, cells, ent",
        ),
        (
            frames(part={"kind": "frames"}),
            "unknown kind of part 'frames'; known are patches, cells",
        ),
        (frames(part={"kind": ["cells"]}), "unknown kind of part"),
        (frames(part={"kind": "cells"}), "frames tokens: cells tokens: lacks "),
        (
            box(tokens={"kind": "history", "steps": 2, "features": 3}),
            "box: tokens must fit the shape",
        ),
    ],
)
def test_foreign_files_are_refused_with_the_reason(data, message):
    with pytest.raises(ValueError, match=message):
        space_from_json(data)


@pytest.mark.parametrize(
    ("convs", "message"),
    [
        ([], "patches need at least one convolution"),
        ([[5, 3, 2]], "convs: a list of channels, kernel, stride, padding is needed"),
        ([[5, 3, 0, 1]], "convs: stride must be at least 1"),
        ([[5, 3, 1, -1]], "convs: padding must be at least 0"),
        ([["5", 3, 1, 0]], "convs: channels must be a whole number"),
    ],
)
def test_stems_are_checked(convs, message):
    data = space_to_json(TOKENS["patches"])
    data["tokens"]["convs"] = convs
    with pytest.raises(ValueError, match=message):
        space_from_json(data)
