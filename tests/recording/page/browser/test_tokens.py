"""A chosen token: its row, its history, its name, and the strip of a memory."""

from __future__ import annotations

import re

import numpy as np
import pytest

from attention_agents.recording.map_view import MapView
from attention_agents.recording.reader import open_recording
from tests.recording.page.browser.stored import weights_of
from tests.recording.page_scene import CELLS, LAGS


def test_a_click_on_a_token_shows_its_row_and_its_history(show, road, seen):
    page = show(road, "t=5&layer=0")
    page.click_picture(50, 38)
    assert page.state()["token"] == 5 and page.text(".chosen-token .taken") == "row 1 col 2"
    np.testing.assert_allclose(
        page.read("weights"), seen[5].maps["actor/0"][:, 5].mean(0), rtol=1e-6
    )
    assert "its row: what it reads" in page.text(".chosen-token")
    cells = page.page.locator(".chosen-token tbody tr").first.locator("td").all_text_contents()
    reads = [weights_of(seen, 0, head, 5)[5] for head in ("mean", 0, 1, 2)]
    assert cells == [f"{weight:.3f}" for weight in reads]
    curve = page.page.locator(".curve", has_text="weight of row 1 col 2")
    assert curve.is_visible()
    page.press("ArrowRight")
    assert float(curve.locator(".value").text_content()) == pytest.approx(
        weights_of(seen, 0, "mean", 6)[5], abs=6e-4
    )
    page.choose("Query", "mean over tokens")
    np.testing.assert_allclose(page.read("weights"), weights_of(seen, 0, "mean", 6), rtol=1e-6)
    page.click_picture(50, 38)
    assert page.state()["token"] == -1 and not curve.is_visible()


def test_a_chosen_object_is_followed(show, road):
    page = show(road, "t=0")
    page.page.get_by_role("button", name=re.compile("^car 11")).click()
    assert page.settle().state()["token"] == CELLS + 1
    assert page.press("ArrowRight").state()["token"] == CELLS + 2  # the two have changed places
    assert page.text(".chosen-token .taken") == "car 11"
    page.press("t")
    assert page.state()["token"] == CELLS + 3
    page.press("Shift+T")
    assert page.state()["token"] == CELLS + 2
    page.press("Escape")
    assert page.state()["token"] == -1
    assert not page.page.locator(".chosen-token").is_visible()


def test_the_list_of_tokens_has_the_names_of_the_picture(show, road):
    page = show(road, "t=0")
    token = page.page.get_by_label("Token", exact=True)
    chosen = "(select) => select.selectedOptions[0].textContent"

    def names() -> list[str]:
        return token.locator("option").all_text_contents()[1 + CELLS : 1 + CELLS + 3]

    assert names() == ["ego car", "car 11", "car 12"]
    page.choose("Token", "car 11").press("ArrowRight")
    assert names() == ["ego car", "car 12", "car 11"]
    assert token.evaluate(chosen) == page.text(".chosen-token .taken") == "car 11"
    page.press("ArrowRight", "ArrowRight", "ArrowRight")
    assert names() == ["ego car", "car 11, absent", "car 12"]
    assert token.evaluate(chosen) == "car 11, absent"
    assert page.text(".chosen-token .taken") == "car 11"
    page.choose("Token", "car 12")
    assert page.state()["token"] == CELLS + 2


def test_a_chosen_object_keeps_its_name_where_another_is_in_its_place(show, road):
    page = show(road, f"t=1&token={CELLS + 1}&object=77")
    assert page.text(".chosen-token .taken") == "car 77"
    token = page.page.get_by_label("Token", exact=True)
    assert token.evaluate("(one) => one.selectedOptions[0].textContent") == "car 77, absent"
    assert page.page.locator(".curve", has_text="weight of car 77").is_visible()


def test_the_memory_strip(show, memory):
    page = show(memory, "t=2")
    episode = open_recording(memory.parent / "seen").episodes[0]
    weights = MapView(episode.header.maps[0], None).token_weights(episode[2])
    slots = page.page.locator(".slot")
    assert slots.count() == LAGS
    labels = [slot.get_attribute("aria-label") for slot in slots.all()]
    assert labels[:2] == [f"step {n}, before the episode began" for n in (-4, -3)]
    words = [f"step {w}, weight {weights[i]:.3f}" for i, w in ((2, "-2"), (3, "-1"), (4, "now"))]
    assert labels[2:] == words
    for place, step in ((2, 0), (3, 1), (4, 2)):  # each slot shows the frame of its step
        assert (page.pixels(f".slot:nth-child({place + 1}) canvas")[3, 3] == 10 * step).all()
    slots.nth(3).click()
    assert page.settle().state()["token"] == 3
    title = page.page.locator(".curve .title", has_text=re.compile("^weight of -1 step$"))
    assert title.is_visible()
