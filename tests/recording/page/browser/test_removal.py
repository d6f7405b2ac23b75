"""What removing tokens does: the causal map, and the policy without a token."""

from __future__ import annotations

import numpy as np

from attention_agents.recording.reader import open_recording
from tests.recording.page_scene import SCORED, A


def test_the_causal_map_is_one_more_map(scored, road):
    scores = open_recording(road.parent / "after").episodes[0].leave_one_out
    assert scores is not None
    scored.choose("Map", "causal (derived)")
    row = SCORED.index(5)
    np.testing.assert_allclose(scored.read("weights"), scores.causal[row], rtol=1e-6)
    assert "KL, nats" in scored.text(".legend .words")
    assert "causal map, leave one out (derived)" in scored.text(".attention")
    scored.press("ArrowLeft")
    assert scored.text(".legend .words") == "this step was not scored"
    assert sum(scored.read("weights")) == 0
    scored.wait("location.hash.includes('layer=causal')")


def test_hiding_a_token_shows_what_the_policy_does_without_it(scored, road):
    scores = open_recording(road.parent / "after").episodes[0].leave_one_out
    assert scores is not None and scores.value is not None
    scored.click_picture(50, 38)
    assert not scored.page.locator(".without").is_visible()
    bare = scored.pixels()
    scored.click("hide this token")
    row, names = SCORED.index(5), ("left", "idle", "right", "faster", "slower")
    words = scored.text(".without")
    said = open_recording(road.parent / "after").episodes[0][5].distribution
    assert said is not None
    best, before = names[(row + 5) % A], names[int(np.argmax(said))]
    assert best == before
    assert words.startswith(f"without row 1 col 2: likeliest {best}, as with it, value 3.050;")
    assert f"changes by {scores.causal[row, 5]:.2g} KL, nats" in words
    scored.press("t")
    other = names[(row + 6) % A]
    assert f"likeliest {other}, not {before}, value 3.060;" in scored.text(".without")
    scored.press("Shift+T")
    shown = scored.page.locator(".action .row .changed").all_text_contents()
    assert shown == [f"{p:.3f}" for p in scores.distribution[row, 5].astype(float)]
    assert (scored.pixels() != bare).any()
    scored.press("ArrowLeft")
    assert scored.text(".without") == "with the token hidden: not computed at this step"
    scored.press("d")
    assert not scored.page.locator(".without").is_visible()
