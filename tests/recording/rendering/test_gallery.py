"""The most and the least attended pieces of an episode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.gallery import (
    COLUMNS,
    GAP,
    MARGIN,
    MIN_STEPS_APART,
    SIDE,
    TITLE,
    choose_extremes,
    gallery,
)
from attention_agents.recording.rendering.gallery import HEADING as HEAD
from attention_agents.recording.writer import RecordingWriter

N = 8


def test_extremes_are_the_largest_and_the_smallest_and_no_token_repeats_at_once():
    lifts = np.ones((7, 3))
    lifts[1] = (5, 0.2, np.nan)
    lifts[2, 0] = 4  # the same token one step later
    lifts[6, 0] = 3
    lifts[3, 1] = 0.1
    assert [(p.step, p.token, p.lift) for p in choose_extremes(lifts, -1)] == [(1, 0, 5), (6, 0, 3)]
    assert [(p.step, p.token) for p in choose_extremes(lifts, 1)] == [(3, 1)]
    assert abs(6 - 1) >= MIN_STEPS_APART > abs(3 - 1)
    assert len(choose_extremes(np.arange(2.0, 32).reshape(1, 30), -1, count=4)) == 4


def test_a_piece_is_what_stands_there(tmp_path, header, make_step):
    """The first car is attended to alone; the page begins with its patch of the frame."""
    weights = np.zeros((3, 1, N), np.float32)
    weights[..., 1] = 1
    frame = np.zeros((20, 30, 3), np.uint8)
    frame[2:4, 3:6] = (10, 200, 30)
    with RecordingWriter(tmp_path / "recording", header) as writer:
        writer.begin_episode(0)
        writer.add_step(
            make_step(0, maps=dict.fromkeys(("actor/0", "actor/1"), weights), frame=frame)
        )
        writer.end_episode()
    (episode,) = open_recording(tmp_path / "recording").episodes
    with Image.open(gallery(tmp_path / "gallery.png", episode)) as page:
        assert page.width == 2 * MARGIN + COLUMNS * (SIDE + GAP) - GAP
        middle = (MARGIN + SIDE // 2, TITLE + HEAD + SIDE // 2)
        assert page.getpixel(middle) == (10, 200, 30)


def test_without_a_picture_there_is_no_gallery(tmp_path, header, make_step):
    with RecordingWriter(tmp_path / "recording", header) as writer:
        writer.begin_episode(0)
        writer.add_step(make_step(0, frame=None, places=None))
        writer.end_episode()
    (episode,) = open_recording(tmp_path / "recording").episodes
    with pytest.raises(ValueError, match="no token of Road-v0 stands on one"):
        gallery(tmp_path / "gallery.png", episode)
    with pytest.raises(ValueError, match="layer must be 0 to 1, got 7"):
        gallery(tmp_path / "gallery.png", episode, layer=7)


def test_a_gallery_that_cannot_be_written_is_told(tmp_path, header, make_step):
    with RecordingWriter(tmp_path / "recording", replace(header)) as writer:
        writer.begin_episode(0)
        writer.add_step(make_step(0))
        writer.end_episode()
    (episode,) = open_recording(tmp_path / "recording").episodes
    with pytest.raises(ValueError, match="cannot write"):
        gallery(tmp_path / "missing" / "gallery.png", episode)
