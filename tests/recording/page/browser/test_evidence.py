"""Evidence on the page: first, in two hues, beside attention, and alone where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attention_agents.recording.evidence_spec import EvidenceSpec
from attention_agents.recording.evidence_view import NO_ATTENTION, UNDEFINED
from attention_agents.recording.page.page import write_page
from attention_agents.recording.reader import open_recording
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.writer import RecordingWriter
from tests.recording.page_scene import scene_header, scene_step

SPEC = EvidenceSpec(("steer", "gas"), "mean of the action", "mean", 300, "300 states", "entities")


def write(folder: Path, stock: bool) -> Path:
    header = replace(scene_header(), evidence=SPEC)
    header = replace(header, maps=()) if stock else header
    N = len(header.layout)
    with RecordingWriter(folder / "seen", header) as writer:
        writer.begin_episode(1)
        for t in range(5):
            evidence = np.random.default_rng(t).normal(size=(2, N)).astype("f") * [[1], [3]]
            if t == 3:
                evidence[:] = np.nan
            step = scene_step(header, t)
            maps = {} if stock else step.maps
            writer.add_step(replace(step, evidence=evidence.astype("f"), maps=maps))
    return write_page(folder / "page.html", open_recording(folder / "seen"))


@pytest.mark.parametrize("stock", [False, True])
def test_the_page_shows_the_recorded_evidence_first(show, tmp_path, stock):
    path = write(tmp_path, stock)
    page = show(path, "t=2")
    episode = open_recording(tmp_path / "seen").episodes[0]
    scene = Scene.of_episode(episode)
    assert page.state()["map"] == "evidence"
    np.testing.assert_allclose(
        page.read("weights"), scene.view.token_weights(episode[2]), rtol=1e-4, atol=1e-6
    )
    words = page.text(".attention")
    assert "evidence on gas, 1 of 2" in words and (NO_ATTENTION in words) == stock
    page.open("t=3")
    assert UNDEFINED in page.text(".attention")
    page.open("t=2&layer=evidence&component=0")
    assert "evidence on steer, 1 of 2" in page.text(".attention")
    page.press("e")
    assert (page.state()["map"] == "evidence") == stock
