"""Objects of past steps: a row each, followed by who they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.recording.leave_one_out import LeaveOneOut, write_leave_one_out
from attention_agents.recording.observation_images import group_slices
from attention_agents.recording.page.page import write_page
from attention_agents.recording.query.attention_shift import attention_shift
from attention_agents.recording.reader import open_recording
from attention_agents.recording.scene.display import MAX_ROWS, format_rest
from attention_agents.recording.scene.past_objects import past_objects
from attention_agents.recording.scene.scene_layout import past_entities
from tests.recording.page.browser.browser_page import Shown
from tests.recording.page.browser.stored import weights_of
from tests.recording.past_scene import (
    ROAD,
    N,
    Road,
    older,
    strangers_at,
    unknown_at,
)

TABLE = """(table) => [...table.querySelectorAll("tbody tr")].filter((row) => !row.hidden).map(
  (row) => [
    row.querySelector("th").textContent,
    [...row.querySelectorAll("button")].filter((one) => !one.hidden).map((one) =>
      one.getAttribute("aria-label")),
    row.querySelector(".weight").textContent,
  ])"""
"""Of each row its name, the labels of its bars and its sum."""


@pytest.fixture(scope="module")
def past(tmp_path_factory) -> Path:
    return page_of(tmp_path_factory.mktemp("past"), ROAD, 7)


def page_of(folder: Path, road: Road, steps: int) -> Path:
    road.record(folder / "seen", steps)
    return write_page(folder / "page.html", open_recording(folder / "seen"))


def past_table(page: Shown, n: int = 0) -> dict[str, list[str]]:
    """Return the labels of the bars by the name of their row; without a bar there is none."""
    return {name: bars for name, bars, _ in page.page.locator(".past").nth(n).evaluate(TABLE)}


def labels(path: Path, t: int, n: int = 0) -> dict[str, list[str]]:
    """Return what a table should say, in its order, from what was recorded."""
    (episode,) = open_recording(path.parent / "seen").episodes
    weights, parts = weights_at(path, t), group_slices(episode.header.layout)
    objects = past_objects(past_entities(parts)[n], episode[t])
    words = {-1: "-1 step", -2: "-2 steps"}
    return {
        each.name: [
            f"{each.name}, {words[offset]}: weight {weights[i]:.3f}"
            for offset, i in objects[each].items()
        ]
        for each in sorted(objects, key=lambda item: item.rank)
    }


def weights_at(path: Path, t: int) -> np.ndarray:
    (episode,) = open_recording(path.parent / "seen").episodes
    return weights_of(episode, 0, "mean", t)


def test_an_object_of_the_past_is_one_row(show, past):
    page = show(past, "t=2")
    expected = labels(past, 2)
    assert list(expected) == ["car 11", "car 12", "car 20", "car 21", "ego car"]
    assert expected["car 11"][1].startswith("car 11, -1 step: weight 0.09")
    table = past_table(page)
    assert list(table.items()) == list(expected.items())
    assert not page.page.locator(".past .rest").is_visible(), "there is room for all"
    assert past_table(page.press("Home")) == {}, "before the episode nobody was there"
    assert page.text(".past .note") == "weight, sum 0.00"


def test_a_row_that_nobody_knows_is_not_the_object_of_its_number(show, tmp_path):
    path = page_of(tmp_path, Road(who=unknown_at), 3)
    page = show(path, "t=2")
    table = past_table(page)
    assert table == labels(path, 2)
    assert [len(table[name]) for name in ("car 1", "car, row 1", "ego car")] == [2, 2, 2]
    assert page.text(".past .note").startswith("weight, sum 0.46, ")


def test_a_table_of_one_row_goes_by_its_key(show, tmp_path):
    path = page_of(tmp_path, Road(goal=True), 3)
    page = show(path, "t=2")
    titles = page.page.locator(".past h3").all_text_contents()
    assert titles == ["past steps of cars", "past steps of goal"]
    for n, name in enumerate(("car 11", "goal")):
        assert past_table(page, n) == labels(path, 2, n)
        assert len(past_table(page, n)[name]) == 2
    notes = page.page.locator(".past .note").all_text_contents()
    weights = weights_at(path, 2)
    assert notes == [
        f"weight, sum {own.sum():.2f}, full bar {own.max():.3f}"
        for own in (weights[:8], weights[N : N + 2])
    ]
    page.page.locator("button[aria-label^='goal, -2 steps']").click()
    assert page.settle().text(".chosen-token .taken") == "goal, -2 steps"


def test_bars_have_a_scale_of_their_own(show, past):
    page = show(past, "t=2")
    weights = weights_at(past, 2)
    assert page.text(".past .note") == f"weight, sum 0.46, full bar {weights[7]:.3f}"
    widths = page.page.locator(".past button:visible").evaluate_all(
        """all => Object.fromEntries(all.map((one) => [one.getAttribute("aria-label").split(":")[0],
            parseFloat(one.querySelector(".filled").style.width)]))"""
    )
    assert widths["car 21, -1 step"] == 100
    assert widths["car 20, -2 steps"] == pytest.approx(50, abs=1), "token 3 weighs half of token 7"


def test_what_has_no_room_is_summed_up(show, tmp_path):
    road = Road(19, strangers_at)
    path = page_of(tmp_path, road, 19)
    page = show(path, "t=18")
    rows = page.page.locator(".past").evaluate(TABLE)
    assert len(rows) == MAX_ROWS
    objects = past_objects(road.parts[:-1], road.step(18))
    weights = weights_at(path, 18)
    sums = sorted(float(weights[list(seen.values())].sum()) for seen in objects.values())[::-1]
    assert page.text(".past .rest") == format_rest(55 - MAX_ROWS, f"{sum(sums[MAX_ROWS:]):.3f}")
    (ego,) = [row for row in rows if row[0] == "ego car"]
    assert len(ego[1]) == 14, "the newest steps have room"
    assert float(ego[2]) == pytest.approx(sums[0], abs=6e-4), "a sum is over all steps"
    assert page.text(".past .note").startswith(f"weight, sum {weights[:-4].sum():.2f}, ")
    assert weights[:16].sum() > 0.03, "the steps that have no room count"


def test_what_matters_is_said_and_every_column_has_a_heading(show, tmp_path):
    ROAD.record(tmp_path / "seen", 3)
    (episode,) = open_recording(tmp_path / "seen").episodes
    scores = LeaveOneOut(
        steps=np.array([2]),
        causal=np.ones((1, N), "f"),
        distribution=np.zeros((1, N, 2), "f"),
        action=np.zeros((1, N), int),
        value=None,
        unit="KL, nats",
        ground_truth=np.isin(np.arange(N), [5])[None],
    )
    write_leave_one_out(episode.folder, scores)
    page = show(write_page(tmp_path / "page.html", open_recording(tmp_path / "seen")), "t=2")
    said = [bar for bars in past_table(page).values() for bar in bars]
    assert [bar for bar in said if bar.endswith(", matters")] == [
        labels(tmp_path / "page.html", 2)["car 12"][1] + ", matters"
    ]
    columns = page.page.locator(".past thead th")
    assert columns.all_text_contents() == ["object", "-2", "-1", "sum"]
    scopes = columns.evaluate_all("all => all.map((one) => one.scope)")
    assert scopes == ["col"] * 4


def test_names_of_older_recordings_are_understood(show, tmp_path):
    road = Road(goal=True)
    road.record(tmp_path / "seen", 3, older(road.header))
    path = write_page(tmp_path / "page.html", open_recording(tmp_path / "seen"))
    page = show(path, "t=2")
    for n in (0, 1):
        assert past_table(page, n) == labels(path, 2, n)


@pytest.mark.parametrize("width", [360, 400])
def test_the_table_fits_the_window(show, tmp_path, width: int):
    road = Road(16, strangers_at)
    groups = [
        replace(group, names=tuple(f"articulated lorry or {name}" for name in group.names))
        for group in road.header.layout.groups
    ]
    road.record(tmp_path / "seen", 17, replace(road.header, layout=TokenLayout(tuple(groups))))
    path = write_page(tmp_path / "page.html", open_recording(tmp_path / "seen"))
    page = show(path, "t=15", viewport={"width": width, "height": 800})
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = page.page.locator(".past, .past *").evaluate_all(
        """(all, width) => all.filter((one) => one.getBoundingClientRect().right > width + 0.5)
          .map((one) => one.outerHTML)""",
        width,
    )
    assert beyond == []
    heads = page.page.locator(".past thead th")
    written = [text for text in heads.all_text_contents() if text]
    assert written == ["object", "-12", "-8", "-4", "sum"], "there is no room for each"
    spoken = heads.evaluate_all("all => all.map((one) => one.ariaLabel)")
    assert spoken[1:-1] == [*(f"{t} steps" for t in range(-14, -1)), "-1 step"]
    widths = heads.evaluate_all("all => all.map((one) => one.getBoundingClientRect().width)")
    assert widths[1:-1] == pytest.approx([widths[1]] * 14, abs=1.1) and widths[1] > 10
    note = page.page.locator(".past .note")
    assert "full bar" in note.text_content()
    assert note.evaluate("(one) => one.scrollWidth <= one.clientWidth")


def test_a_chosen_object_of_the_past_is_followed_as_such(show, past):
    page = show(past, "t=2")
    page.page.locator("button[aria-label^='car 12, -1 step:']").click()
    page.settle()
    assert page.text(".chosen-token .taken") == "car 12, -1 step"
    assert page.state()["token"] == 5
    assert page.press("ArrowRight").state()["token"] == 6, "it was in another row then"
    assert page.text(".chosen-token .taken") == "car 12, -1 step"
    page.page.locator("button[aria-label^='car 22, -1 step:']").click()
    assert page.settle().press("ArrowRight").state()["token"] == -1
    assert "It is absent at this step." in page.text(".chosen-token")


def test_attention_that_stays_with_objects_has_not_moved(show, past):
    page = show(past, "t=4")
    (episode,) = open_recording(past.parent / "seen").episodes
    weights = np.stack([step.maps["actor/0"][0, 0] for step in episode])
    shift = attention_shift(episode, weights)[4]
    assert 0 < shift < 0.5
    curve = page.page.locator(".curve", has_text="attention shift").locator(".value")
    assert float(curve.text_content()) == pytest.approx(shift, abs=2e-3)
