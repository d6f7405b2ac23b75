"""A recording on the disk: what goes in comes out, and what is broken is named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attention_agents.recording.chunk import Chunk
from attention_agents.recording.header import Header
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.quantization import dequantize, quantize
from attention_agents.recording.reader import open_recording
from attention_agents.recording.step import Step
from attention_agents.recording.writer import RecordingWriter

ROOT = Path(__file__).parents[2]
MAP = {"name": "a", "role": "actor", "layer": 0, "heads": 1, "queries": "readout"}
STEPS = 131  # two chunks of 64 and one of 3


@pytest.fixture(scope="module")
def written(tmp_path_factory, header, make_step):
    folder = tmp_path_factory.mktemp("written") / "seen"
    with RecordingWriter(folder, header) as writer:
        for seed in (3, 5):
            writer.begin_episode(seed)
            for t in range(STEPS):
                writer.add_step(make_step(t, terminated=t == STEPS - 1))
            last = make_step(STEPS)
            writer.end_episode(last.observation, last.frame)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy to do harm to."""
    return Path(shutil.copytree(written, tmp_path / "seen"))


def assert_same(read: Step, wrote: Step) -> None:
    assert read.observation.keys() == wrote.observation.keys()
    for key, part in wrote.observation.items():
        assert read.observation[key].dtype == part.dtype
        np.testing.assert_array_equal(read.observation[key], part)
    np.testing.assert_array_equal(read.frame, wrote.frame)
    np.testing.assert_array_equal(read.distribution, wrote.distribution)
    np.testing.assert_array_equal(read.mask, wrote.mask)
    np.testing.assert_array_equal(read.places.boxes, wrote.places.boxes)
    np.testing.assert_array_equal(read.places.ids, wrote.places.ids)
    for name in ("action", "value", "reward", "terminated", "truncated", "attended"):
        assert getattr(read, name) == getattr(wrote, name), name
    for name, weights in wrote.maps.items():
        error = np.abs(read.maps[name] - weights)
        assert (error <= weights.max(-1, keepdims=True) / 255).all()


def test_what_goes_in_comes_out(folder, header, make_step):
    recording = open_recording(folder)
    assert recording.header == header
    assert recording.complete
    assert recording.missing == ()
    assert [episode.seed for episode in recording.episodes] == [3, 5]
    episode = recording.episodes[1]
    assert len(episode) == STEPS
    for t in (130, 0, 63, 64, 127, 128):  # in any order, across chunks
        assert_same(episode[t], make_step(t, terminated=t == STEPS - 1))
    assert_same(episode[-1], make_step(130, terminated=True))
    assert sum(1 for _ in episode) == STEPS
    np.testing.assert_allclose(episode.rewards, 0.1 * np.arange(STEPS))
    np.testing.assert_array_equal(episode.frame(70), make_step(70).frame)
    np.testing.assert_array_equal(episode.final.frame, make_step(STEPS).frame)
    with pytest.raises(IndexError, match="step 131 of an episode of 131 steps"):
        episode[STEPS]


def test_float32_maps_and_full_matrices_come_out_exactly(tmp_path, header, make_step):
    full = np.random.default_rng(0).dirichlet(np.ones(8), (3, 8)).astype("f")
    step = make_step(1)
    step = replace(step, maps=step.maps | {"actor/0": full}, frame=None, value=None, mask=None)
    maps = (replace(header.maps[0], derived=""), header.maps[1])
    header = replace(header, maps=maps, map_dtype="float32", picture="observation")
    with RecordingWriter(tmp_path / "seen", header) as writer:
        writer.begin_episode()
        writer.add_step(replace(step, distribution=None, places=None, attended=False))
    read = open_recording(tmp_path / "seen").episodes[0][0]
    np.testing.assert_array_equal(read.maps["actor/0"], full)
    assert read.frame is None
    assert read.value is None
    assert read.distribution is None
    assert read.mask.all()
    assert np.isnan(read.places.boxes).all()
    assert not read.attended


@pytest.fixture
def hard(header):
    """A header of a hard map with head weights, gates over channels, and a readout with a CLS."""
    maps = (
        MapSpec("actor/0", "actor", 0, 3, "tokens", soft=True, head_weights=True),
        MapSpec("actor/1/in", "actor", 1, 1, "pooled tokens", "none", keys="channels",
                key_count=7, query_count=1, part="in"),
        MapSpec("actor/2", "actor", 2, 2, "readout", query_source="CLS", extra_keys=("CLS",),
                mechanism="additive, top-k 4"),
    )  # fmt: skip
    return replace(header, maps=maps)


@pytest.fixture
def hard_step(make_step):
    rng = np.random.default_rng(5)
    soft = rng.dirichlet(np.ones(8), (3, 8)).astype("f")
    maps = {
        "actor/0": np.where(soft >= np.sort(soft)[..., -2:-1], soft, 0),
        "actor/1/in": rng.normal(size=(1, 1, 7)).astype("f"),
        "actor/2": rng.dirichlet(np.ones(9), (2, 1)).astype("f"),
    }
    heads = {"actor/0": np.array([0.5, 0.7, 1.8], "f")}
    return make_step(1, maps=maps, soft={"actor/0": soft}, heads=heads)


def test_soft_weights_heads_and_maps_of_other_keys_come_out(tmp_path, hard, hard_step):
    with RecordingWriter(tmp_path / "seen", hard) as writer:
        writer.begin_episode()
        writer.add_step(hard_step)
        writer.add_step(replace(hard_step, heads={}))
    recording = open_recording(tmp_path / "seen")
    assert recording.header == hard
    read, without = recording.episodes[0]
    assert_same(read, hard_step)
    np.testing.assert_array_equal(read.maps["actor/1/in"], hard_step.maps["actor/1/in"])
    assert list(read.soft) == ["actor/0"]
    wrote = hard_step.soft["actor/0"]
    assert (np.abs(read.soft["actor/0"] - wrote) <= wrote.max(-1, keepdims=True) / 255).all()
    chosen = hard_step.maps["actor/0"] > 0
    np.testing.assert_array_equal(read.maps["actor/0"] > 0, chosen)
    np.testing.assert_array_equal(read.heads["actor/0"], hard_step.heads["actor/0"])
    assert read.heads["actor/1/in"] is None and without.heads["actor/0"] is None
    assert read.num_tokens == 8


def test_a_step_says_which_share_was_read(tmp_path, hard, hard_step):
    """Seven of eight tokens are present; of them the heads choose tokens 2 and 3."""
    weights = np.zeros((3, 8, 8), "f")
    weights[:2, :, 2] = 1
    weights[2, :, 3] = 1
    weights[:, 4] = 0.125  # token 4 is absent: what it reads is nobody's
    step = replace(hard_step, maps=hard_step.maps | {"actor/0": weights})
    with RecordingWriter(tmp_path / "seen", hard) as writer:
        writer.begin_episode()
        writer.add_step(step)
    read = open_recording(tmp_path / "seen").episodes[0][0]
    assert read.shares == pytest.approx({"actor/0": 2 / 7, "actor/1/in": 1, "actor/2": 1})


def test_a_map_that_does_not_fit_its_description_is_refused(tmp_path, hard, hard_step):
    writer = RecordingWriter(tmp_path / "seen", hard)
    writer.begin_episode()
    with pytest.raises(ValueError, match=r"\(3 heads, 8 queries, 8 tokens\), its soft weights as"):
        writer.add_step(replace(hard_step, soft={}))
    short = hard_step.maps | {"actor/1/in": np.zeros((1, 1, 8), "f")}
    with pytest.raises(ValueError, match=r"actor/1/in must have shape \(1 .* 7 channels\), got"):
        writer.add_step(replace(hard_step, maps=short))
    with pytest.raises(ValueError, match=r"has 3 heads and head_weights=True, got .* \(2,\)"):
        writer.add_step(replace(hard_step, heads={"actor/0": np.ones(2, "f")}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(key_count=9), "reads 8 tokens and 0 extra keys, so key_count must be 8, got 9"),
        (dict(extra_keys=("CLS",), key_count=8), "1 extra keys, so key_count must be 9, got 8"),
        (dict(keys="channels"), "reads channels: say how many with key_count"),
        (dict(queries="slots", derived=""), "say how many slots ask with query_count"),
        (dict(normalized_over="heads"), "not an attention map"),
        (dict(queries="a" * 41), "not an attention map"),
        (dict(keys="tok\nens"), "not an attention map"),
        (dict(heads=0), "not an attention map"),
        (dict(query_count=0), "not an attention map"),
    ],
)
def test_a_map_that_contradicts_itself_is_refused(header, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(header, maps=(replace(header.maps[0], **changes),))


def test_a_reused_buffer_does_not_change_what_was_recorded(tmp_path, header, make_step):
    step = make_step(0)
    before = step.observation["dash"].copy()
    with RecordingWriter(tmp_path / "seen", header) as writer:
        writer.begin_episode()
        writer.add_step(step)
        step.observation["dash"][:] = 99
    read = open_recording(tmp_path / "seen").episodes[0][0]
    np.testing.assert_array_equal(read.observation["dash"], before)


def test_equal_steps_give_equal_files(tmp_path, header, make_step):
    digests = []
    for name in ("a", "b"):
        with RecordingWriter(tmp_path / name, header) as writer:
            writer.begin_episode(1)
            writer.add_step(make_step(0))
        digests.append((tmp_path / name / "episode_0000" / "episode.json").read_text())
    assert digests[0] == digests[1]


@pytest.mark.parametrize("scale", [1.0, 1e-6, 0.0])
def test_quantized_weights_are_off_by_at_most_half_a_step(scale):
    weights = (np.random.default_rng(1).random((5, 3, 7)) * scale).astype("f")
    error = np.abs(dequantize(quantize(weights)) - weights)
    assert (error <= weights.max(-1, keepdims=True) * (0.5001 / 254)).all()


def test_what_was_read_stays_apart_from_what_was_not():
    """A weight of 1e-30 beside one of 1 is read back as above 0, and 0 as 0."""
    weights = np.array([[1.0, 1e-30, 0.0, 0.001, 0.5], [1e-44, 0, 1e-45, 0, 0], [0] * 5], "f")
    read = dequantize(quantize(weights))
    np.testing.assert_array_equal(read > 0, weights > 0)
    assert (np.abs(read - weights) <= weights.max(-1, keepdims=True) / 255).all()


def test_faint_weights_keep_their_sum():
    """Each of 999 tokens weighs far less than a step of the scale."""
    weights = np.full(1000, 1e-4, "f")
    weights[7] = 1 - 999e-4
    read = dequantize(quantize(weights))
    assert read.sum() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(read, weights, rtol=1e-5)


def test_weights_that_a_byte_cannot_hold_are_refused():
    for bad in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite and >= 0"):
            quantize(np.array([0.5, bad], "f"))


def test_a_torn_episode_is_read_as_far_as_it_goes(folder):
    (folder / "episode_0001" / "chunk_00002.npz").unlink()
    (folder / "episode_0001" / "episode.json").write_text('{"seed": 5, "complete": false}')
    (folder / "episode_0001" / "chunk_00002.npz.tmp").write_bytes(b"half a chunk")
    recording = open_recording(folder)
    whole, torn = recording.episodes
    assert whole.complete and not torn.complete and not recording.complete
    assert len(torn) == 128
    assert len(list(torn)) == 128
    assert recording.missing == (
        "episode_0001 was cut short while it was recorded: 128 steps are whole, "
        "and at most 32 after them are lost",
    )


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_torn_episode_stops_before_a_truncated_chunk(folder, keep):
    (folder / "episode_0001" / "episode.json").unlink()
    chunk = folder / "episode_0001" / "chunk_00001.npz"
    data = chunk.read_bytes()
    chunk.write_bytes(data[: int(len(data) * keep)])
    torn = open_recording(folder).episodes[1]
    assert not torn.complete
    assert len(torn) == 64


WRITE_FOREVER = """
import sys
import numpy as np
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.recording.header import Header
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.step import Step
from attention_agents.recording.writer import RecordingWriter

layout = TokenLayout((TokenGroup("features", ("a", "b")),))
maps = (MapSpec("actor/0", "actor", 0, 1, "readout"),)
header = Header("X-v0", layout, maps, ("",), "discrete", (2,), "probabilities")
frame, weights = np.zeros((9, 9, 3), np.uint8), np.full((1, 1, 2), 0.5, np.float32)
with RecordingWriter(sys.argv[1], header) as writer:
    writer.begin_episode(0)
    t = 0
    while True:
        maps = {"actor/0": weights}
        writer.add_step(Step({"": np.full(2, t)}, np.int64(0), maps, frame, reward=1.0))
        t += 1
        print(t, flush=True)
"""


@pytest.mark.parametrize("moment", np.random.default_rng(0).integers(1, 700, 6).tolist())
def test_a_kill_loses_at_most_half_of_the_open_chunk(tmp_path, moment):
    child = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOREVER, str(tmp_path / "seen")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    while int(child.stdout.readline()) < moment:
        pass
    os.kill(child.pid, signal.SIGKILL)
    written = max([moment, *(int(line) for line in child.stdout.read().split())])
    child.wait()
    (episode,) = open_recording(tmp_path / "seen").episodes
    assert not episode.complete
    assert episode.seed == 0
    assert len(episode) % 32 == 0
    assert written - 32 <= len(episode) <= written + 1
    assert episode.missing.startswith("episode_0000 was cut short")
    assert [step.observation[""][0] for step in episode] == list(range(len(episode)))


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("harm", [damaged, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_chunk_is_named_and_the_others_are_read(folder, harm):
    harm(folder / "episode_0000" / "chunk_00001.npz")
    episode = open_recording(folder).episodes[0]
    assert episode[63].reward == pytest.approx(6.3)
    assert episode[128].reward == pytest.approx(12.8)
    with pytest.raises(ValueError, match=r"step 64 .*chunk_00001\.npz is (damaged|missing)"):
        episode[64]


def test_a_chunk_of_another_recording_is_named(folder, header, make_step, tmp_path):
    short = replace(header, action_sizes=(2,), action_names=None)
    with RecordingWriter(tmp_path / "other", short) as writer:
        writer.begin_episode()
        for t in range(64):
            writer.add_step(make_step(t, distribution=np.ones(2, "f")))
    chunk = "episode_0000/chunk_00000.npz"
    (folder / chunk).write_bytes((tmp_path / "other" / chunk).read_bytes())
    (folder / "episode_0000/episode.json").unlink()
    with pytest.raises(ValueError, match=r"chunk_00000\.npz is not a chunk of this recording"):
        open_recording(folder).episodes[0][0]


def test_a_pickle_in_a_chunk_is_not_loaded(folder):
    chunk = folder / "episode_0000" / "chunk_00000.npz"
    (folder / "episode_0000" / "episode.json").unlink()
    np.savez(chunk, reward=np.array([print], object), allow_pickle=True)
    assert len(open_recording(folder).episodes[0]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[]", "is not in the format 'attention recording'"),
        ('{"format": "something else"}', "is not in the format 'attention recording'"),
        ("[" * 100_000, "is damaged"),
        ('{"format": NaN}', "is damaged"),
    ],
)
def test_a_foreign_header_is_refused(folder, text, message):
    (folder / "recording.json").write_text(text)
    with pytest.raises(ValueError, match=rf"recording\.json .*{message}"):
        open_recording(folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", 5, "has schema 5, this program reads 1 to 4"),
        ("action_kind", "telepathic", "action_kind must be one of"),
        ("action_sizes", ["4"], "action_sizes must be a whole number, got '4'"),
        ("action_names", ["left"], "must name each of the 4 actions, got 1"),
        ("maps", [], "needs an attention map or evidence"),
        ("maps", [{"name": "x"}], "lacks heads, layer, queries, role"),
        ("layout", 3, "layout must be a list, got 3"),
        ("layout", [{"kind": "features", "names": [1], "key": "cars"}], "names must be a string"),
        ("observation_keys", ["cars"], "layout does not fit"),
        ("layout", [{"kind": "entities", "names": ["a"], "key": "cars", "ego": 1}], "ego must be"),
        ("layout", [{"kind": "spirits", "names": ["a"]}], "kind must be one of"),
        ("fps", "fast", "fps must be a finite number, got 'fast'"),
        ("fps", 0, r"fps must be in \(0, 1000\]"),
        ("unheard", "of", r"has the unknown \['unheard'\]"),
        ("maps", [MAP | {"soft": 1}], "soft must be true or false, got 1"),
        ("maps", [MAP | {"extra_keys": [1]}], "extra_keys must be a string, got 1"),
        ("env_id", 5, "env_id must be a string, got 5"),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(folder, key, value, message):
    header = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps(header | {key: value}))
    with pytest.raises(ValueError, match=rf"recording\.json .*{message}"):
        open_recording(folder)


def test_the_fastest_recording_is_read(folder):
    header = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps(header | {"fps": 1000}))
    assert open_recording(folder).header.fps == 1000


@pytest.mark.parametrize("keep", [slice(1, None), slice(0, 0)])
@pytest.mark.parametrize("name", ["action", "observation_0"])
def test_a_chunk_with_an_array_of_another_length_is_refused(folder, name, keep):
    with np.load(folder / "episode_0000" / "chunk_00000.npz") as stored:
        arrays = dict(stored)
    header = open_recording(folder).header
    assert Chunk(arrays, header).steps == len(arrays["reward"])
    with pytest.raises(ValueError, match="its arrays are of different lengths"):
        Chunk(arrays | {name: arrays[name][keep]}, header)


@pytest.mark.parametrize(
    "summary",
    [
        {"complete": True},
        {"complete": True, "chunks": 3},
        {"complete": True, "chunks": [{"file": "../x", "steps": 1, "sha256": "0" * 64}]},
        {"complete": True, "chunks": [{"file": "chunk_00000.npz", "steps": 1, "sha256": "x"}]},
        [],
    ],
)
def test_a_damaged_end_marker_is_named(folder, summary):
    (folder / "episode_0000" / "episode.json").write_text(json.dumps(summary))
    with pytest.raises(ValueError, match=r"episode\.json is damaged"):
        open_recording(folder)


def test_another_folder_is_no_recording(tmp_path):
    with pytest.raises(ValueError, match=r"is not a recording: it has no recording\.json"):
        open_recording(tmp_path)


def test_a_taken_or_closed_folder_is_refused(folder, header, tmp_path):
    with pytest.raises(ValueError, match="is not empty"):
        RecordingWriter(folder, header)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write a recording to"):
        RecordingWriter(tmp_path / "file" / "seen", header)


def test_a_step_that_does_not_fit_is_refused(tmp_path, header, make_step):
    writer = RecordingWriter(tmp_path / "seen", header)
    with pytest.raises(ValueError, match="no episode is open"):
        writer.add_step(make_step(0))
    writer.begin_episode()
    step = make_step(0)
    with pytest.raises(ValueError, match=r"the header promises \['dash'\]"):
        writer.add_step(replace(step, observation={"cars": step.observation["cars"]}))
    maps = step.maps | {"actor/1": step.maps["actor/1"][:, :, :7]}
    with pytest.raises(
        ValueError, match=r"map actor/1 must have shape \(3 heads, 1 queries, 8 tokens\)"
    ):
        writer.add_step(replace(step, maps=maps))


def test_memory_stays_flat(tmp_path, header, make_step):
    """640 frames of 400 x 600 take no more memory than 64."""
    code = """
import resource, sys, numpy as np
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.recording.header import Header
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.step import Step
from attention_agents.recording.writer import RecordingWriter
layout = TokenLayout((TokenGroup("features", ("a", "b")),))
header = Header("X-v0", layout, (MapSpec("a", "actor", 0, 1, "readout"),), ("",), "discrete", (2,),
                "probabilities")
weights = np.full((1, 1, 2), 0.5, np.float32)
frame = np.kron(np.random.default_rng(0).integers(0, 9, (40, 60, 3)), np.ones((10, 10, 1)))
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with RecordingWriter(sys.argv[1], header) as writer:
    writer.begin_episode()
    for t in range(640):
        picture = np.roll(frame.astype(np.uint8), t, 1)
        writer.add_step(Step({"": np.zeros(2)}, np.int64(0), {"a": weights}, picture))
        if t == 70: early = peak()
print(peak() - early)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "seen")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 20


def test_reading_and_drawing_need_no_torch(folder):
    code = """
import sys
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.contact_sheet import contact_sheet
from attention_agents.recording.rendering.video import film
episode = open_recording(sys.argv[1]).episodes[0]
next(film(episode)).size
contact_sheet(sys.argv[1] + "/sheet.png", episode)
heavy = {"torch", "stable_baselines3", "policies"} & set(sys.modules)
assert not heavy, heavy
"""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True)
    assert time.perf_counter() - start < 20


def test_headers_compare_and_travel(header):
    again = Header.from_json(json.loads(json.dumps(header.to_json())))
    assert again == header
    bounded = replace(
        header,
        action_kind="continuous",
        action_sizes=(1, 1),
        action_names=None,
        action_bounds=((-2.0, 2.0), (0.0, 1.0)),
        distribution="gaussian",
    )
    assert Header.from_json(json.loads(json.dumps(bounded.to_json()))) == bounded


def test_a_recording_of_schema_1_is_read(tmp_path, header, make_step):
    """Its maps say only who asks, a byte is 1/255 of the largest weight, and one is whole."""
    folder = tmp_path / "seen"
    steps = [make_step(t) for t in range(3)]
    with RecordingWriter(folder, header) as writer:
        writer.begin_episode(3)
        for step in steps:
            writer.add_step(step)
    written = ("heads", "layer", "name", "role", "queries", "derived")
    old = json.loads((folder / "recording.json").read_text()) | {"schema": 1, "seed": None}
    old["maps"] = [
        {**{key: spec[key] for key in written}, "normalised_over": "keys"} for spec in old["maps"]
    ]
    del old["value_unit"]
    for group in old["layout"]:
        del group["ego"], group["frame"]
    whole = np.random.default_rng(0).dirichlet(np.ones(8), (3, 3, 8)).astype("f")  # (T, H, Q, N)
    old["maps"].append({**old["maps"][0], "name": "actor/2", "layer": 2, "derived": ""})
    (folder / "recording.json").write_text(json.dumps(old))
    chunk = folder / "episode_0000" / "chunk_00000.npz"
    with np.load(chunk) as stored:
        arrays = {name: stored[name] for name in stored.files if not name.startswith("map_")}
    maps = [np.stack([step.maps[f"actor/{i}"] for step in steps]) for i in (0, 1)]
    for index, weights in enumerate([*maps, whole]):
        scale = weights.max(-1)
        arrays[f"map_{index}"] = np.rint(255 * weights / scale[..., None]).astype(np.uint8)
        arrays[f"map_{index}_scale"] = scale
    np.savez(chunk, **arrays)
    (folder / "episode_0000" / "episode.json").unlink()

    recording = open_recording(folder)
    assert [spec.query_source for spec in recording.header.maps] == ["", "", ""]
    assert [group.ego for group in recording.header.layout.groups] == [None, None]
    assert [recording.header.map_shape(spec) for spec in recording.header.maps] == [
        (3, 1, 8), (3, 1, 8), (3, 8, 8)
    ]  # fmt: skip
    assert {(spec.keys, spec.normalized_over) for spec in recording.header.maps} == {
        ("tokens", "keys")
    }
    for t, (read, step) in enumerate(zip(recording.episodes[0], steps, strict=True)):
        for name, wrote in (step.maps | {"actor/2": whole[t]}).items():
            error = np.abs(read.maps[name] - wrote)
            assert (error <= wrote.max(-1, keepdims=True) * (0.5001 / 255)).all()
        assert read.soft == {} and set(read.heads.values()) == {None}


def test_a_chunk_from_another_place_is_not_taken_for_this_one(folder):
    first, second = (folder / "episode_0000" / f"chunk_0000{i}.npz" for i in (0, 1))
    first.write_bytes(second.read_bytes())
    with pytest.raises(ValueError, match=r"chunk_00000\.npz is damaged: its sha256"):
        open_recording(folder).episodes[0][0]
