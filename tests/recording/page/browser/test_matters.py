"""What the environment says matters is dashed, named and counted, where it says anything."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from attention_agents.agents.faithfulness.rank_metrics import pointing_game
from attention_agents.envs.tokens.layout import TokenPlaces
from attention_agents.recording.leave_one_out import LeaveOneOut, write_leave_one_out
from attention_agents.recording.page.page import write_page
from attention_agents.recording.reader import open_recording
from tests.recording.page.browser.browser_page import Shown
from tests.recording.page.browser.stored import weights_of
from tests.recording.page_scene import (
    CELLS,
    LAGS,
    MATTERS,
    SCORED,
    A,
    N,
    record,
    record_memory,
    scene_header,
    score,
)


def mattering(page: Shown) -> list[str]:
    """Return the names of the rows that are marked."""
    return page.page.locator(".row.matters:visible .name").all_text_contents()


def test_what_matters_is_dashed_on_the_picture_and_beside_it(scored, show, road):
    names = "row 1 col 0, ego car, fuel"
    assert scored.read("truth") == list(MATTERS[5])
    assert scored.text(".legend .truth") == f"dashed: what the environment says matters: {names}"
    spoken = scored.page.locator("canvas.picture").get_attribute("aria-label")
    assert spoken.startswith(f"Picture of step 5, what the environment says matters: {names}. Most")
    assert set(mattering(scored)) <= {"row 1 col 0", "ego car", "fuel"}
    assert "fuel" in mattering(scored)
    row = scored.page.locator(".row.matters").first
    assert row.get_attribute("title") == "the environment says that it matters"
    assert "dashed" in row.evaluate("(one) => getComputedStyle(one, '::after').border")

    drawn, bare = scored.pixels(), show(road, "t=5&recording=1&truth=0").pixels()
    changed, factor = (drawn != bare).any(-1), drawn.shape[1] / 60
    y, x = (np.mgrid[: drawn.shape[0], : drawn.shape[1]] + 0.5) / factor
    px = 1 / factor
    cell = ring(x, y, (0, 20, 20, 40), -5 * px, 0.0)
    car = ring(x, y, (10, 5, 18, 10), 3 * px, 7 * px)
    assert changed[cell].sum() > 200 and changed[car].sum() > 200
    assert not changed[~cell & ~car].any()
    along = drawn[int(22 * factor) : int(38 * factor), 2].astype(int)
    inked = (np.abs(along - (138, 190, 255)) <= 6).all(-1)
    assert 0.3 < inked.mean() < 0.7  # five pixels drawn, four left out


def ring(x: np.ndarray, y: np.ndarray, box: tuple[int, ...], least: float, most: float):
    """Return which pixels lie between a box grown by one length and by another."""
    x0, y0, x1, y1 = box
    away = np.maximum(np.maximum(x0 - x, x - x1), np.maximum(y0 - y, y - y1))
    return (away >= least) & (away <= most)


@pytest.mark.parametrize(
    ("t", "said"),
    [
        (0, "none of the tokens"),
        (1, "car 12"),
        (3, "not known at this step"),
        (6, "speed"),
        (
            11,
            "row 0 col 0, row 0 col 1, row 0 col 2, row 1 col 0, row 1 col 1, row 1 col 2 "
            "and 5 more",
        ),
        (12, None),  # after the last step
    ],
)
def test_the_legend_says_what_matters(show, road, t, said):
    page = show(road, f"t={t}&recording=1")
    line = page.page.locator(".legend .truth")
    if said is None:
        assert not line.is_visible() and mattering(page) == []
    else:
        assert line.text_content() == f"dashed: what the environment says matters: {said}"


@pytest.mark.parametrize("layer", ["0", "1", "2", "causal"])
def test_the_share_on_what_matters_is_that_of_the_pointing_game(show, road, layer):
    episode = open_recording(road.parent / "after").episodes[0]
    assert episode.leave_one_out is not None and episode.leave_one_out.ground_truth is not None
    page, row = show(road, f"t=5&recording=1&layer={layer}"), SCORED.index(5)
    weights = episode.leave_one_out.causal[row]
    if layer != "causal":
        weights = weights_of(episode, int(layer), "mean", 5)
    found = pointing_game(weights, episode.leave_one_out.ground_truth[row], episode[5].present)
    assert found is not None and found.chance == 3 / N
    said = f"share on what matters {found.mass:.2f}, even would be {found.chance:.2f}"
    assert said in page.page.locator(".attention p:visible").all_text_contents()
    page.open("t=0&recording=1")
    assert "share on what matters: none of the tokens matters here" in page.text(".attention")
    page.open("t=3&recording=1")
    assert "share on what matters: not known" in page.text(".attention")


def test_the_marks_of_what_matters_come_and_go(scored, show, road):
    mark = scored.page.get_by_role("button", name="mark what matters")
    assert mark.get_attribute("aria-pressed") == "true"
    drawn = scored.pixels()
    scored.click("mark what matters")
    assert mark.get_attribute("aria-pressed") == "false"
    assert not scored.page.locator(".legend .truth").is_visible() and mattering(scored) == []
    assert "what matters" not in scored.page.locator(".attention").inner_text()
    assert (scored.pixels() != drawn).any()
    scored.wait("location.hash.includes('truth=0')")
    again = show(road, scored.page.evaluate("location.hash")[1:])
    assert not again.page.locator(".legend .truth").is_visible()
    again.press("w")
    assert again.page.locator(".legend .truth").is_visible()
    again.wait("!location.hash.includes('truth=0')")
    np.testing.assert_array_equal(again.pixels(), drawn)
    again.press("?")
    assert "mark what the environment says matters" in again.page.locator("dialog").inner_text()


def test_where_nobody_says_what_matters_there_is_nothing_of_it(show, road):
    page = show(road, "t=5")
    assert page.read("truth") is None
    assert not page.page.get_by_role("button", name="mark what matters").is_visible()
    page.press("w", "ArrowRight")
    page.wait("location.hash.includes('t=6')")
    assert "truth" not in page.page.evaluate("location.hash")
    beside = show(road)  # a second recording has scores
    assert [beside.read("truth", n) for n in (0, 1)] == [None, []]
    assert beside.page.get_by_role("button", name="mark what matters").is_visible()


def test_a_chosen_token_that_matters_says_so(scored):
    words = "the environment says that it matters"
    scored.choose("Token", "fuel")
    assert words in scored.text(".chosen-token")
    scored.choose("Token", "speed")
    assert words not in scored.text(".chosen-token")


def test_what_matters_off_the_picture_is_called_so(show, tmp_path):
    boxes = np.tile(np.array([5, 5, 9, 9], np.float32), (N, 1))
    boxes[CELLS + 1] = np.nan
    ids = np.where(np.arange(N) == CELLS + 1, 17, -1)
    folder = record(tmp_path / "seen", scene_header(), 12, places=TokenPlaces(boxes, ids))
    page = show(write_page(tmp_path / "page.html", open_recording(score(folder))), "t=1")
    assert page.text(".legend .truth").endswith("matters: car 17 (off the picture)")


def test_a_past_step_that_matters_is_dashed_in_the_memory(show, tmp_path):
    record_memory(tmp_path / "seen", 9)
    (episode,) = open_recording(tmp_path / "seen").episodes
    true = np.arange(LAGS) == LAGS - 3
    scores = LeaveOneOut(
        steps=np.array([2, 7]),
        causal=np.ones((2, LAGS), "f"),
        distribution=np.zeros((2, LAGS, A), "f"),
        action=np.zeros((2, LAGS), int),
        value=None,
        unit="of Q values",
        ground_truth=np.stack([true, ~true & False]),
    )
    write_leave_one_out(episode.folder, scores)
    page = show(write_page(tmp_path / "page.html", open_recording(tmp_path / "seen")), "t=2")
    assert page.text(".legend .truth").endswith("matters: -2 steps")
    marked = page.page.locator(".slot.matters")
    (label,) = [slot.get_attribute("aria-label") for slot in marked.all()]
    assert label.startswith("step -2, weight 0.") and label.endswith(", matters")
    assert mattering(page) == ["-2 steps"]
    page.open("t=7")
    assert marked.count() == 0


def test_a_saved_picture_has_the_dashes(show, road, tmp_path):
    saved = []
    for link in ("t=5&recording=1", "t=5&recording=1&truth=0"):
        page = show(road, link)
        with page.page.expect_download() as waiting:
            page.press("p")
        image = Image.open(waiting.value.path()).convert("RGB")
        saved.append((image.height, np.asarray(image.crop((24, 24, 984, 664)))))
        written = [text for text in page.page.evaluate("window.written") if "dashed" in text]
        assert bool(written) == ("truth=0" not in link)
    (tall, dashed), (low, bare) = saved
    assert tall > low
    changed = (dashed != bare).any(-1)
    assert changed[320:640, :320].sum() > 500 and not changed[330:630, 330:].any()
