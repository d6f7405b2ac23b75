"""What is drawn on the frame: colors by weight, names, lines, and what the pointer is on."""

from __future__ import annotations

import numpy as np
import pytest

from attention_agents.recording.map_view import MapView
from attention_agents.recording.rendering.heat import compute_heat, even_weight
from attention_agents.recording.scene.colors import heat_table
from attention_agents.recording.scene.display import MAX_HEAT_OPACITY
from tests.recording.page_scene import CELLS, N


def test_the_drawn_cell_is_the_stored_weight(show, road, seen):
    """Canvas to disk: the color of each cell's middle is that of its weight on its frame."""
    page = show(road, "t=5&layer=2&head=1")
    heat, drawn = page.read("heat"), page.pixels()
    weights, factor = MapView(seen.header.maps[2], 1).token_weights(seen[5]), drawn.shape[1] / 60
    boxes = np.where(np.arange(N)[:, None] < CELLS, seen[5].boxes, np.nan) * np.float32(factor)
    even = even_weight(weights, seen[5].present)
    expected = compute_heat(weights, boxes, even, drawn.shape[:2])
    spots = [(x, y) for x in range(3, heat["width"], 37) for y in range(3, heat["height"], 37)]
    lift = page.page.evaluate("(spots) => spots.map(([x, y]) => replay.lift(x, y))", spots)
    assert (heat["height"], heat["width"]) == drawn.shape[:2] and len(spots) > 100
    np.testing.assert_allclose(lift, [expected.lift[y, x] for x, y in spots], rtol=1e-5)
    assert heat["top"] == pytest.approx(expected.top, rel=1e-6)
    bare = show(road, "t=5&layer=2&head=1&opacity=0").pixels()
    for i in range(CELLS):
        x, y = int(np.mean(boxes[i, ::2])), int(boxes[i, 1] + 0.9 * (boxes[i, 3] - boxes[i, 1]))
        level = round(255 * expected.lift[y, x] / expected.top)
        opacity = MAX_HEAT_OPACITY * (level / 255) ** 0.75
        mixed = opacity * heat_table()[level] + (1 - opacity) * bare[y, x]
        np.testing.assert_allclose(drawn[y, x], mixed, atol=3)


def test_opacity_by_slider_and_key(show, road, seen):
    page = show(road, "t=5&layer=0")
    slider = page.page.get_by_label("Opacity")
    assert slider.input_value() == "68"
    covered = page.pixels()
    page.press("Shift+O", "Shift+O")
    assert slider.input_value() == "48"
    assert page.press("o").page.get_by_label("Opacity").input_value() == "58"
    slider.fill("0")
    frame, bare = seen[5].frame, page.settle().pixels()
    assert frame is not None and (covered != bare).any()
    factor = bare.shape[1] / 60
    for x, y in ((2, 37), (58, 38), (15, 30)):
        place = int((y + 0.5) * factor), int((x + 0.5) * factor)
        np.testing.assert_allclose(bare[place], frame[y, x], atol=6)


def test_the_scale_of_colours(show, road):
    page = show(road, "t=5&layer=2")
    automatic = page.read("heat")["top"]
    page.choose("Scale", "to 20 x even")
    assert page.read("heat")["top"] == 20 != automatic
    assert page.text(".scale .top") == "20.0 x an even spread"
    page.choose("Scale", "to the largest")
    assert page.read("heat")["top"] == automatic


def test_entities_have_names_and_lines(show, road, seen):
    page = show(road, "t=5&layer=2")
    weights = MapView(seen.header.maps[2], None).token_weights(seen[5])
    named = [text for text in page.page.evaluate("window.written") if "car" in text]
    best = int(np.argmax(weights[CELLS : CELLS + 3]))
    name = ("ego car", "car 12", "car 11")[best]  # at odd steps the two have changed places
    assert f"{name}  {weights[CELLS + best]:.2f}" in named
    with_lines, boxes = page.pixels(), seen[5].boxes
    without = show(road, "t=5&layer=0").pixels()  # every token asks: there is no line
    other = CELLS + 1 if weights[CELLS + 1] > weights[CELLS + 2] else CELLS + 2
    factor = with_lines.shape[1] / 60
    middles = [np.array([boxes[i, [0, 2]].mean(), boxes[i, [1, 3]].mean()]) for i in (CELLS, other)]
    x, y = (np.mean(middles, 0) * factor).astype(int)
    along = with_lines[y - 6 : y + 7, x].astype(int) - without[y - 6 : y + 7, x]
    away = with_lines[y + 14 : y + 20, x].astype(int) - without[y + 14 : y + 20, x]
    assert np.abs(along).max() > np.abs(away).max() + 30


def test_a_name_is_under_the_pointer(show, road, seen):
    page = show(road, "t=5&layer=2")
    box = page.page.locator("canvas.picture").bounding_box()
    page.page.mouse.move(box["x"] + 8, box["y"] + 0.9 * box["height"])
    weight = MapView(seen.header.maps[2], None).token_weights(seen[5])[3]
    assert page.text(".tip") == f"row 1 col 0  {weight:.3f}"
    page.page.mouse.move(5, 5)
    assert not page.page.locator(".tip").is_visible()
