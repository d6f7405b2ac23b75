"""Questions about evidence: "evidence of door > 0.3"."""

from __future__ import annotations

import ast
from dataclasses import replace

import numpy as np
import pytest

from attention_agents.recording.evidence_spec import EvidenceSpec
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.query.columns import EpisodeColumns
from attention_agents.recording.query.expression import (
    check_query,
    describe_words,
    matching_steps,
    parse_query,
)
from attention_agents.recording.reader import open_recording
from attention_agents.recording.writer import RecordingWriter

#                 ego   1    2   3  4  speed heading fuel
ROWS = np.array([[[2.0, 1, -1, 0, 0, 0, 0, 0], [0] * 8],
                 [[-3.0, 1, 0, 0, 0, 0, 0, 0], [0] * 8],
                 [[0] * 8, [0] * 8],
                 [[np.nan] * 8, [0] * 8],
                 [[0, 0, 0, 0, 0, 1, 1, -2], [0, 0, 0, 0, 0, 0, 0, -5]]], np.float32)  # fmt: skip


@pytest.fixture
def episode(tmp_path, header, make_step):
    spec = EvidenceSpec(("steer", "gas"), "mean of the action")
    with RecordingWriter(tmp_path / "seen", replace(header, evidence=spec)) as writer:
        writer.begin_episode(1)
        for t, row in enumerate(ROWS):
            writer.add_step(make_step(t, evidence=row))
    return open_recording(tmp_path / "seen").episodes[0]


@pytest.mark.parametrize(
    ("question", "steps"),
    [
        ("evidence of 0 > 0.3", [0]),
        ("evidence of 0 < -0.3", [1]),
        ("abs(evidence['ego car']) > 0.49", [0, 1]),
        ("evidence of 'car 11' > 0.2", [0, 1]),
        ("evidence of cars > 0.49", [0]),  # 2 + 1 - 1 of 4
        ("abs(evidence[dash]) < 0.01", [0, 1, 2, 4]),  # undefined at step 3
        ("evidence of fuel < 0 and action == 'left'", [4]),
        ("evidence   of  fuel < -0.49 or attention of fuel < 0", [4]),
    ],
)
def test_steps_are_found_by_the_signed_share_of_evidence(episode, question, steps):
    columns = EpisodeColumns(episode, choose_view(episode.header.maps), "steer")
    assert matching_steps(question, columns).tolist() == steps


def test_the_component_is_the_one_with_most_evidence_unless_it_is_named(episode):
    """Both hold about as much: 4 + 4 + 4 of steering, 5 of the gas."""
    view = choose_view(episode.header.maps)
    for component, share in (("", -0.5), ("steer", -0.5), ("gas", -1), ("1", -1)):
        columns = EpisodeColumns(episode, view, component)
        assert columns.evidence("fuel")[4] == pytest.approx(share, abs=0.01)
    with pytest.raises(ValueError, match="component must be one of steer, gas, got 'brake'"):
        EpisodeColumns(episode, view, "brake").evidence("fuel")


def test_without_maps_attention_is_refused_and_evidence_is_not(episode):
    columns = EpisodeColumns(episode, None)
    assert len(matching_steps("evidence of cars > 0", columns)) == 1
    with pytest.raises(ValueError, match="has no attention maps: ask for evidence"):
        matching_steps("attention of cars > 0", columns)


def test_without_evidence_it_is_refused(tmp_path, header, make_step):
    with RecordingWriter(tmp_path / "seen", header) as writer:
        writer.begin_episode(1)
        writer.add_step(make_step(0))
    columns = EpisodeColumns(open_recording(tmp_path / "seen").episodes[0], None)
    with pytest.raises(ValueError, match="this recording has no evidence"):
        matching_steps("evidence of cars > 0", columns)


def test_what_stands_in_quotes_stays_as_it_is():
    tree = parse_query("action == 'evidence of door' and evidence of \"red door\" > 0")
    assert "'evidence of door'" in ast.unparse(tree)
    assert "evidence['red door']" in ast.unparse(tree)
    check_query("evidence of door > 0.3")
    with pytest.raises(ValueError, match="say of what"):
        check_query("evidence > 0.3")
    assert "evidence of door" in describe_words()
