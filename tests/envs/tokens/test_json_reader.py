"""JSON of strangers is read by annotations: the value of exactly that type, or an error."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import pytest

from attention_agents.envs.tokens.json_reader import Count, Index, read_object, read_value


class Pair(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True)
class Inner:
    size: Count


@dataclass(frozen=True)
class Record:
    color: Literal["red", "blue"]
    bounds: tuple[Pair, ...] | None
    inner: Inner
    names: Mapping[str, str] = field(default_factory=dict)
    at: tuple[Index, Index] = (0, 0)


DATA = {"color": "red", "bounds": [[0, 1.5]], "inner": {"size": 3}}


def test_a_record_is_read_by_its_annotations():
    record = read_object(Record, {**DATA, "names": {"a": "b"}, "at": [2, 3]})
    assert record == Record("red", (Pair(0, 1.5),), Inner(3), {"a": "b"}, (2, 3))
    assert read_object(Record, {**DATA, "bounds": None}).bounds is None


def test_fields_with_a_default_may_be_missing_unless_the_caller_says_which():
    assert read_object(Record, DATA).at == (0, 0)
    with pytest.raises(ValueError, match="lacks at"):
        read_object(Record, DATA, optional=("names",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"color": "green"}, "color must be one of red, blue, got 'green'"),
        ({"color": ["red"]}, "color must be one of"),
        ({"bounds": [0, 1]}, "bounds: a list of low, high is needed, got 0"),
        ({"bounds": [[0, True]]}, "bounds: high must be a finite number, got True"),
        ({"bounds": [[float("-inf"), 1]]}, "bounds: low must be a finite number"),
        ({"inner": 3}, "inner: it must be an object, got 3"),
        ({"inner": {"size": 0}}, "inner: size must be at least 1, got 0"),
        ({"inner": {}}, "inner: lacks size"),
        ({"names": {"a": 1}}, "a must be a string, got 1"),
        ({"at": [0]}, r"at must be a list of 2, got \[0\]"),
        ({"at": [0, -1]}, "at must be at least 0, got -1"),
        ({"more": 1}, r"has the unknown \['more'\]"),
    ],
)
def test_every_other_value_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        read_object(Record, {**DATA, **changes})


@pytest.mark.parametrize(
    ("value", "hint"),
    [(1, bool), (True, int), (2**62, int), (1.0, int), ("1", int), ("x", float), (None, str)],
)
def test_nothing_is_converted(value, hint):
    with pytest.raises(ValueError, match="it must be"):
        read_value(value, hint, "it")


def test_other_annotations_stand_beside_the_type():
    assert read_value(3, Annotated[int, "metres"], "it") == 3
    assert read_value({"any": [1]}, Any, "it") == {"any": [1]}
