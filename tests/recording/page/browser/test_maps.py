"""Every map, head, role and query that can be chosen shows the weights that are stored."""

from __future__ import annotations

import numpy as np

from attention_agents.recording.map_spec import mean_over_queries
from tests.recording.page.browser.stored import weights_of
from tests.recording.page_scene import H, N


def test_every_layer_and_head_is_the_stored_one(show, road, seen):
    page = show(road)
    for t in (4, 64):  # a token is absent; the second chunk
        for index, name in enumerate(("layer 0", "layer 1", "layer 2, readout")):
            page.open(f"t={t}").choose("Map", name)
            for option in ("mean of 3", "max of 3", "head 0", "head 1", "head 2"):
                page.choose("Head", option)
                head = int(option[-1]) if option.startswith("head") else option[: option.find(" ")]
                expected = weights_of(seen, index, head, t)
                np.testing.assert_allclose(page.read("weights"), expected, rtol=1e-6, atol=1e-9)


def test_layers_and_heads_by_key(show, road):
    page = show(road)
    assert (page.state()["map"], page.state()["head"]) == (2, "mean")
    assert page.press("h").state()["head"] == "max"
    assert page.press("h", "h").state()["head"] == 1
    assert page.press("Shift+H").state()["head"] == 0
    assert page.press("x").state()["head"] == "max"
    assert "largest of 3 heads (derived)" in page.text(".attention")
    assert page.press("m").state()["head"] == "mean"
    assert page.press("Shift+L").state()["map"] == 1
    assert page.press("l", "l").state()["map"] == 3


def test_heads_are_small_pictures_that_choose(show, road, seen):
    page = show(road, "t=5&layer=0")
    heads = page.page.locator(".heads button")
    assert heads.count() == H
    heads.nth(1).click()
    assert (
        page.settle().state()["head"] == 1 and heads.nth(1).get_attribute("aria-pressed") == "true"
    )
    np.testing.assert_allclose(page.read("weights"), weights_of(seen, 0, 1, 5), rtol=1e-6)
    heads.nth(1).click()
    assert page.settle().state()["head"] == "mean"


def test_other_roles_and_odd_maps(show, road, seen):
    page = show(road, "t=5")
    page.choose("Role", "critic")
    np.testing.assert_allclose(page.read("weights"), weights_of(seen, 5, "mean", 5), rtol=1e-6)
    assert "unnormalized" in page.text(".attention")
    page.choose("Role", "actor").choose("Map", "layer 3, slots")
    np.testing.assert_allclose(page.read("weights"), weights_of(seen, 3, "mean", 5), rtol=1e-5)
    page.choose("Query", "slots 1")
    rows = seen[5].maps["actor/3/slots"][:, 1].astype(float)
    shares = rows / rows.sum(-1, keepdims=True)
    np.testing.assert_allclose(page.read("weights"), shares.mean(0), rtol=1e-5)
    page.choose("Map", "layer 4 (channels)")
    assert "weighs channels, which stand nowhere" in page.text(".legend .words")
    rows = seen[5].maps["actor/4"][0, 0]
    np.testing.assert_allclose(page.read("row"), np.abs(rows), rtol=1e-6)


def test_weights_before_a_hard_choice(show, road, seen):
    page = show(road, "t=5&layer=1")
    page.choose("Weights", "before the choice")
    spec = seen.header.maps[1]
    asking = spec.query_mask(seen[5].present, N)
    expected = mean_over_queries(seen[5].soft[spec.name], asking).mean(0)[0]
    np.testing.assert_allclose(page.read("weights"), expected, rtol=1e-6)
