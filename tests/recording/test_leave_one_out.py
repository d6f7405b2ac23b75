"""What removing tokens does, beside a recording: what goes in comes out, and damage is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attention_agents.recording.leave_one_out import (
    FAITHFULNESS_FILE,
    LEAVE_ONE_OUT_FILE,
    LeaveOneOut,
    read_leave_one_out,
    write_faithfulness,
    write_leave_one_out,
)
from attention_agents.recording.reader import open_recording
from attention_agents.recording.writer import RecordingWriter

S, N, A = 3, 8, 4
STEPS = 7


def made(**changes) -> LeaveOneOut:
    rng = np.random.default_rng(0)
    values = dict(
        steps=np.array([0, 2, 5]),
        causal=rng.random((S, N)).astype("f"),
        distribution=rng.dirichlet(np.ones(A), (S, N)).astype(np.float16),
        action=rng.integers(0, A, (S, N)),
        value=rng.normal(size=(S, N)).astype("f"),
        unit="KL, nats",
        ground_truth=rng.random((S, N)) < 0.3,
    )
    return LeaveOneOut(**(values | changes))


@pytest.fixture(scope="module")
def written(tmp_path_factory, header, make_step):
    folder = tmp_path_factory.mktemp("scored") / "seen"
    with RecordingWriter(folder, header) as writer:
        for seed in (3, 5):
            writer.begin_episode(seed)
            for t in range(STEPS):
                writer.add_step(make_step(t))
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy to do harm to."""
    return Path(shutil.copytree(written, tmp_path / "seen"))


def test_what_goes_in_comes_out_and_other_episodes_have_none(folder):
    wrote = made()
    write_leave_one_out(folder / "episode_0001", wrote)
    first, second = open_recording(folder).episodes
    assert first.leave_one_out is None
    read = second.leave_one_out
    assert read is not None
    for name in ("steps", "causal", "distribution", "action", "value", "ground_truth"):
        np.testing.assert_array_equal(getattr(read, name), getattr(wrote, name), name)
        assert getattr(read, name).dtype == getattr(wrote, name).dtype, name
    assert read.unit == "KL, nats"
    assert [read.find_row(t) for t in range(STEPS)] == [0, None, 1, None, None, 2, None]
    assert not list(folder.rglob("*.tmp*"))
    with np.load(folder / "episode_0001" / LEAVE_ONE_OUT_FILE) as stored:
        assert "true" in stored.files, "the name of earlier files is kept"


def test_value_and_truth_may_be_missing_and_scores_can_be_replaced(folder):
    write_leave_one_out(folder / "episode_0000", made())
    write_leave_one_out(folder / "episode_0000", made(value=None, ground_truth=None, unit="Q"))
    read = open_recording(folder).episodes[0].leave_one_out
    assert read is not None
    assert (read.value, read.ground_truth, read.unit) == (None, None, "Q")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"steps": np.array([0, 2])},
            "do not fit together: {'steps': \\(2,\\), 'causal': \\(3, 8\\)",
        ),
        ({"causal": np.zeros(S, "f")}, "do not fit together"),
        ({"value": np.zeros((S, N + 1), "f")}, "do not fit together"),
        ({"ground_truth": np.zeros((S, N, 1), bool)}, "do not fit together"),
        ({"distribution": np.zeros((S, N, 2, A), "f")}, "do not fit together"),
        ({"steps": np.array([0, 5, 2])}, "each after the one before"),
        ({"steps": np.array([-1, 2, 5])}, "must be >= 0"),
        ({"causal": np.full((S, N), -1.0)}, "causal of scores must be finite and >= 0"),
        ({"causal": np.full((S, N), np.nan)}, "causal of scores must be finite and >= 0"),
        ({"causal": np.zeros((S, N), int)}, "causal of scores cannot be of int64"),
        ({"ground_truth": np.zeros((S, N))}, "ground_truth of scores cannot be of float64"),
        ({"unit": ""}, "unit of scores must be a short text, got ''"),
        ({"unit": "a\nb"}, "unit of scores must be a short text"),
    ],
)
def test_scores_that_contradict_themselves_are_refused(changes, text):
    with pytest.raises(ValueError, match=text):
        made(**changes)


@pytest.mark.parametrize(
    "other",
    [
        {"steps": np.array([0, 2, STEPS])},
        {
            "causal": np.zeros((S, N + 1), "f"),
            "distribution": np.zeros((S, N + 1, A), "f"),
            "action": np.zeros((S, N + 1), int),
            "value": None,
            "ground_truth": None,
        },
        {"distribution": np.zeros((S, N, A + 1), "f")},
        {"distribution": np.zeros((S, N, 3, A), "f")},
    ],
)
def test_scores_of_another_recording_are_refused(folder, other):
    write_leave_one_out(folder / "episode_0000", made(**other))
    with pytest.raises(ValueError, match=r"episode_0000/scores.npz cannot be used: they are of an"):
        _ = open_recording(folder).episodes[0].leave_one_out


def test_a_gaussian_has_three_rows(header):
    gaussian = replace(header, distribution="gaussian", action_kind="continuous")
    made(distribution=np.zeros((S, N, 3, A), "f")).check_episode(gaussian, STEPS)
    with pytest.raises(ValueError, match="another recording"):
        made().check_episode(gaussian, STEPS)


def test_damage_is_named(folder):
    path = folder / "episode_0000" / LEAVE_ONE_OUT_FILE
    write_leave_one_out(folder / "episode_0000", made())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"scores.npz is damaged"):
        read_leave_one_out(path.parent)
    np.savez(path, steps=np.arange(2))
    with pytest.raises(ValueError, match=r"scores.npz is damaged: unit is no text"):
        read_leave_one_out(path.parent)
    np.savez(path, steps=np.arange(2), unit=np.array("KL"), stranger=np.zeros(2))
    with pytest.raises(ValueError, match=r"scores.npz is damaged: .*stranger"):
        read_leave_one_out(path.parent)
    np.savez(path, unit=np.array(["KL"], object))
    with pytest.raises(ValueError, match=r"scores.npz is damaged: .*allow_pickle"):
        read_leave_one_out(path.parent)


def test_a_summary_goes_in_and_comes_out(folder):
    assert open_recording(folder).faithfulness is None
    summary = {"verdict": "it explains", "unit": "KL, nats", "maps": [{"name": "actor/1"}]}
    path = write_faithfulness(folder, summary)
    assert path == folder / FAITHFULNESS_FILE
    read = open_recording(folder).faithfulness
    assert read == {"format": "attention scores", "schema": 1, **summary}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": "something"}, "is not in the format 'attention scores'"),
        ({"schema": 9}, "has schema 9, this program reads 1"),
        ({"verdict": None}, "is damaged: verdict must be a string, got None"),
        ({"maps": "all"}, "is damaged: maps must be a list, got 'all'"),
        ({"unit": float("nan")}, "is damaged: NaN is not allowed"),
    ],
)
def test_a_foreign_summary_is_refused(folder, change, text):
    write_faithfulness(folder, {"verdict": "", "unit": "", "maps": []})
    path = folder / FAITHFULNESS_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=text):
        _ = open_recording(folder).faithfulness


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    for write in (lambda f: write_leave_one_out(f, made()), lambda f: write_faithfulness(f, {})):
        with pytest.raises(ValueError, match=r"cannot write .*gone.*No such file"):
            write(tmp_path / "gone")
