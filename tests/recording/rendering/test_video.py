"""Films and contact sheets of an episode."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.envs.tokens.specs import History
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.contact_sheet import choose_moments, contact_sheet
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.rendering.video import film, write_video
from attention_agents.recording.scene.playback import film_rate
from attention_agents.recording.writer import RecordingWriter


@pytest.fixture
def episode(tmp_path, header, make_step):
    with RecordingWriter(tmp_path / "seen", header) as writer:
        writer.begin_episode(3)
        for t in range(7):
            writer.add_step(make_step(t, terminated=t == 6))
        writer.end_episode(make_step(7).observation, make_step(7).frame)
    return open_recording(tmp_path / "seen").episodes[0]


def test_a_film_shows_every_step_and_what_the_last_led_to(episode):
    pictures = list(film(episode, hold=2))
    assert len(pictures) == 7 + 1 + 2
    assert len({picture.size for picture in pictures}) == 1
    assert pictures[-1] is pictures[-3]


def test_a_film_shows_the_past_of_each_step(tmp_path, header, make_step):
    group = History(4, 2).token_groups("")[0]
    maps = (MapSpec("actor/0", "actor", 0, 1, "readout"),)
    header = replace(header, layout=TokenLayout((group,)), maps=maps, observation_keys=("",))
    rows = {"observation": {"": np.zeros((4, 3))}, "maps": {"actor/0": np.full((1, 1, 4), 0.25)}}
    steps = [make_step(t, **rows, mask=None, places=None) for t in range(6)]
    with RecordingWriter(tmp_path / "seen", header) as writer:
        writer.begin_episode()
        for step in steps:
            writer.add_step(step)
    episode = open_recording(tmp_path / "seen").episodes[0]
    scene = Scene(header, episode[0])
    for t, picture in enumerate(film(episode)):
        past = [step.frame for step in steps[max(0, t - 3) : t]]
        total = sum(step.reward for step in steps[: t + 1])
        np.testing.assert_array_equal(picture, scene.draw(episode[t], t, past, total))


def test_an_mp4_holds_every_picture(episode, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = write_video(tmp_path / "seen.mp4", film(episode), 5)
    assert path == tmp_path / "seen.mp4"
    frames = imageio_ffmpeg.read_frames(str(path))
    facts = next(frames)
    assert facts["codec"] == "h264"
    assert facts["fps"] == 5
    first = next(film(episode))
    assert tuple(facts["size"]) == first.size
    shown = [np.frombuffer(frame, np.uint8).reshape(*first.size[::-1], 3) for frame in frames]
    assert len(shown) == 8
    assert np.abs(shown[0].astype(int) - np.asarray(first)).mean() < 6
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seen", "seen.mp4"]


def test_without_ffmpeg_it_is_a_gif(episode, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    path = write_video(tmp_path / "seen.mp4", film(episode), 5)
    assert path == tmp_path / "seen.gif"
    with Image.open(path) as shown:
        assert shown.n_frames == 8
        assert shown.info["duration"] == 200


def test_a_fault_leaves_no_half_video(episode, tmp_path):
    def broken():
        yield from list(film(episode))[:3]
        raise ValueError("the episode is damaged")

    with pytest.raises(ValueError, match="the episode is damaged"):
        write_video(tmp_path / "seen.mp4", broken(), 5)
    assert [p.name for p in tmp_path.iterdir()] == ["seen"]
    with pytest.raises(ValueError, match="no picture to write"):
        write_video(tmp_path / "seen.mp4", [], 5)


def test_short_episodes_are_slowed_down(episode):
    assert film_rate(episode) == 2.0


def test_a_contact_sheet_is_a_png(episode, tmp_path):
    path = contact_sheet(tmp_path / "sheet.png", episode, layer=0, head=1)
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width == 1402
    with pytest.raises(ValueError, match="cannot write"):
        contact_sheet(tmp_path / "nowhere" / "sheet.png", episode)


def test_moments_are_spread_and_meet_the_rewards():
    assert choose_moments(np.ones(5)) == [0, 1, 2, 3, 4]
    even = choose_moments(np.ones(500))
    assert len(even) == 12
    assert even[0] == 0 and even[-1] == 499
    assert max(np.diff(even)) < 50
    rewards = np.zeros(500)
    rewards[[17, 333]] = 1
    chosen = choose_moments(rewards)
    assert {0, 17, 333, 499} <= set(chosen)
    assert len(chosen) <= 12
    assert len(choose_moments(np.random.default_rng(0).normal(size=500))) == 12
