"""What a page had to leave out, and what a recording never got to, is said."""

from __future__ import annotations

from attention_agents.recording.page.page import assemble, write_page
from attention_agents.recording.reader import open_recording
from tests.recording.page_scene import record, scene_header


def test_a_reduced_page_says_so(show, tmp_path, road):
    recording = open_recording(road.parent / "before")
    bound = len(assemble({}).encode()) + 300_000
    path = write_page(tmp_path / "page.html", recording, episodes=1, max_bytes=bound)
    page = show(path, "t=5&layer=0&token=5")
    assert path.stat().st_size <= bound
    said = page.page.locator(".warnings").inner_text()
    assert "To save room, maps with several queries are kept as their mean" in said
    assert "Rows of single tokens were left out" in page.text(".chosen-token")
    assert "No attention rollout" in page.text(".why")
    assert not show(road).page.locator(".warnings").is_visible()


def test_a_torn_recording_says_so(show, tmp_path):
    record(tmp_path / "seen", scene_header(), 70)
    (tmp_path / "seen" / "episode_0000" / "episode.json").unlink()
    path = write_page(tmp_path / "page.html", open_recording(tmp_path / "seen"))
    page = show(path)
    assert "was cut short while it was recorded" in page.page.locator(".warnings").inner_text()
    assert page.press("End").t == 69 or page.t == 70
