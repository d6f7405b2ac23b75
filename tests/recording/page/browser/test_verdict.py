"""The verdict on a map stands in the head, with the numbers behind it."""

from __future__ import annotations

import pytest

from attention_agents.recording.leave_one_out import write_faithfulness
from attention_agents.recording.page.page import write_page
from attention_agents.recording.page.verdict import COLUMNS
from attention_agents.recording.reader import open_recording
from tests.recording.page_scene import VERDICT, record, scene_header, score


def test_the_verdict_stands_in_the_head(scored, show, road):
    assert scored.text(".head .verdict") == VERDICT
    page = show(road, "t=0")
    assert page.page.locator(".verdict").count() == 0
    assert page.text(".head .unmeasured") == (
        "Whether this map explains the policy has not been measured: "
        "evaluate faithfulness RECORDING measures it."
    )
    assert scored.page.locator(".unmeasured").count() == 0
    page.click_picture(50, 38)
    assert not page.page.get_by_role("button", name="hide this token").is_visible()


def test_the_numbers_behind_the_verdict_unfold(show, tmp_path):
    folder = score(record(tmp_path / "seen", scene_header(), 12))
    curves = {"deletion_curve": [0.0, 0.5, 1.0], "insertion_curve": [0.0, 0.25, 1.0]}
    found = {"mean": 0.25, "low": 0.125, "high": 0.5, "steps": 9}
    names = ("actor/2", "causal", "random")
    maps = [{"name": n, "deletion": found, "verdict": "explains", **curves} for n in names]
    summary = {"verdict": VERDICT, "unit": "KL, nats", "maps": maps, "rule": "A rule."}
    write_faithfulness(folder, summary | {"drawn": "actor/2"})
    page = show(write_page(tmp_path / "page.html", open_recording(folder)))
    table = page.page.locator(".worth table")
    assert not table.is_visible()
    page.page.locator("summary.verdict").click()
    assert table.locator("tbody tr").count() == 3
    row = table.locator("tr.drawn").first.locator("th, td").all_text_contents()
    assert row == ["actor/2 (drawn)", "explains", "0.250 0.125 to 0.500"]
    assert table.locator("tr.drawn .interval").text_content() == "0.125 to 0.500"
    numbers = page.page.locator(".worth svg").first.locator("text").all_text_contents()
    assert numbers == ["1", "0", "0%", "100% of the tokens"]
    assert page.page.locator(".worth svg").count() == 2
    line = page.page.locator(".worth svg polyline.drawn").nth(1).get_attribute("points")
    assert line == "0.0,90.0 100.0,67.5 200.0,0.0"
    assert page.text(".worth > p") == "A rule."


@pytest.mark.parametrize(("width", "whole"), [(1280, True), (400, False)])
def test_all_numbers_of_the_verdict_are_in_sight(show, tmp_path, width, whole):
    folder = score(record(tmp_path / "seen", scene_header(), 12))
    found = {"mean": -0.25, "low": -0.125, "high": 0.5, "steps": 9}
    one = {name: found for name, _ in COLUMNS.values()} | {"verdict": "does not explain"}
    maps = [one | {"name": name} for name in ("actor/rollout", "gradient x input")]
    write_faithfulness(
        folder, {"verdict": VERDICT, "unit": "KL, nats", "maps": maps, "drawn": "actor/rollout"}
    )
    path = write_page(tmp_path / "page.html", open_recording(folder))
    page = show(path, viewport={"width": width, "height": 900})
    page.page.locator("summary.verdict").click()
    wide = page.page.locator(".worth .wide")
    assert wide.locator("thead th").count() == 2 + len(COLUMNS)
    room, needed = wide.evaluate("(one) => [one.clientWidth, one.scrollWidth]")
    assert (needed <= room) == whole
    wide.evaluate("(one) => (one.scrollLeft = 200)")
    names = wide.locator("tbody th").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().left)"
    )
    left = wide.bounding_box()["x"]
    assert all(at == pytest.approx(left, abs=1) for at in names)  # names stay in sight
