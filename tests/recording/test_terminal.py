"""Replaying in a terminal: what is drawn, and what a pipe gets."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from recording import RecordingWriter, open_recording
from recording.terminal import UPPER, Screen, half_blocks, play_in_terminal

T = 3


@pytest.fixture
def episode(tmp_path, header, make_step):
    with RecordingWriter(tmp_path / "recording", header) as writer:
        writer.begin_episode(5)
        for t in range(T):
            writer.add(make_step(t))
        writer.end_episode()
    return open_recording(tmp_path / "recording").episodes[0]


def test_a_character_is_two_pixels():
    pixels = np.array([[[255, 0, 0]], [[0, 0, 255]], [[0, 255, 0]], [[7, 7, 7]]], np.uint8)
    text = half_blocks(Image.fromarray(pixels))
    assert text.plain == f"{UPPER}\n{UPPER}"
    assert [span.style for span in text.spans] == ["#ff0000 on #0000ff", "#00ff00 on #070707"]


def test_a_pipe_gets_a_line_per_step(episode):
    out = io.StringIO()
    play_in_terminal(episode, Console(file=out, width=40))
    lines = out.getvalue().splitlines()
    assert len(lines) == T
    for t, step in enumerate(episode):
        best = int(step.maps["actor/1"].mean(0)[0, :N_TOKENS].argmax())
        assert lines[t].startswith(f"step {t}  {('left', 'right', 'faster')[t]}  reward ")
        assert f"attends to {NAMES[best]} " in lines[t]


NAMES = ("ego car", "car 1", "car 2", "car 3", "car 4", "speed", "heading", "fuel")
N_TOKENS = 8


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 30)])
def test_a_screen_fits(episode, width, height):
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True)
    console.print(Screen(episode).draw(episode[1], 1, width, height))
    rows = out.getvalue().splitlines()
    best = int(episode[1].maps["actor/1"].mean(0)[0].argmax())
    assert len(rows) <= height
    for word in ("step 1 of 3", "right", NAMES[best]):
        assert word in out.getvalue()


def test_a_terminal_is_played_to_at_the_asked_rate(episode, monkeypatch):
    waits = []
    monkeypatch.setattr("recording.terminal.time.sleep", waits.append)
    monkeypatch.setattr("recording.terminal.time.monotonic", lambda: 0.0)
    out = io.StringIO()
    play_in_terminal(episode, Console(file=out, force_terminal=True, width=80), fps=4)
    assert waits == [0.25] * T


def test_without_a_picture_there_are_numbers(tmp_path, header, make_step):
    with RecordingWriter(tmp_path / "blind", header) as writer:
        writer.begin_episode(5)
        writer.add(make_step(0, frame=None, places=None))
        writer.end_episode()
    episode = open_recording(tmp_path / "blind").episodes[0]
    out = io.StringIO()
    Console(file=out, width=80).print(Screen(episode).draw(episode[0], 0, 80, 24))
    assert UPPER not in out.getvalue() and "left" in out.getvalue()


def test_a_wrong_layer_is_refused(episode):
    with pytest.raises(ValueError, match="layer must be 0 to 1, got 9"):
        play_in_terminal(episode, Console(file=io.StringIO()), layer=9)
