"""Objects of past steps: a row each, followed by who they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recording import open_recording
from recording.page import write_page
from recording.past_table import objects_of
from recording.shift import attention_shift
from tests.recording import past_scene
from tests.recording.browser import Shown
from tests.recording.past_scene import record_past


@pytest.fixture(scope="module")
def past(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("past")
    record_past(folder / "seen", 7)
    return write_page(folder / "page.html", open_recording(folder / "seen"))


def past_table(page: Shown) -> dict[str, list[str]]:
    """Return the label of each bar, by the name of its row; without a bar there is none."""
    rows = page.page.locator(".past tbody tr:visible").all()
    return {
        row.locator("th").text_content(): [
            bar.get_attribute("aria-label") for bar in row.locator("button:visible").all()
        ]
        for row in rows
    }


def test_an_object_of_the_past_is_one_row(show, past):
    page = show(past, "t=2")
    weights = np.arange(1, past_scene.N + 1) / (past_scene.N * (past_scene.N + 1) / 2)
    said = {
        f"{name}, {offset} steps": f"{weights[i]:.3f}"
        for name, seen in objects_of(past_scene.PARTS[:-1], past_scene.past_step(2)).items()
        for offset, i in seen.items()
    }
    table = past_table(page)
    assert list(table) == ["car 11", "car 12", "car 21", "ego car"]
    assert [len(bars) for bars in table.values()] == [2, 2, 1, 2]
    for name, bars in table.items():
        for bar in bars:
            when, weight = bar.split(": weight ")
            assert when.startswith(name) and float(weight) == pytest.approx(
                float(said[when]), abs=2e-3
            )
    assert page.text(".past .rest").startswith("1 other, 0.05"), "car 20, which is gone"
    assert past_table(page.press("Home")) == {}, "before the episode nobody was there"


def test_a_chosen_object_of_the_past_is_followed_as_such(show, past):
    page = show(past, "t=2")
    page.page.locator("button[aria-label^='car 12, -1 steps']").click()
    page.settle()
    assert page.text(".chosen-token .taken") == "car 12, -1 steps"
    assert page.state()["token"] == 5
    assert page.press("ArrowRight").state()["token"] == 6, "it was in another row then"
    assert page.text(".chosen-token .taken") == "car 12, -1 steps"
    page.page.locator("button[aria-label^='car 22, -1 steps']").click()
    assert page.settle().press("ArrowRight").state()["token"] == -1
    assert "It is not there at this step." in page.text(".chosen-token")


def test_attention_that_stays_with_objects_has_not_moved(show, past):
    page = show(past, "t=4")
    (episode,) = open_recording(past.parent / "seen").episodes
    weights = np.stack([step.maps["actor/0"][0, 0] for step in episode])
    shift = attention_shift(episode, weights)[4]
    assert 0 < shift < 0.5
    curve = page.page.locator(".curve", has_text="attention shift").locator(".value")
    assert float(curve.text_content()) == pytest.approx(shift, abs=2e-3)
