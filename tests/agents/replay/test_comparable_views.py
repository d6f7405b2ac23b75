"""Which maps of two recordings may be compared."""

from __future__ import annotations

from attention_agents.agents.replay.diff import comparable_views
from attention_agents.agents.replay.options import MapOptions
from attention_agents.recording.map_spec import MapSpec

SQUARE = MapSpec("actor/0", "actor", 0, 3, "tokens", derived="mean over queries")
READOUT = MapSpec("actor/1", "actor", 1, 3, "readout")
ROLLED = MapSpec("actor/rollout", "actor", 1, 1, "readout", derived="rollout")


def names(one, another, **view):
    return [view.spec.name for view in comparable_views(one, another, MapOptions(**view))]


def test_a_rollout_is_compared_with_a_rollout_alone():
    whole, without = (SQUARE, READOUT, ROLLED), (SQUARE, READOUT)
    assert names(whole, whole) == ["actor/rollout", "actor/rollout"]
    assert names(whole, without) == ["actor/1", "actor/1"]
    assert names(without, whole) == ["actor/1", "actor/1"]
    assert names(whole, whole, layer=0) == ["actor/0", "actor/0"]
    assert names(whole, whole, head=2) == ["actor/1", "actor/1"]


def test_agents_of_one_layer_and_of_two_are_compared_by_their_readouts():
    small = (MapSpec("actor/0", "actor", 0, 2, "readout"),)
    assert names(small, (SQUARE, READOUT, ROLLED)) == ["actor/0", "actor/1"]
