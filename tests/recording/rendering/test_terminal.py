"""Replaying in a terminal: what is drawn, and what a pipe gets."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.terminal import (
    GAP,
    PANEL,
    UPPER,
    Screen,
    half_blocks,
    play_in_terminal,
)
from attention_agents.recording.writer import RecordingWriter

T = 3


@pytest.fixture
def episode(tmp_path, header, make_step):
    with RecordingWriter(tmp_path / "recording", header) as writer:
        writer.begin_episode(5)
        for t in range(T):
            writer.add_step(make_step(t))
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
        assert f"attends to {named(step, best)} " in lines[t]


NAMES = ("ego car", "car 1", "car 2", "car 3", "car 4", "speed", "heading", "fuel")


def named(step, i):
    """Cars go by their identities."""
    known = step.places.ids[i]
    return f"car {known}" if known >= 0 and NAMES[i].startswith("car") else NAMES[i]


N_TOKENS = 8


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 30)])
def test_a_screen_fits(episode, width, height):
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True)
    console.print(Screen(episode).draw(episode[1], 1, width, height))
    rows = out.getvalue().splitlines()
    best = int(episode[1].maps["actor/1"].mean(0)[0].argmax())
    assert len(rows) <= height
    for word in ("step 1 of 3", "right", named(episode[1], best)):
        assert word in out.getvalue()


@pytest.fixture
def rolled(tmp_path, header, make_step):
    """An episode with a rollout, whose query_source has a long name."""
    long = "query learned for each part of the road"
    spec = replace(
        header.maps[1], name="actor/rollout", heads=1, derived="rollout", query_source=long
    )
    weights = np.random.default_rng(0).dirichlet(np.ones(N_TOKENS), (1, 1)).astype("f")
    step = make_step(0)
    with RecordingWriter(tmp_path / "rolled", replace(header, maps=(*header.maps, spec))) as writer:
        writer.begin_episode(5)
        writer.add_step(replace(step, maps={**step.maps, spec.name: weights}))
        writer.end_episode()
    return open_recording(tmp_path / "rolled").episodes[0]


@pytest.mark.parametrize("layer", [None, 1])
@pytest.mark.parametrize("width", [40, 60, 80, 110, 160, 240])
def test_every_row_of_the_picture_is_whole(rolled, width, layer):
    out = io.StringIO()
    console = Console(file=out, width=width, height=50, force_terminal=True, color_system=None)
    console.print(Screen(rolled, layer).draw(rolled[0], 0, width, 50))
    rows = [line for line in out.getvalue().splitlines() if UPPER in line]
    columns = min(max(8, width - PANEL - GAP), 141)  # 20 x 30 pixels in 94 high are 141 wide
    assert [row.count(UPPER) for row in rows] == [columns] * len(rows)
    assert all(row.startswith(UPPER * columns + " " * GAP) for row in rows)
    assert len(rows) == round(20 * columns / 30) // 2
    assert ("rollout" in out.getvalue()) == (layer is None)


def test_a_terminal_is_played_to_at_the_asked_rate(episode, monkeypatch):
    waits = []
    monkeypatch.setattr("attention_agents.recording.rendering.terminal.time.sleep", waits.append)
    monkeypatch.setattr("attention_agents.recording.rendering.terminal.time.monotonic", lambda: 0.0)
    out = io.StringIO()
    play_in_terminal(episode, Console(file=out, force_terminal=True, width=80), fps=4)
    assert waits == [0.25] * T


def test_without_a_picture_there_are_numbers(tmp_path, header, make_step):
    with RecordingWriter(tmp_path / "blind", header) as writer:
        writer.begin_episode(5)
        writer.add_step(make_step(0, frame=None, places=None))
        writer.end_episode()
    episode = open_recording(tmp_path / "blind").episodes[0]
    out = io.StringIO()
    Console(file=out, width=80).print(Screen(episode).draw(episode[0], 0, 80, 24))
    assert UPPER not in out.getvalue() and "left" in out.getvalue()


def test_a_wrong_layer_is_refused(episode):
    with pytest.raises(ValueError, match="layer must be 0 to 1, got 9"):
        play_in_terminal(episode, Console(file=io.StringIO()), layer=9)
