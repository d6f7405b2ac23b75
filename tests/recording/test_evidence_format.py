"""Evidence on the disk: signed bytes within a stated error, undefined rows, no maps at all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from attention_agents.recording.evidence_spec import EvidenceSpec
from attention_agents.recording.export import episode_arrays
from attention_agents.recording.header import Header
from attention_agents.recording.reader import open_recording
from attention_agents.recording.signed_quantization import dequantize_signed, quantize_signed
from attention_agents.recording.writer import RecordingWriter

M, N = 2, 8
SPEC = EvidenceSpec(
    components=("steer", "gas"),
    margin="the mean action before squashing",
    baseline="mean",
    baseline_states=300,
    baseline_source="300 states of an episode with seed 7",
    tokens="numbers",
)


def draw_evidence(t: int) -> np.ndarray:
    rng = np.random.default_rng(100 + t)
    return (rng.normal(size=(M, N)) * (rng.random((M, N)) > 0.4)).astype("f")


@pytest.fixture
def evidence_header(header):
    return replace(header, evidence=SPEC)


def write(folder, header, steps):
    with RecordingWriter(folder, header) as writer:
        writer.begin_episode(1)
        for step in steps:
            writer.add_step(step)
    return open_recording(folder)


def test_signed_bytes_are_off_by_at_most_a_254th_of_the_row():
    values = np.random.default_rng(3).normal(size=(5, M, N)).astype("f")
    values[:, :, 3] = 0
    codes, scale = quantize_signed(values)
    assert codes.dtype == np.int8 and scale.shape == (5, M)
    read, largest = dequantize_signed(codes, scale), np.abs(values).max(-1, keepdims=True)
    assert (np.abs(read - values) <= largest * (1.0001 / 254)).all()
    assert np.abs(read - values).max() > largest.max() / 600  # the bound is not far off
    assert (read[:, :, 3] == 0).all() and (np.sign(read) * np.sign(values) >= 0).all()
    row = np.take_along_axis(read, np.abs(values).argmax(-1)[..., None], -1)
    np.testing.assert_allclose(np.abs(row), largest, rtol=1e-6)  # the largest comes out whole


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_signed_bytes_hold_any_scale(scale):
    values = (np.array([[1.0, -0.5, 0.0]]) * scale).astype("f")
    np.testing.assert_allclose(dequantize_signed(*quantize_signed(values)), values, rtol=0.01)


def test_evidence_comes_out_with_its_undefined_rows(tmp_path, evidence_header, make_step):
    rows = [draw_evidence(t) for t in range(70)]
    rows[5][1] = np.nan
    steps = [make_step(t, evidence=row) for t, row in enumerate(rows)]
    recording = write(tmp_path / "seen", evidence_header, [*steps, make_step(70)])
    assert recording.header == evidence_header and recording.header.evidence == SPEC
    episode = recording.episodes[0]
    for row, step in zip(rows, episode, strict=False):
        np.testing.assert_array_equal(np.isnan(step.evidence), np.isnan(row))
        assert (step.evidence[row == 0] == 0).all()
        error, largest = np.abs(step.evidence - row), np.abs(row).max(-1, keepdims=True)
        assert not (error > largest * (1.0001 / 254)).any()
    assert np.isnan(episode[70].evidence).all()  # a step without evidence
    assert episode_arrays(episode)["evidence"].shape == (71, M, N)


def test_evidence_is_stored_exactly_where_maps_are(tmp_path, evidence_header, make_step):
    header = replace(evidence_header, map_dtype="float32")
    row = draw_evidence(1)
    (step,) = write(tmp_path / "seen", header, [make_step(1, evidence=row)]).episodes[0]
    np.testing.assert_array_equal(step.evidence, row)


def test_a_recording_may_have_evidence_and_no_maps(tmp_path, evidence_header, make_step):
    header = replace(evidence_header, maps=())
    step = make_step(1, evidence=draw_evidence(1), maps={}, mask=None, places=None)
    assert step.num_tokens == N
    (read,) = write(tmp_path / "seen", header, [step]).episodes[0]
    assert read.maps == {} and read.evidence.shape == (M, N)


def test_neither_maps_nor_evidence_is_refused(header):
    with pytest.raises(ValueError, match="needs an attention map or evidence, got neither"):
        replace(header, maps=())


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        (np.zeros((1, N), "f"), r"shape \(2 components, 8 tokens\), got \(1, 8\)"),
        (np.zeros((M, N + 1), "f"), r"shape \(2 components, 8 tokens\), got \(2, 9\)"),
        (np.full((M, N), np.inf, "f"), "must be finite, or NaN for all tokens"),
        (np.array([[np.nan] * 7 + [1.0], [0.0] * 8], "f"), "must be finite, or NaN for all tokens"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(
    tmp_path, evidence_header, make_step, evidence, message
):
    writer = RecordingWriter(tmp_path / "seen", evidence_header)
    writer.begin_episode()
    with pytest.raises(ValueError, match=message):
        writer.add_step(make_step(0, evidence=evidence))


def test_evidence_without_a_description_is_refused(tmp_path, header, make_step):
    writer = RecordingWriter(tmp_path / "seen", header)
    writer.begin_episode()
    with pytest.raises(ValueError, match=r"shape \(0 components, 8 tokens\), got \(2, 8\)"):
        writer.add_step(make_step(0, evidence=draw_evidence(0)))


@pytest.mark.parametrize(
    "changes",
    [
        dict(components=()),
        dict(components=("",)),
        dict(components=("a" * 41,)),
        dict(margin=""),
        dict(margin="two\nlines"),
        dict(baseline="median"),
        dict(baseline_states=-1),
        dict(tokens=""),
    ],
)
def test_a_description_that_is_none_is_refused(changes):
    with pytest.raises(ValueError, match="not a description of evidence"):
        replace(SPEC, **changes)


@pytest.mark.parametrize(
    "change",
    [{"components": "steer"}, {"baseline": "median"}, {"baseline_states": "many"}, {"unknown": 1}],
)
def test_a_strange_description_in_a_file_is_refused(evidence_header, change):
    data = json.loads(json.dumps(evidence_header.to_json()))
    assert Header.from_json(data) == evidence_header
    data["evidence"] |= change
    with pytest.raises(ValueError, match="evidence"):
        Header.from_json(data)


@pytest.mark.parametrize("harm", ["missing", "shape", "type"])
def test_a_chunk_with_other_evidence_is_refused(tmp_path, evidence_header, make_step, harm):
    write(tmp_path / "seen", evidence_header, [make_step(0, evidence=draw_evidence(0))])
    (tmp_path / "seen/episode_0000/episode.json").unlink()
    path = tmp_path / "seen/episode_0000/chunk_00000.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    codes = arrays.pop("evidence")
    if harm == "shape":
        arrays["evidence"] = codes[:, :1]
    elif harm == "type":
        arrays["evidence"] = codes.astype("f")
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="evidence"):
        open_recording(tmp_path / "seen").episodes[0][0]


def test_a_recording_of_schema_3_is_read(tmp_path, header, make_step):
    """It knows no evidence."""
    write(tmp_path / "seen", header, [make_step(0)])
    path = tmp_path / "seen/recording.json"
    old = json.loads(path.read_text()) | {"schema": 3}
    del old["evidence"]
    path.write_text(json.dumps(old))
    recording = open_recording(tmp_path / "seen")
    assert recording.header.evidence is None and recording.episodes[0][0].evidence is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (dict(baseline="zero", baseline_states=0, baseline_source=""), "against zeros"),
        (dict(), "against each token's mean over 300 states of an episode with seed 7"),
        (dict(baseline_source=""), "against each token's mean over 300 states"),
    ],
)
def test_a_baseline_is_said_in_words(changes, text):
    assert replace(SPEC, **changes).baseline_text == text
