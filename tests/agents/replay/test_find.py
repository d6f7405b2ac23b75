"""The link to the first step that answers a question: which episode, step and map it names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attention_agents.agents.replay.find import find_matches
from attention_agents.agents.replay.options import FindOptions
from attention_agents.recording.page.page import write_page
from attention_agents.recording.reader import Recording, open_recording
from tests.recording.page.browser.browser_page import Shown
from tests.recording.page_scene import READOUT, SQUARES, record, scene_header

STEPS = 7
"""Steps of the first episode; the second has one less, and values above 50."""
ROLLED = replace(READOUT, name="actor/rollout", heads=1, head_weights=False, derived="rollout")


@pytest.fixture
def seen(tmp_path: Path) -> Recording:
    header = replace(scene_header(), maps=(*SQUARES, READOUT, ROLLED), created="2026-01-02")
    return open_recording(record(tmp_path / "seen", header, STEPS, episodes=2))


def link(recording: Recording, condition: str = "value > 51", **view: Any) -> str | None:
    """Return the link that an answer names; None where it names none."""
    options = FindOptions(path=str(recording.folder), condition=condition, **view)
    answer = find_matches(options)
    assert answer.lines[0].startswith("episode_0001 step 3 ")
    assert answer.notes[0] == "3 of 13 steps"
    if len(answer.notes) == 1:
        return None
    words, colon, found = answer.notes[1].partition(": ")
    assert (words, colon) == ("the first of them", ": ")
    return found


ASKED = [
    ({}, ""),
    ({"layer": 1}, "&layer=1"),
    ({"layer": 1, "head": 2}, "&layer=1&head=2"),
    ({"head": 2}, "&layer=2&head=2"),
]
"""Where only a head is named, the page must be told whose: the rollout has none."""


@pytest.mark.parametrize(("asked", "words"), ASKED)
def test_a_link_names_the_episode_and_the_map(seen: Recording, asked, words) -> None:
    page = write_page(seen.folder / "replay.html", seen)
    assert link(seen, **asked) == f"{page}#t=3&episode=1{words}"


def test_there_is_no_link_where_no_page_shows_the_step(seen: Recording) -> None:
    assert link(seen) is None
    page = write_page(seen.folder / "replay.html", seen, episodes=1)
    assert link(seen) is None, "the page holds the first episode alone"
    page.write_text("something else")
    assert link(seen) is None


def test_a_link_names_the_recording_on_a_page_of_two(seen: Recording, tmp_path: Path) -> None:
    header = replace(seen.header, created="2026-03-04")
    other = open_recording(record(tmp_path / "other", header, 5))
    page = write_page(seen.folder / "replay.html", [other, seen], names=("one", "two"))
    assert link(seen) == f"{page}#t=3&recording=1&episode=1"


@pytest.mark.parametrize(("asked", "expected"), [({}, None), ({"layer": 1, "head": 2}, (1, 2))])
def test_a_link_opens_the_right_episode(browser, seen: Recording, asked, expected) -> None:
    page = write_page(seen.folder / "replay.html", seen)
    found = link(seen, **asked)
    assert found is not None
    shown = Shown(browser.new_page(), page).open(found.partition("#")[2])
    chosen = shown.page.get_by_label("Episode", exact=True).first
    assert chosen.evaluate("(list) => list.selectedOptions[0].text").startswith("1: 6 steps")
    assert shown.t == 3
    state = shown.state()
    if expected is None:
        assert "rollout" in shown.text(".attention")
    else:
        assert (state["map"], state["head"]) == expected
    assert shown.errors == []
    shown.page.close()
