"""Recordings in the formats of others: the same numbers, each map at its own observation."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from attention_agents.recording.export import episode_arrays, export_minari, export_npz
from attention_agents.recording.reader import open_recording
from attention_agents.recording.writer import RecordingWriter

T = 5


@pytest.fixture
def recording(tmp_path, header, make_step):
    with RecordingWriter(tmp_path / "recording", header) as writer:
        for seed in (3, 4):
            writer.begin_episode(seed)
            for t in range(T + seed):
                writer.add_step(make_step(10 * seed + t, terminated=t == T + seed - 1))
            writer.end_episode(make_step(99).observation, make_step(99).frame)
    return open_recording(tmp_path / "recording")


def test_arrays_hold_every_step(recording):
    episode = recording.episodes[1]
    arrays = episode_arrays(episode)
    for t, step in enumerate(episode):
        for key in ("cars", "dash"):
            np.testing.assert_array_equal(arrays[f"observation/{key}"][t], step.observation[key])
        np.testing.assert_array_equal(arrays["attention/actor/1"][t], step.maps["actor/1"])
        np.testing.assert_array_equal(arrays["boxes"][t], step.boxes)
        assert arrays["value"][t] == step.value and arrays["reward"][t] == step.reward
    assert arrays["action"].shape == arrays["terminated"].shape == (T + 4,)
    assert arrays["final_observation/dash"].shape == (3,)


def test_an_npz_is_read_by_numpy_alone(recording, tmp_path):
    path = export_npz(tmp_path / "all.npz", recording)
    with np.load(path, allow_pickle=False) as file:
        assert file["seed"].tolist() == [3, 4]
        assert json.loads(str(file["header"]))["env_id"] == "Road-v0"
        own = episode_arrays(recording.episodes[0])
        assert {f"episode_0000/{name}" for name in own} < set(file.files)
        for name, array in own.items():
            np.testing.assert_array_equal(file[f"episode_0000/{name}"], array)


def test_an_npz_holds_as_many_episodes_as_are_asked_for(recording, tmp_path):
    with np.load(export_npz(tmp_path / "one.npz", recording, episodes=1)) as file:
        assert file["seed"].tolist() == [3]
        assert {name.split("/")[0] for name in file.files} == {"header", "seed", "episode_0000"}
    for wrong in (0, 3):
        with pytest.raises(ValueError, match=f"episodes must be 1 to 2 in this rec.*, got {wrong}"):
            export_npz(tmp_path / "wrong.npz", recording, episodes=wrong)


def test_an_npz_that_cannot_be_written_is_told(recording, tmp_path):
    with pytest.raises(ValueError, match=r"cannot write .*all.npz"):
        export_npz(tmp_path / "missing" / "all.npz", recording)
    assert not list(tmp_path.glob("**/*.tmp*"))


def test_minari_gets_each_map_beside_the_observation_that_it_read(recording, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari", reason="the extra `minari` is not installed")
    pytest.importorskip("h5py", reason="the extra `minari` is not installed")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    dataset = minari.load_dataset(export_minari("road/attention-v0", recording))
    assert dataset.total_episodes == 2 and dataset.total_steps == 2 * T + 7
    for played, episode in zip(dataset.iterate_episodes(), recording.episodes, strict=True):
        length = len(episode)
        assert played.observations["dash"].shape == (length + 1, 3)
        maps = played.infos["attention"]["actor_1"]
        assert maps.shape == (length + 1, 3, 1, 8) and np.isnan(maps[-1]).all()
        for t, step in enumerate(episode):
            np.testing.assert_array_equal(played.observations["dash"][t], step.observation["dash"])
            np.testing.assert_array_equal(maps[t], step.maps["actor/1"])
        np.testing.assert_array_equal(played.rewards, episode.rewards)
        assert played.terminations[-1] and not played.terminations[:-1].any()
    first = minari.load_dataset(export_minari("road/first-v0", recording, episodes=1))
    assert (first.total_episodes, first.total_steps) == (1, T + 3)
    with pytest.raises(ValueError, match="Minari refuses the dataset 'road/attention-v0'"):
        export_minari("road/attention-v0", recording)
    with pytest.raises(ValueError, match="Minari refuses the dataset 'no id'"):
        export_minari("no id", recording)


def test_what_was_cut_short_has_no_last_observation(tmp_path, header, make_step):
    pytest.importorskip("minari", reason="the extra `minari` is not installed")
    with RecordingWriter(tmp_path / "torn", header) as writer:
        writer.begin_episode(1)
        writer.add_step(make_step(0))
    with pytest.raises(ValueError, match="needs its last observation"):
        export_minari("road/torn-v0", open_recording(tmp_path / "torn"))


def test_an_empty_recording_is_refused(tmp_path, header):
    with RecordingWriter(tmp_path / "empty", replace(header)):
        pass
    with pytest.raises(ValueError, match="holds no step"):
        export_npz(tmp_path / "all.npz", open_recording(tmp_path / "empty"))
