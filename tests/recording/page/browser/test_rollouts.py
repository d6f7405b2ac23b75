"""Attention rollouts on the page: computed or recorded, their heads, and two sides with one map."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attention_agents.recording.map_view import MapView
from attention_agents.recording.page.page import write_page
from attention_agents.recording.reader import open_recording
from tests.recording.page.browser.browser_page import Shown
from tests.recording.page.browser.stored import weights_of
from tests.recording.page_scene import READOUT, SQUARES, H, N, record, scene_header


def test_rollout_is_the_product_of_all_layers(show, tmp_path):
    path = write_page(
        tmp_path / "page.html", open_recording(record(tmp_path / "seen", scene_header(), 6))
    )
    step = open_recording(tmp_path / "seen").episodes[0][4]
    page = show(path, "t=4&layer=rollout")
    assert page.state()["map"] == "rollout"
    reached = MapView(scene_header().maps[2], None).token_weights(step).astype(float)
    for name in ("actor/1", "actor/0"):
        A_l = step.maps[name].mean(0).astype(float) + np.eye(N)
        reached = reached @ (A_l / A_l.sum(-1, keepdims=True))
    np.testing.assert_allclose(page.read("weights"), reached, rtol=1e-6)
    assert "rollout (derived)" in page.text(".attention")


@pytest.mark.parametrize("whole", [True, False])
def test_a_recorded_rollout_is_what_is_shown_at_first(show, tmp_path, whole):
    squares = SQUARES if whole else [replace(s, derived="mean over queries") for s in SQUARES]
    rolled = replace(READOUT, name="actor/rollout", heads=1, head_weights=False, derived="rollout")
    header = replace(scene_header(), maps=(*squares, READOUT, rolled))
    recording = open_recording(record(tmp_path / "seen", header, 6))
    page = show(write_page(tmp_path / "page.html", recording), "t=4")
    assert "rollout (derived)" in page.text(".attention")
    page.choose("Map", "layer 2, readout")
    assert page.state()["map"] == 2
    page.choose("Map", "rollout (derived)")
    page.wait("location.hash.includes('layer=rollout')")
    if not whole:
        step = recording.episodes[0][4]
        expected = MapView(rolled, None).token_weights(step)
        np.testing.assert_allclose(page.read("weights"), expected, rtol=1e-6)
    assert page.text(".heads") and "heads of layer 2, readout" in page.text(".panel")
    rolled = page.state()["map"]
    head = page.page.get_by_role("button", name=re.compile("^head 1 "))
    head.click()
    assert (page.settle().state()["map"], page.state()["head"]) == (2, 1)
    head.click()
    assert (page.settle().state()["map"], page.state()["head"]) == (rolled, "mean")


ROLLED, OWN = 3, 2  # places of the recorded rollout and of the readout's own map


def shown_maps(page: Shown) -> list[tuple[Any, Any]]:
    sides = [page.state(n) for n in range(page.page.evaluate("replay.panes()"))]
    return [(side["map"], side["head"]) for side in sides]


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (["h"], (OWN, 0)),
        (["h", "h"], (OWN, 1)),
        (["Shift+H"], (OWN, H - 1)),
        (["x"], (OWN, "max")),
        (["m"], (OWN, "mean")),
        (["m", "l"], (ROLLED, "mean")),
        (["x", "l"], (ROLLED, "mean")),
    ],
)
def test_a_head_of_a_rollout_is_one_of_the_readout(show, pair, keys, shown):
    page = show(pair, "t=4")
    assert shown_maps(page) == [(ROLLED, "mean")]
    assert shown_maps(page.press(*keys)) == [shown]


@pytest.mark.parametrize("link", ["head=1", "layer=rollout&head=1"])
def test_a_link_to_a_head_shows_that_of_the_readout(show, pair, link):
    page = show(pair, f"t=4&{link}")
    expected = weights_of(open_recording(pair.parent / "with").episodes[0], OWN, 1, 4)
    np.testing.assert_allclose(page.read("weights"), expected, rtol=1e-6)
    assert shown_maps(page) == [(OWN, 1)]


def test_a_head_is_let_go_of_for_what_was_shown_before_it(show, pair):
    page = show(pair, "t=4&head=1")
    heads = page.page.locator(".heads button")
    for before, path in (
        ((ROLLED, "mean"), (1,)),  # of the link
        ((ROLLED, "mean"), (0, 2, 2)),
    ):
        for n in path:
            heads.nth(n).click()
        assert shown_maps(page.settle()) == [before]
    page.press("x")
    heads.nth(2).click()
    heads.nth(2).click()
    assert shown_maps(page.settle()) == [(OWN, "max")]


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("", [OWN, OWN]),
        ("recording=0&recording2=2", [ROLLED, ROLLED]),
        ("recording=1&recording2=2", [OWN, OWN]),
        ("layer=0&recording2=1", [0, 0]),
        ("recording2=1&layer2=1", [1, 1]),
        ("head=1&recording2=2", [OWN, OWN]),
    ],
)
def test_two_sides_open_with_the_same_map(show, pair, link, shown):
    page = show(pair, link)
    assert [place for place, _ in shown_maps(page)] == shown
    assert not page.page.locator(".other-map:visible").count()


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (
            "layer=rollout&recording2=1&layer2=rollout",
            "layer 2, readout instead of rollout; there is no rollout here",
        ),
        (
            "recording=1&layer=rollout&recording2=0&layer2=rollout",
            "rollout instead of layer 2, readout; there is no rollout on the left",
        ),
        ("layer=0&recording2=1&layer2=1", "layer 1 instead of layer 0"),
    ],
)
def test_two_sides_with_other_maps_say_so(show, pair, link, said):
    page = show(pair, link)
    told = page.page.locator(".other-map:visible")
    assert told.all_text_contents() == [f"another map than on the left: {said}"]
    assert told.evaluate("(one) => one.closest('.side').previousElementSibling !== null")


def test_a_rollout_that_nobody_asked_for_gives_way_to_what_both_have(show, pair):
    page = show(pair, "t=4")
    beside = page.page.get_by_label("Beside")
    for label, shown in (
        ("without 0: 6 steps, return 0", [OWN, OWN]),
        ("again 0: 6 steps, return 0", [ROLLED, ROLLED]),
        ("compare with ...", [ROLLED]),
    ):
        beside.select_option(label=label)
        assert [place for place, _ in shown_maps(page.settle())] == shown
    page.choose("Map", "layer 2, readout").choose("Map", "rollout (derived)")
    beside.select_option(label="without 0: 6 steps, return 0")
    assert [place for place, _ in shown_maps(page.settle())] == [ROLLED, OWN]
    assert "there is no rollout here" in page.page.locator(".other-map:visible").inner_text()


def test_a_map_of_one_head_has_no_number_for_each(show, pair):
    page = show(pair, "t=4&token=5")
    rows = page.page.locator(".chosen-token tbody tr").all()
    read = [row.locator("td").all_text_contents() for row in rows]
    assert all(all(cells) and len(cells) == 1 + H for cells in read[:-1])
    mean = weights_of(open_recording(pair.parent / "with").episodes[0], ROLLED, "mean", 4)[5]
    assert read[-1] == [f"{mean:.3f}", "", "", ""]
