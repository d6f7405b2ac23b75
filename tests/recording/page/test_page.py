"""The page of a recording, without a browser: what it holds, what it lets in, how large it is."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.recording.chunk import decode_frame
from attention_agents.recording.leave_one_out import LEAVE_ONE_OUT_FILE, write_leave_one_out
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.map_view import MapView
from attention_agents.recording.page.map_arrays import NOTES, REDUCTIONS, Reduction, role_facts
from attention_agents.recording.page.packed_arrays import packed
from attention_agents.recording.page.page import (
    FOLDER,
    MAIN,
    MAX_BYTES,
    STYLES,
    assemble,
    write_page,
)
from attention_agents.recording.page.pictures import ENCODINGS, Pictures
from attention_agents.recording.page.score_arrays import LEFT_OUT
from attention_agents.recording.page.scripts import join_modules, read_module
from attention_agents.recording.page.verdict import verdict_facts
from attention_agents.recording.quantization import QuantizedRows, dequantize
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.writer import RecordingWriter
from tests.recording.page_scene import (
    CELLS,
    FRAME,
    HOSTILE,
    ODD,
    READOUT,
    SCORED,
    SQUARES,
    VERDICT,
    N,
    hostile_recording,
    record,
    scene_header,
    scene_step,
    score,
)

ROOT = Path(__file__).parents[3]


def unpacked(data: dict[str, Any]) -> np.ndarray:
    """Return the array that `packed` was given."""
    dtype = np.dtype(data["type"]).newbyteorder("<")
    values = np.frombuffer(zlib.decompress(base64.b64decode(data["data"])), dtype)
    return values.reshape(data["shape"])


class Page(HTMLParser):
    """A page taken apart as a browser would."""

    def __init__(self, path: Path):
        super().__init__()
        self.text = path.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, list[str]] = {}
        self._inside = ""
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script" and dict(attrs).get("type") == "application/json":
            self._inside = "json"
        self.blocks.setdefault(self._inside, []).append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.blocks[self._inside][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    @property
    def data(self) -> Any:
        (text,) = self.blocks["json"]
        return json.loads(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return record(tmp_path_factory.mktemp("page") / "seen", scene_header(odd=True), 70, episodes=2)


@pytest.fixture(scope="module")
def page(folder) -> Page:
    return Page(write_page(folder.parent / "page.html", open_recording(folder)))


def weights_on(arrays: dict[str, Any], name: str) -> np.ndarray:
    """Return weights (T, H, Q, K) as a page reads them."""
    codes = unpacked(arrays[name])
    if codes.dtype == np.float32:
        return codes
    scale, faint = (unpacked(arrays[f"{name}_{end}"]) for end in ("scale", "faint"))
    return dequantize(QuantizedRows(codes, scale, faint))


def test_weights_are_those_of_the_recording(page, folder):
    header = open_recording(folder).header
    for number, episode in enumerate(open_recording(folder).episodes):
        arrays = page.data["recordings"][0]["episodes"][number]["arrays"]
        for index, spec in enumerate(header.maps):
            on_page = weights_on(arrays, f"map_{index}")
            assert on_page.shape == (len(episode), *header.map_shape(spec))
            for t, step in enumerate(episode):
                np.testing.assert_array_equal(on_page[t], step.maps[spec.name])
                live = scene_step(header, t + 100 * number).maps[spec.name]
                bound = np.abs(live).max(-1, keepdims=True) / 255
                assert (np.abs(on_page[t] - live) <= bound + 1e-9).all()
            if spec.soft:
                softly = weights_on(arrays, f"soft_{index}")
                np.testing.assert_array_equal(softly[5], episode[5].soft[spec.name])
            if spec.head_weights:
                counts = unpacked(arrays[f"heads_{index}"])
                np.testing.assert_array_equal(counts[5], episode[5].heads[spec.name])


def test_bytes_of_weights_are_not_rounded_again(page, folder):
    """The codes on the page are those on the disk."""
    arrays = page.data["recordings"][0]["episodes"][0]["arrays"]
    with np.load(folder / "episode_0000" / "chunk_00000.npz") as chunk:
        for name in ("map_0", "map_0_scale", "map_0_faint", "soft_1", "map_4", "heads_2"):
            np.testing.assert_array_equal(unpacked(arrays[name])[:64], chunk[name])


def test_weights_below_zero_stay_numbers(page):
    arrays = page.data["recordings"][0]["episodes"][0]["arrays"]
    values = weights_on(arrays, "map_5")
    assert values.dtype == np.float32 and values.min() < 0


def test_steps_are_those_of_the_recording(page, folder):
    arrays = page.data["recordings"][0]["episodes"][0]["arrays"]
    read = {name: unpacked(array) for name, array in arrays.items()}
    for t, step in enumerate(open_recording(folder).episodes[0]):
        assert step.distribution is not None and step.places is not None
        for name in ("action", "value", "reward", "terminated", "truncated", "attended"):
            assert read[name][t] == getattr(step, name), name
        np.testing.assert_array_equal(read["distribution"][t, 0], step.distribution)
        np.testing.assert_array_equal(read["present"][t], step.present)
        np.testing.assert_array_equal(read["boxes"][t], step.boxes)
        np.testing.assert_array_equal(read["ids"][t], step.places.ids)
        np.testing.assert_array_equal(read["values_2"][t], step.observation["dash"])


def test_frames_are_those_of_the_recording_bit_for_bit(page, folder):
    data = page.data
    frames = unpacked(data["recordings"][0]["episodes"][0]["arrays"]["frame"])
    episode = open_recording(folder).episodes[0]
    assert len(frames) == len(episode) + 1
    for t in (0, 1, 63, 64, 69):
        shown = decode_frame(base64.b64decode(data["pictures"][frames[t]]))
        np.testing.assert_array_equal(shown, episode[t].frame)
    assert episode.final is not None
    end = decode_frame(base64.b64decode(data["pictures"][frames[-1]]))
    np.testing.assert_array_equal(end, episode.final.frame)
    assert data["notes"][0] == "Pictures are lossless (PNG)."
    assert not data["reduced"]


def test_equal_pictures_are_stored_once(tmp_path):
    header = scene_header()
    frame = np.full((*FRAME, 3), 7, np.uint8)
    folder = record(tmp_path / "seen", header, 20, frame=frame)
    data = Page(write_page(tmp_path / "page.html", open_recording(folder))).data
    assert len(data["pictures"]) == 2  # and the one that the last action led to


def test_tokens_are_shown_where_a_video_shows_them(page, folder):
    episode = open_recording(folder).episodes[0]
    plan = page.data["recordings"][0]["episodes"][0]["layout"]
    scene = Scene(episode.header, episode[0])
    assert scene.attended_frame is not None
    titles = [part.title for part in scene.layout.placed]
    assert titles == ["view", "cars"]
    assert plan == {
        "size": list(FRAME),
        "observed": None,
        "placed": [0, 1],
        "past_frames": [],
        "past_tables": [],
        "strip": None,
        "grids": [],
        "bars": [2],
    }


def test_without_a_frame_the_observation_is_the_picture(tmp_path):
    header = replace(scene_header(), picture="observation")
    folder = record(tmp_path / "seen", header, 3, frame=None)
    data = Page(write_page(tmp_path / "page.html", open_recording(folder))).data
    episode = data["recordings"][0]["episodes"][0]
    assert episode["layout"]["size"] == [2, 3] and episode["layout"]["observed"] == 0
    assert unpacked(episode["arrays"]["frame"]).tolist() == [-1, -1, -1]
    shown = unpacked(episode["arrays"]["observed_0"])[1]
    picture = decode_frame(base64.b64decode(data["pictures"][shown]))
    first = open_recording(folder).episodes[0][1]
    expected = Scene(header, first).attended_frame
    assert expected is not None and picture.shape == (2, 3, 3)


def test_an_episode_that_was_cut_short_says_so(tmp_path):
    folder = record(tmp_path / "seen", scene_header(), 70)
    (folder / "episode_0000" / "episode.json").unlink()
    recording = open_recording(folder)
    data = Page(write_page(tmp_path / "page.html", recording)).data
    assert data["recordings"][0]["episodes"][0]["missing"] == recording.missing[0] != ""


def test_words_say_what_stands_in_a_cell(tmp_path):
    header = scene_header()
    words = (("empty", "wall", "key", "door", "goal"),)
    view, *others = header.layout.groups
    layout = TokenLayout((replace(view, words=words), *others))
    folder = record(tmp_path / "seen", replace(header, layout=layout), 7)
    read = Page(write_page(tmp_path / "page.html", open_recording(folder))).data["recordings"][0]
    assert [part["words"] for part in read["parts"]] == [list(words[0]), None, None]
    categories = unpacked(read["episodes"][0]["arrays"]["category_0"])
    for t in range(7):
        seen = scene_step(header, t).observation["view"]
        np.testing.assert_array_equal(categories[t], seen.reshape(CELLS))


# What removing tokens does


def test_scores_are_on_the_page(tmp_path):
    folder = score(record(tmp_path / "seen", scene_header(), 12, episodes=2))
    recording = open_recording(folder)
    data = Page(write_page(tmp_path / "page.html", recording)).data
    read, scores = data["recordings"][0], recording.episodes[0].leave_one_out
    first, second = read["episodes"]
    assert read["verdict"]["verdict"] == VERDICT and first["unit"] == "KL, nats"
    assert not data["reduced"]
    arrays = first["arrays"]
    assert unpacked(arrays["scored"]).tolist() == list(SCORED)
    assert scores is not None and scores.value is not None
    np.testing.assert_array_equal(unpacked(arrays["causal"]), scores.causal)
    texts = np.array(first["texts"])[unpacked(arrays["hidden_text"])]
    names = np.array(recording.header.action_names)
    np.testing.assert_array_equal(texts, names[scores.action])
    np.testing.assert_array_equal(unpacked(arrays["hidden_value"]), scores.value)
    np.testing.assert_array_equal(unpacked(arrays["hidden_distribution"]), scores.distribution)
    assert scores.ground_truth is not None
    np.testing.assert_array_equal(unpacked(arrays["true"]), scores.ground_truth)
    assert "unit" not in second and "causal" not in second["arrays"]


def test_a_world_that_does_not_say_what_matters_has_no_truth_on_the_page(tmp_path):
    folder = score(record(tmp_path / "seen", scene_header(), 12))
    (episode,) = open_recording(folder).episodes
    assert episode.leave_one_out is not None
    write_leave_one_out(episode.folder, replace(episode.leave_one_out, ground_truth=None))
    data = Page(write_page(tmp_path / "page.html", open_recording(folder))).data
    arrays = data["recordings"][0]["episodes"][0]["arrays"]
    assert "true" not in arrays and "causal" in arrays


def test_what_maps_are_worth_is_laid_out_and_odd_numbers_are_left_out():
    curve = [0.0, 0.5, 2.0]
    good = {
        "name": "actor/0",
        "family": "attention",
        "verdict": "explains",
        "deletion_curve": curve,
    }
    good |= {"gain": {"mean": 0.12345, "low": -0.5, "high": 1, "steps": 9}}
    odd = {"name": 7, "gain": {"mean": "much"}, "deletion_curve": [0, None], "insertion_curve": "x"}
    chance = {"name": "random", "family": "random", "gain": {"mean": 0, "low": 0, "high": 0}}
    summary = {"verdict": VERDICT, "maps": [good, odd, chance, "x"], "drawn": "actor/0"}
    worth = verdict_facts(summary)
    assert worth is not None and worth["headings"] == ["over random"]
    first, second, third = worth["maps"]
    assert first["cells"] == ["+0.123 (-0.500 to +1.000)"] and first["drawn"]
    assert first["curves"] == [[0.0, 0.5, 1.0], []]
    assert second["name"] == "" and second["cells"] == [""] and second["curves"] == [[], []]
    assert third["cells"] == [""] and not third["drawn"]


def test_without_scores_there_is_nothing_of_them(page):
    read = page.data["recordings"][0]
    assert read["verdict"] is None and "unit" not in read["episodes"][0]


def test_scores_that_do_not_fit_are_left_out_and_that_is_said(tmp_path):
    black = np.zeros((*FRAME, 3), np.uint8)
    folder = score(record(tmp_path / "seen", scene_header(), 12, frame=black))
    for room, kept in ((60_000, True), (14_000, False)):
        path = write_page(
            tmp_path / "page.html", open_recording(folder), max_bytes=bare_size() + room
        )
        data = Page(path).data
        arrays = data["recordings"][0]["episodes"][0]["arrays"]
        assert ("hidden_distribution" in arrays) == kept, room
        assert (LEFT_OUT in data["notes"]) == (not kept) and "causal" in arrays
        assert data["reduced"] or kept


def test_damaged_scores_are_named(tmp_path):
    folder = score(record(tmp_path / "seen", scene_header(), 12))
    (folder / "episode_0000" / LEAVE_ONE_OUT_FILE).write_bytes(b"PK")
    with pytest.raises(ValueError, match=LEAVE_ONE_OUT_FILE):
        write_page(tmp_path / "page.html", open_recording(folder))


# Nothing gets in, nothing gets out


def test_the_policy_names_the_blocks_of_the_page_and_no_other(page):
    (policy,) = [
        attrs["content"]
        for tag, attrs in page.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    (script,), (style,) = page.blocks["script"], page.blocks["style"]

    def digest(text: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def test_the_page_asks_for_nothing(page):
    for word in ("http:", "https:", "//cdn", "@import", "url(", "fetch(", "XMLHttpRequest"):
        outside = page.text.replace("http://www.w3.org/2000/svg", "")
        assert word not in outside, word
    for tag, attrs in page.tags:
        assert not {"src", "href", "srcset", "style"} & set(attrs), tag
        assert not any(name.startswith("on") for name in attrs), tag
        assert tag not in ("link", "iframe", "object", "embed", "base", "form"), tag


def test_no_code_makes_markup_of_strings():
    for file in FOLDER.glob("*.js"):
        code = file.read_text("utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in code, f"{file.name} has {word}"
        assert not re.search(r"\bnew Function\b|setTimeout\(\s*[\"'`]", code), file.name


def test_all_code_is_on_the_page():
    script = join_modules(FOLDER, MAIN)
    for file in FOLDER.glob("*.js"):
        assert read_module(file).body in script, f"{file.name} is not imported"
    assert sorted(STYLES) == sorted(file.name for file in FOLDER.glob("*.css"))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_string_stays_a_string(tmp_path, page, text):
    path = write_page(tmp_path / "page.html", hostile_recording(tmp_path, text), names=(text,))
    hostile = Page(path)
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in page.tags]
    assert hostile.blocks["script"] == page.blocks["script"]
    (block,) = hostile.blocks["json"]
    assert not set("<>&") & set(block)
    read = hostile.data["recordings"][0]
    assert read["env_id"] == read["name"] == read["run"] == read["action_names"][0] == text
    assert f"{text} 1" in read["episodes"][0]["texts"]


# Size


def noisy(tmp_path: Path, steps: int, side: int) -> Path:
    """A recording whose frames no compression makes small."""
    header = scene_header(odd=True)
    with RecordingWriter(tmp_path / "noisy", header) as writer:
        writer.begin_episode(1)
        for t in range(steps):
            rng = np.random.default_rng(t)
            frame = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            writer.add_step(scene_step(header, t, frame=frame))
        writer.end_episode(scene_step(header, 0).observation, None)
    return tmp_path / "noisy"


def test_five_hundred_steps_stay_below_the_bound(tmp_path):
    """Noise of 210 x 160 pixels is larger than any Atari frame; lossless it would take 67 MB."""
    header = scene_header()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (210, 160, 3), dtype=np.uint8)
    with RecordingWriter(tmp_path / "seen", header) as writer:
        writer.begin_episode(1)
        for t in range(500):
            writer.add_step(scene_step(header, t, frame=np.roll(noise, t, axis=0)))
        writer.end_episode(scene_step(header, 0).observation, None)
    path = write_page(tmp_path / "page.html", open_recording(tmp_path / "seen"))
    assert path.stat().st_size <= MAX_BYTES == 25_000_000
    data = Page(path).data
    assert data["reduced"] and "lossy" in data["notes"][0]
    assert data["notes"][-1] == NOTES["none"]  # the weights had room
    assert len(unpacked(data["recordings"][0]["episodes"][0]["arrays"]["action"])) == 500


def bare_size() -> int:
    return len(assemble({}).encode())


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (6_000_000, ["Pictures are lossless (PNG).", NOTES["none"]]),
        (2_000_000, ["Pictures are lossy (WebP, quality 85), to save room.", NOTES["none"]]),
        (600_000, ["one step in", NOTES["none"]]),
        (260_000, ["one step in", NOTES["queries"]]),
        (72_000, ["one step in", NOTES["heads"]]),
    ],
)
def test_what_does_not_fit_is_reduced_and_said(tmp_path, room, said):
    recording = open_recording(noisy(tmp_path, 80, 128))
    path = write_page(tmp_path / "page.html", recording, max_bytes=bare_size() + room)
    assert path.stat().st_size <= bare_size() + room
    notes = Page(path).data["notes"]
    for words in said:
        assert any(words in note for note in notes), notes


def test_dropped_pictures_are_those_before(tmp_path):
    recording = open_recording(noisy(tmp_path, 80, 128))
    path = write_page(tmp_path / "page.html", recording, max_bytes=bare_size() + 420_000)
    data = Page(path).data
    (words,) = [note for note in data["notes"] if "one step in" in note]
    every = int(re.findall(r"one step in (\d+)", words)[0])
    frames = unpacked(data["recordings"][0]["episodes"][0]["arrays"]["frame"])
    assert every > 1
    np.testing.assert_array_equal(frames, np.arange(80) // every)
    assert len(data["pictures"]) == -(-80 // every)


def test_reduced_maps_are_means_as_a_video_shows_them(tmp_path):
    recording = open_recording(noisy(tmp_path, 40, 16))
    for room, reduction in ((160_000, "queries"), (36_000, "heads")):
        path = write_page(tmp_path / "page.html", recording, max_bytes=bare_size() + room)
        data = Page(path).data
        assert NOTES[reduction] in data["notes"] and data["reduced"]
        read = data["recordings"][0]
        assert read["roles"]["actor"]["layers"] == []
        for index, spec in enumerate(recording.header.maps):
            fact = read["maps"][index]
            on_page = weights_on(read["episodes"][0]["arrays"], f"map_{index}")
            count = spec.heads if reduction == "queries" else 1
            assert on_page.shape == (40, count, 1, fact["K"])
            assert (fact["stored_heads"], fact["Q"]) == (count, 1)
            if spec.keys != "tokens":
                continue
            for t in (0, 4, 39):
                step = recording.episodes[0][t]
                heads = range(spec.heads) if reduction == "queries" else [None]
                for row, head in zip(on_page[t, :, 0], heads, strict=True):
                    expected = MapView(spec, head).token_weights(step)
                    np.testing.assert_allclose(np.abs(row[:N]), expected, atol=expected.max() / 254)


def test_what_does_not_fit_at_all_is_refused(tmp_path):
    recording = open_recording(record(tmp_path / "seen", scene_header(), 70))
    with pytest.raises(ValueError, match=r"70 steps do not fit into .* MB, .* fewer"):
        write_page(tmp_path / "page.html", recording, max_bytes=bare_size() + 20_000)
    assert not list(tmp_path.glob("page*"))


def test_encodings_go_from_the_best_to_the_smallest():
    pool = Pictures()
    rng = np.random.default_rng(0)
    shown = [np.array([pool.add(rng.integers(0, 256, (400, 96, 3), np.uint8)) for _ in range(64)])]
    sizes = []
    for room in (10**9, *(0,) * (len(ENCODINGS) - 1)):
        encoded = pool.fit_into(shown, room or sizes[-1] - 1)
        assert encoded is not None
        sizes.append(sum(len(text) + 4 for text in encoded.texts))
        assert encoded.encoding == ENCODINGS[len(sizes) - 1]
    assert pool.fit_into(shown, sizes[-1] - 1) is None


def test_small_pictures_are_never_lossy():
    pool = Pictures()
    cells = np.random.default_rng(0).integers(0, 256, (7, 7, 3), np.uint8)
    shown = [np.array([pool.add(cells), -1])]
    for encoding in ENCODINGS:
        encoded = pool._encode_all([0], encoding, 10**6)
        assert encoded is not None
        np.testing.assert_array_equal(decode_frame(base64.b64decode(encoded.texts[0])), cells)
        assert encoded.places(shown[0])[0] == 0
        assert encoded.notes[0] == "Pictures are lossless (PNG)."
        assert encoded.reduced == (encoding.stride > 1)


# Rollout


def rollout_of(*maps: MapSpec, reduction: Reduction = "none") -> dict[str, Any]:
    return role_facts(replace(scene_header(), maps=maps), reduction)["actor"]


def test_rollout_goes_through_all_layers():
    found = rollout_of(*SQUARES, READOUT)
    assert found == {
        "own_map": 2,
        "layers": [0, 1],
        "readout": 2,
        "recorded": None,
        "reason": "",
    }
    found = rollout_of(*reversed(SQUARES))
    assert found == {
        "own_map": 0,
        "layers": [1, 0],
        "readout": None,
        "recorded": None,
        "reason": "",
    }


def test_a_recorded_rollout_is_found_and_no_layer_of_the_next():
    rolled = replace(READOUT, name="actor/rollout", heads=1, derived="rollout")
    found = rollout_of(*SQUARES, READOUT, rolled)
    assert found == {
        "own_map": 2,
        "layers": [0, 1],
        "readout": 2,
        "recorded": 3,
        "reason": "",
    }
    found = rollout_of(*SQUARES, READOUT, rolled, reduction="queries")
    assert found["layers"] == [] and found["recorded"] == 3
    assert "left out" in found["reason"]


@pytest.mark.parametrize(
    ("maps", "reason"),
    [
        ((READOUT,), "attention has one layer, whose row is shown as it is"),
        ((replace(SQUARES[0], derived="mean over queries"), READOUT), "were not recorded"),
        ((*SQUARES, READOUT, ODD[0]), "not every layer goes from tokens to tokens"),
        ((*SQUARES, ODD[1]), "not every layer goes from tokens to tokens"),
        ((replace(SQUARES[0], normalized_over="none"), READOUT), "weights that sum to 1"),
        ((*SQUARES, replace(SQUARES[0], name="b", part="time")), "not every layer"),
    ],
)
def test_rollout_is_not_offered_where_it_cannot_be_computed(maps, reason):
    facts = rollout_of(*maps)
    assert reason in facts["reason"] and facts["layers"] == []


# Writing


def test_the_page_is_the_same_every_time(tmp_path, folder):
    first = write_page(tmp_path / "a.html", open_recording(folder)).read_bytes()
    assert write_page(tmp_path / "b.html", open_recording(folder)).read_bytes() == first


def test_several_recordings_stand_on_one_page(tmp_path, folder):
    other = record(tmp_path / "other", scene_header(), 5)
    recordings = [open_recording(folder), open_recording(other)]
    path = write_page(tmp_path / "page.html", recordings, names=("before", "after"), episodes=1)
    read = Page(path).data["recordings"]
    assert [(one["name"], len(one["episodes"])) for one in read] == [("before", 1), ("after", 1)]
    assert read[1]["episodes"][0]["steps"] == 5


def test_mistakes_are_named(tmp_path, folder):
    recording, path = open_recording(folder), tmp_path / "page.html"
    with pytest.raises(ValueError, match=r"names must name each of 1 recordings, got 2"):
        write_page(path, recording, names=("a", "b"))
    with pytest.raises(ValueError, match=r"episodes must be at least 1, got 0"):
        write_page(path, recording, episodes=0)
    with pytest.raises(ValueError, match=r"a page needs at least one recording, got none"):
        write_page(path, [])
    with RecordingWriter(tmp_path / "empty", scene_header()):
        pass
    with pytest.raises(ValueError, match=r"empty holds no step: its recording was cut short"):
        write_page(path, open_recording(tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"cannot write .*nowhere"):
        write_page(tmp_path / "nowhere" / "page.html", recording)
    chunk = folder.parent / "torn" / "episode_0000" / "chunk_00001.npz"
    record(folder.parent / "torn", scene_header(), 70)
    chunk.write_bytes(chunk.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"step 64 of .* cannot be read: .*sha256"):
        write_page(path, open_recording(folder.parent / "torn"))
    assert not path.exists() and not list(tmp_path.glob("*.tmp*"))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
def test_arrays_come_back(dtype):
    values = np.random.default_rng(0).integers(0, 200, (3, 5, 2)).astype(dtype)
    back = unpacked(json.loads(json.dumps(packed(values))))
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


def test_other_arrays_are_refused():
    assert unpacked(packed(np.array([True, False]))).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"must be of int8, uint8, int32, .*, got complex128"):
        packed(np.zeros(3, complex))


def test_a_page_is_written_without_torch(tmp_path, folder):
    code = f"""
import sys
for name in ("torch", "stable_baselines3", "policies", "agents"):
    sys.modules[name] = None
from attention_agents.recording.reader import open_recording
from attention_agents.recording.page.page import write_page
write_page({str(tmp_path / "page.html")!r}, open_recording({str(folder)!r}))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "page.html").stat().st_size > bare_size()


def test_reductions_are_told_apart():
    assert list(NOTES) == list(REDUCTIONS) and len(set(NOTES.values())) == len(REDUCTIONS)
