"""Curves over time, and jumps to the moments that they show."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attention_agents.recording.map_view import MapView
from attention_agents.recording.page.page import write_page
from attention_agents.recording.reader import Episode, open_recording
from tests.recording.page_scene import record, scene_header


def test_one_cursor_goes_through_all_curves(show, road, seen):
    page = show(road, "t=20")
    titles = page.page.locator(".curve:visible > .title").all_text_contents()
    assert titles[:3] == ["reward", "value", "entropy of the policy"]
    assert titles[4:] == ["effective tokens", "attention shift", "step"]
    cursors = page.page.locator(".curve:visible .cursor").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().left)"
    )
    assert len(cursors) == 7 and len(set(cursors)) == 1
    said = seen[20].distribution
    assert said is not None
    entropy = float(-(said * np.log(said)).sum())
    values = page.page.locator(".curve:visible > .value").all_text_contents()
    assert values[:2] == ["1", "10"] and float(values[2]) == pytest.approx(entropy, abs=1e-3)
    assert values[3] == "idle"
    box = page.page.locator(".curve .chart").first.bounding_box()
    assert cursors[0] + 1 == pytest.approx(box["x"] + box["width"] * 20.5 / 71, abs=1)
    page.page.mouse.move(box["x"] + box["width"] * 10.5 / 71, box["y"] + 10)
    page.page.mouse.down()
    assert page.settle().t == 10
    page.page.mouse.move(box["x"] + box["width"] * 40.5 / 71, box["y"] + 10)
    page.page.mouse.up()
    assert page.settle().t == 40
    moved = page.page.locator(".curve:visible .cursor").first.bounding_box()
    assert moved["x"] > cursors[0]


def test_q_values_have_a_curve_of_their_own(show, memory):
    page = show(memory, "t=3")
    assert "Q values" in page.page.locator(".raster").get_attribute("title")
    assert "entropy of the policy" not in page.page.locator(".curves").inner_text()
    rows = page.page.locator(".action .row .weight").all_text_contents()
    assert rows == ["-3", "-2", "-1", "0", "1"]
    assert "Q value" in page.text(".action .note")


def test_a_continuous_action_has_a_band_of_one_deviation(show, tmp_path):
    kind: dict[str, Any] = dict(action_kind="continuous", action_sizes=(2,))
    names = ("steer", "throttle")
    header = replace(scene_header(), **kind, distribution="gaussian", action_names=names)
    action = np.array([0.25, 0.5], "f")
    said = np.array([[0.5, 0], [-1.5, -3], [2.5, 3]], "f")  # mean, one below, one above
    recording = open_recording(
        record(tmp_path / "seen", header, 7, action=action, distribution=said)
    )
    page = show(write_page(tmp_path / "page.html", recording), "t=2")
    curve = page.page.locator(".curve", has_text="steer")
    assert curve.locator(".range span").all_text_contents() == ["2.500", "-1.500"]
    assert curve.locator(".value").text_content() == "0.250"
    url = curve.locator("canvas").evaluate("(canvas) => canvas.toDataURL()")
    image = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    alpha = np.asarray(image.convert("RGBA"))[:, image.width // 2, 3]
    band = np.flatnonzero(alpha > 40)  # what is under the curve is fainter
    assert (band[0], band[-1]) == (4, 35)  # from the highest to the lowest number of the curve


def test_jumps(show, road, seen):
    page = show(road, "t=0")
    assert page.click("next reward").t == 6
    assert page.press("r").t == 13
    assert page.press("Shift+R").t == 6
    assert page.page.get_by_role("button", name="previous reward").is_disabled()
    page.press("Home")
    assert page.click("next action change").t == 3
    assert page.press("a").t == 6
    assert page.click("previous action change").t == 3
    shift = [0.0]
    for t in range(1, len(seen)):
        rows = [shares_by_object(seen, at) for at in (t - 1, t)]
        keys = rows[0].keys() | rows[1].keys()
        shift.append(sum(abs(rows[0].get(k, 0) - rows[1].get(k, 0)) for k in keys) / 2)
    least = max(0.1, np.sort(shift)[int(0.95 * len(shift))])
    moments = [t for t, moved in enumerate(shift) if moved >= least - 1e-6]
    page.press("Home")
    visited = [page.press("s").t for _ in moments]
    assert visited == moments and len(moments) >= 2
    assert page.press("s").t == moments[-1]
    assert page.press("Shift+S").t == moments[-2]


def shares_by_object(episode: Episode, t: int) -> dict[str, float]:
    step = episode[t]
    weights = MapView(episode.header.maps[2], None).token_weights(step).astype(float)
    assert step.places is not None
    names = [f"slot {i}" if id < 0 else f"object {id}" for i, id in enumerate(step.places.ids)]
    return {names[i]: w / weights.sum() for i, w in enumerate(weights) if w > 0}
