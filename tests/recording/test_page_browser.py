"""The page of a recording in a real browser: every control does what it says, and nothing leaves.

It needs Chromium (`apt-get install chromium`, or a path in $CHROMIUM) and `pip install playwright`.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agents.faithfulness.ranks import pointing
from envs.layout import TokenPlaces
from recording import Header, open_recording
from recording.heat import MOST_OPAQUE, even_weight, heat_of
from recording.maps import mean_over_queries
from recording.page import write_page
from recording.page.page import assemble
from recording.page.worth import COLUMNS
from recording.palette import heat_table
from recording.past_table import objects_of
from recording.reader import Episode
from recording.scores import Scores, write_scores, write_summary
from recording.shift import attention_shift
from recording.view import View
from tests.recording import past_scene
from tests.recording.page_scene import (
    CELLS,
    HOSTILE,
    LAGS,
    MATTERS,
    READOUT,
    SCORED,
    SQUARES,
    VERDICT,
    A,
    H,
    N,
    hostile_recording,
    record,
    record_memory,
    scene_header,
    score,
)
from tests.recording.past_scene import record_past

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no chromium on this machine", allow_module_level=True)

LISTEN = """
window.written = [];
const write = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...more) {
  window.written.push(text);
  return write.call(this, text, ...more);
};
"""
"""Notes what is written on canvases, where no test could read it."""


def until(page: Any, truth: str) -> None:
    for _ in range(1200):
        if page.evaluate(truth):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"not in time: {truth}")


class Shown:
    """A page in a browser, with what a test asks of it."""

    def __init__(self, page: Any, path: Path):
        self.page, self.url = page, path.as_uri()
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: self.errors.append("a dialog opened"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.add_init_script(LISTEN)
        page.set_default_timeout(15000)

    def open(self, link: str = "") -> Shown:
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}#{link}" if link else self.url)
        self.wait("window.replay !== undefined")
        return self.settle()

    def wait(self, truth: str) -> None:
        """Wait until something is true and drawn; the page's policy stops Playwright's own wait."""
        until(self.page, truth)
        self.page.evaluate("window.replay?.settled()")

    def settle(self) -> Shown:
        self.page.evaluate("replay.settled()")
        return self

    def press(self, *keys: str) -> Shown:
        for key in keys:
            self.page.keyboard.press(key)
        return self.settle()

    def click(self, label: str) -> Shown:
        self.page.get_by_role("button", name=label, exact=True).click()
        return self.settle()

    def choose(self, label: str, option: str, side: int = 0) -> Shown:
        self.page.get_by_label(label, exact=True).nth(side).select_option(label=option)
        return self.settle()

    def read(self, what: str, side: int = 0) -> Any:
        return self.page.evaluate(f"replay.{what}({side})")

    @property
    def t(self) -> int:
        return self.page.evaluate("replay.step()")

    def state(self, side: int = 0) -> dict[str, Any]:
        return self.read("state", side)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.text_content()

    def pixels(self, selector: str = "canvas.picture") -> np.ndarray:
        """Return what a canvas shows, (height, width, 3) uint8."""
        url = self.page.locator(selector).first.evaluate("(canvas) => canvas.toDataURL()")
        image = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
        return np.asarray(image.convert("RGB"))

    def click_picture(self, x: float, y: float) -> Shown:
        """Click the picture at a place in pixels of the frame."""
        box = self.page.locator("canvas.picture").first.bounding_box()
        factor = box["width"] / 60
        self.page.mouse.click(box["x"] + x * factor, box["y"] + y * factor)
        return self.settle()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def show(browser) -> Iterator[Callable[..., Shown]]:
    """Open pages; at the end each must have had no error, and have asked for nothing."""
    opened: list[Shown] = []

    def show(path: Path, link: str = "", **options: Any) -> Shown:
        size = {"width": 1280, "height": 900}
        page = browser.new_page(**({"viewport": size, "color_scheme": "light"} | options))
        opened.append(Shown(page, path))
        return opened[-1].open(link)

    yield show
    for shown in opened:
        shown.page.close()
        assert shown.errors == []
        assert {url.split("#")[0] for url in shown.requests} == {shown.url}, "a request"


@pytest.fixture(scope="module")
def road(tmp_path_factory) -> Path:
    """A recording of two episodes, and one of twelve scored steps."""
    folder = tmp_path_factory.mktemp("road")
    record(folder / "before", scene_header(odd=True), 70, episodes=2)
    score(record(folder / "after", scene_header(), 12))
    recordings = [open_recording(folder / name) for name in ("before", "after")]
    return write_page(folder / "page.html", recordings)


@pytest.fixture(scope="module")
def seen(road) -> Episode:
    return open_recording(road.parent / "before").episodes[0]


@pytest.fixture(scope="module")
def memory(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    record_memory(folder / "seen", 9)
    return write_page(folder / "page.html", open_recording(folder / "seen"))


# Time


def test_a_page_opens_and_says_what_it_shows(show, road):
    page = show(road)
    assert page.page.title() == "Road-v0: attention replay"
    assert page.text("h1") == "Road-v0" and page.text(".algo") == "PPO"
    assert "before, episode_0000, seed 3, return 10: step 0 of 0 to 69" in page.text(".subtitle")


def test_time_runs_and_stops(show, road):
    page = show(road)
    page.click("play")
    page.wait("replay.step() > 2")
    assert page.read("playing")
    page.click("pause")
    stopped = page.t
    page.page.wait_for_timeout(300)
    assert page.t == stopped and not page.read("playing")
    page.press("Space")
    page.wait(f"replay.step() > {stopped}")
    page.page.get_by_label("Speed", exact=True).select_option(value="8")
    page.wait("!replay.playing()")
    assert page.t == 70  # the picture that the last action led to
    assert "after the last step" in page.text(".subtitle")
    page.press("[", "[", "[", "k")  # at the first speed again
    assert page.read("playing") and page.t < 70  # from the beginning


def test_steps_by_button_and_by_key(show, road):
    page = show(road)
    assert page.click("one step on").click("one step on").t == 2
    assert page.click("one step back").t == 1
    assert page.click("last step").t == 70
    assert page.click("first step").t == 0
    page.page.evaluate("document.activeElement.blur()")
    assert page.press("ArrowRight", "ArrowRight", ".").t == 3
    assert page.press("ArrowLeft", ",").t == 1
    assert page.press("Shift+ArrowRight", "PageDown").t == 21
    assert page.press("Shift+ArrowLeft").t == 11
    assert page.press("End").t == 70
    assert page.press("ArrowRight").t == 70
    assert page.press("Home", "ArrowLeft").t == 0


def test_scrubbing_by_mouse_and_by_key(show, road):
    page = show(road)
    scrub = page.page.get_by_label("step", exact=True)
    box = scrub.bounding_box()
    page.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert abs(page.settle().t - 35) <= 1
    scrub.focus()
    assert page.press("End").t == 70
    assert page.press("ArrowLeft").t == 69
    assert scrub.get_attribute("aria-valuetext") == "step 69 of 70"
    assert page.text(".where") == "69 / 70"


def test_speed_by_choice_and_by_key(show, road):
    page = show(road)
    speed = page.page.get_by_label("Speed", exact=True)
    assert speed.input_value() == "1"
    page.press("]", "]")
    assert speed.input_value() == "4"
    page.press("[", "[", "[", "[", "[", "[", "[", "[")
    assert speed.input_value() == "0.1"


# Maps


def weights_of(episode: Episode, index: int, head: int | str, t: int) -> np.ndarray:
    """Return what a page should show of a map: weights of tokens, (N,)."""
    spec, step = episode.header.maps[index], episode[t]
    if isinstance(head, int) or head == "mean":
        return View(spec, None if head == "mean" else int(head)).weights(step)
    return np.max([View(spec, h).weights(step) for h in range(spec.heads)], 0)


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
    assert page.press("m").state()["head"] == "mean"
    assert page.press("Shift+L").state()["map"] == 1
    assert page.press("l", "l").state()["map"] == 3


def test_other_roles_and_odd_maps(show, road, seen):
    page = show(road, "t=5")
    page.choose("Role", "critic")
    np.testing.assert_allclose(page.read("weights"), weights_of(seen, 5, "mean", 5), rtol=1e-6)
    assert "unnormalised" in page.text(".attention")
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
    asking = spec.asking(seen[5].present, N)
    expected = mean_over_queries(seen[5].soft[spec.name], asking).mean(0)[0]
    np.testing.assert_allclose(page.read("weights"), expected, rtol=1e-6)


def test_rollout_is_the_product_of_all_layers(show, tmp_path):
    path = write_page(
        tmp_path / "page.html", open_recording(record(tmp_path / "seen", scene_header(), 6))
    )
    step = open_recording(tmp_path / "seen").episodes[0][4]
    page = show(path, "t=4&layer=rollout")
    assert page.state()["map"] == "rollout"
    reached = View(scene_header().maps[2], None).weights(step).astype(float)
    for name in ("actor/1", "actor/0"):
        A_l = step.maps[name].mean(0).astype(float) + np.eye(N)
        reached = reached @ (A_l / A_l.sum(-1, keepdims=True))
    np.testing.assert_allclose(page.read("weights"), reached, rtol=1e-6)
    assert "rollout through all layers (derived)" in page.text(".attention")


@pytest.mark.parametrize("whole", [True, False])
def test_a_recorded_rollout_is_what_is_shown_at_first(show, tmp_path, whole):
    squares = SQUARES if whole else [replace(s, derived="mean over queries") for s in SQUARES]
    rolled = replace(READOUT, name="actor/rollout", heads=1, head_weights=False, derived="rollout")
    header = replace(scene_header(), maps=(*squares, READOUT, rolled))
    recording = open_recording(record(tmp_path / "seen", header, 6))
    page = show(write_page(tmp_path / "page.html", recording), "t=4")
    assert "rollout through all layers (derived)" in page.text(".attention")
    page.choose("Map", "layer 2, readout")
    assert page.state()["map"] == 2
    page.choose("Map", "rollout (derived)")
    page.wait("location.hash.includes('layer=rollout')")
    if not whole:
        step = recording.episodes[0][4]
        expected = View(rolled, None).weights(step)
        np.testing.assert_allclose(page.read("weights"), expected, rtol=1e-6)
    assert page.text(".heads") and "heads of layer 2, readout" in page.text(".panel")
    rolled = page.state()["map"]
    head = page.page.get_by_role("button", name=re.compile("^head 1 "))
    head.click()
    assert (page.settle().state()["map"], page.state()["head"]) == (2, 1)
    head.click()
    assert (page.settle().state()["map"], page.state()["head"]) == (rolled, "mean")


def rolled_header(rolled: bool = True) -> Header:
    """A scene whose maps are too little for the page to roll out itself."""
    squares = [replace(square, derived="mean over queries") for square in SQUARES]
    rollout = replace(READOUT, name="actor/rollout", heads=1, head_weights=False, derived="rollout")
    return replace(scene_header(), maps=(*squares, READOUT, *([rollout] if rolled else [])))


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """A recording with a rollout, one without, and one more with it."""
    folder, recordings = tmp_path_factory.mktemp("pair"), []
    for name, rolled in (("with", True), ("without", False), ("again", True)):
        recordings.append(open_recording(record(folder / name, rolled_header(rolled), 6)))
    return write_page(folder / "page.html", recordings)


ROLLED, OWN = 3, 2  # places of the recorded rollout and of the readout's own map


def shown_maps(page: Shown) -> list[tuple[Any, Any]]:
    sides = [page.state(n) for n in range(page.page.evaluate("replay.sides()"))]
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


# The picture


def test_the_drawn_cell_is_the_stored_weight(show, road, seen):
    """Canvas to disk: the colour of each cell's middle is that of its weight on its frame."""
    page = show(road, "t=5&layer=2&head=1")
    heat, drawn = page.read("heat"), page.pixels()
    weights, factor = View(seen.header.maps[2], 1).weights(seen[5]), drawn.shape[1] / 60
    boxes = np.where(np.arange(N)[:, None] < CELLS, seen[5].boxes, np.nan) * np.float32(factor)
    even = even_weight(weights, seen[5].present)
    expected = heat_of(weights, boxes, even, drawn.shape[:2])
    spots = [(x, y) for x in range(3, heat["width"], 37) for y in range(3, heat["height"], 37)]
    lift = page.page.evaluate("(spots) => spots.map(([x, y]) => replay.lift(x, y))", spots)
    assert (heat["height"], heat["width"]) == drawn.shape[:2] and len(spots) > 100
    np.testing.assert_allclose(lift, [expected.lift[y, x] for x, y in spots], rtol=1e-5)
    assert heat["top"] == pytest.approx(expected.top, rel=1e-6)
    bare = show(road, "t=5&layer=2&head=1&opacity=0").pixels()
    for i in range(CELLS):
        x, y = int(np.mean(boxes[i, ::2])), int(boxes[i, 1] + 0.9 * (boxes[i, 3] - boxes[i, 1]))
        level = round(255 * expected.lift[y, x] / expected.top)
        opacity = MOST_OPAQUE * (level / 255) ** 0.75
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
    weights = View(seen.header.maps[2], None).weights(seen[5])
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
    weight = View(seen.header.maps[2], None).weights(seen[5])[3]
    assert page.text(".tip") == f"row 1 col 0  {weight:.3f}"
    page.page.mouse.move(5, 5)
    assert not page.page.locator(".tip").is_visible()


# Tokens


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
    weights = View(episode.header.maps[0], None).weights(episode[2])
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
    assert page.page.locator(".curve", has_text="weight of -1 steps").is_visible()


# Curves


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
    weights = View(episode.header.maps[2], None).weights(step).astype(float)
    assert step.places is not None
    names = [f"slot {i}" if id < 0 else f"object {id}" for i, id in enumerate(step.places.ids)]
    return {names[i]: w / weights.sum() for i, w in enumerate(weights) if w > 0}


# Links, two recordings, files


def test_a_link_opens_what_it_says(show, road):
    page = show(road, "t=12&layer=1&head=2&token=5&opacity=0.30&scale=10")
    state = page.state()
    assert (page.t, state["map"], state["head"], state["token"]) == (12, 1, 2, 5)
    assert page.page.get_by_label("Opacity").input_value() == "30"
    page.page.evaluate("location.hash = '#t=3&layer=0&head=max'")
    page.wait("replay.step() === 3")
    assert (page.settle().state()["map"], page.state()["head"]) == (0, "max")


def test_what_is_shown_is_in_the_address(show, road):
    page = show(road)
    page.choose("Map", "layer 1").choose("Head", "head 2").press("ArrowRight")
    page.wait("location.hash.includes('t=1&')")
    link = page.page.evaluate("location.hash")[1:]
    assert {"t=1", "layer=1", "head=2"} <= set(link.split("&"))
    again = show(road, link)
    assert (again.t, again.state()) == (page.t, page.state())


@pytest.mark.parametrize("link", ["t=-5&layer=99&head=77", "t=1e9&token=4000&role=x", "%%%&=&t"])
def test_a_link_that_makes_no_sense_is_left(show, road, link):
    page = show(road, link)
    assert page.t in (0, 70) and (page.state()["map"], page.state()["token"]) == (2, -1)


def test_two_recordings_stand_side_by_side_from_the_start(show, road):
    assert show(road).page.locator(".sides > *").count() == 2
    assert show(road, "t=0").page.locator(".sides > *").count() == 1


def test_two_recordings_on_one_clock(show, road):
    page = show(road, "t=4")
    page.page.get_by_label("Beside").select_option(label="after 0: 12 steps, return 1")
    assert page.settle().read("sides") == 2
    assert [page.state(n)["step"] for n in (0, 1)] == [4, 4]
    page.choose("Head", "head 1", side=1)
    assert [page.state(n)["head"] for n in (0, 1)] == ["mean", 1]
    first, second = page.page.locator(".side").all()
    assert second.bounding_box()["x"] > first.bounding_box()["x"]
    page.press("End")
    assert [page.state(n)["step"] for n in (0, 1)] == [70, 12]  # the shorter one waits at its end
    page.wait("location.hash.includes('t=70') && location.hash.includes('head2=1')")
    again = show(road, page.page.evaluate("location.hash")[1:])
    assert again.read("sides") == 2 and again.state(1)["head"] == 1
    page.page.get_by_label("Beside").select_option(label="compare with ...")
    assert page.settle().read("sides") == 1


def test_the_picture_is_saved_by_button_and_by_key(show, road):
    page = show(road, "t=5&layer=2")
    for save in (lambda: page.click("save the picture as PNG"), lambda: page.press("p")):
        with page.page.expect_download() as waiting:
            save()
        assert waiting.value.suggested_filename == "Road-v0_step_5.png"
        image = Image.open(waiting.value.path())
        assert image.format == "PNG" and image.width >= 960
        assert image.convert("RGB").getcolors(1000) is None  # noise has more colours than that


# Objects of past steps


@pytest.fixture(scope="module")
def past(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("past")
    record_past(folder / "seen", 7)
    return write_page(folder / "page.html", open_recording(folder / "seen"))


def past_table(page: Shown) -> dict[str, list[str]]:
    """Return the label of each bar, by the name of its row; without a bar there is none."""
    rows = page.page.locator(".past tbody tr:visible").all()
    return {
        row.locator("th").text_content(): [
            bar.get_attribute("aria-label") for bar in row.locator("button:visible").all()
        ]
        for row in rows
    }


def test_an_object_of_the_past_is_one_row(show, past):
    page = show(past, "t=2")
    weights = np.arange(1, past_scene.N + 1) / (past_scene.N * (past_scene.N + 1) / 2)
    said = {
        f"{name}, {offset} steps": f"{weights[i]:.3f}"
        for name, seen in objects_of(past_scene.PARTS[:-1], past_scene.past_step(2)).items()
        for offset, i in seen.items()
    }
    table = past_table(page)
    assert list(table) == ["car 11", "car 12", "car 21", "ego car"]
    assert [len(bars) for bars in table.values()] == [2, 2, 1, 2]
    for name, bars in table.items():
        for bar in bars:
            when, weight = bar.split(": weight ")
            assert when.startswith(name) and float(weight) == pytest.approx(
                float(said[when]), abs=2e-3
            )
    assert page.text(".past .rest").startswith("1 other, 0.05"), "car 20, which is gone"
    assert past_table(page.press("Home")) == {}, "before the episode nobody was there"


def test_a_chosen_object_of_the_past_is_followed_as_such(show, past):
    page = show(past, "t=2")
    page.page.locator("button[aria-label^='car 12, -1 steps']").click()
    page.settle()
    assert page.text(".chosen-token .taken") == "car 12, -1 steps"
    assert page.state()["token"] == 5
    assert page.press("ArrowRight").state()["token"] == 6, "it was in another row then"
    assert page.text(".chosen-token .taken") == "car 12, -1 steps"
    page.page.locator("button[aria-label^='car 22, -1 steps']").click()
    assert page.settle().press("ArrowRight").state()["token"] == -1
    assert "It is not there at this step." in page.text(".chosen-token")


def test_attention_that_stays_with_objects_has_not_moved(show, past):
    page = show(past, "t=4")
    (episode,) = open_recording(past.parent / "seen").episodes
    weights = np.stack([step.maps["actor/0"][0, 0] for step in episode])
    shift = attention_shift(episode, weights)[4]
    assert 0 < shift < 0.5
    curve = page.page.locator(".curve", has_text="attention shift").locator(".value")
    assert float(curve.text_content()) == pytest.approx(shift, abs=2e-3)


# What removing tokens does


@pytest.fixture
def scored(show, road) -> Shown:
    return show(road, "t=5&recording=1")


def test_the_causal_map_is_one_more_map(scored, road):
    scores = open_recording(road.parent / "after").episodes[0].scores
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
    scores = open_recording(road.parent / "after").episodes[0].scores
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


def test_the_numbers_behind_the_verdict_unfold(show, tmp_path):
    folder = score(record(tmp_path / "seen", scene_header(), 12))
    curves = {"deletion_curve": [0.0, 0.5, 1.0], "insertion_curve": [0.0, 0.25, 1.0]}
    found = {"mean": 0.25, "low": 0.125, "high": 0.5, "steps": 9}
    names = ("actor/2", "causal", "random")
    maps = [{"name": n, "deletion": found, "verdict": "explains", **curves} for n in names]
    summary = {"verdict": VERDICT, "unit": "KL, nats", "maps": maps, "rule": "A rule."}
    write_summary(folder, summary | {"drawn": "actor/2"})
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


# What the environment says matters


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
    assert episode.scores is not None and episode.scores.true is not None
    page, row = show(road, f"t=5&recording=1&layer={layer}"), SCORED.index(5)
    weights = episode.scores.causal[row]
    if layer != "causal":
        weights = weights_of(episode, int(layer), "mean", 5)
    found = pointing(weights, episode.scores.true[row], episode[5].present)
    assert found is not None and found.chance == 3 / N
    said = f"share on what matters {found.mass:.2f}, even would be {found.chance:.2f}"
    assert said in page.page.locator(".attention p:visible").all_text_contents()
    page.open("t=0&recording=1")
    assert "share on what matters: nothing matters here" in page.text(".attention")
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
    scores = Scores(
        steps=np.array([2, 7]),
        causal=np.ones((2, LAGS), "f"),
        distribution=np.zeros((2, LAGS, A), "f"),
        action=np.zeros((2, LAGS), int),
        value=None,
        unit="of Q values",
        true=np.stack([true, ~true & False]),
    )
    write_scores(episode.folder, scores)
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


@pytest.mark.parametrize(("width", "whole"), [(1280, True), (400, False)])
def test_all_numbers_of_the_verdict_are_in_sight(show, tmp_path, width, whole):
    folder = score(record(tmp_path / "seen", scene_header(), 12))
    found = {"mean": -0.25, "low": -0.125, "high": 0.5, "steps": 9}
    one = {name: found for name, _ in COLUMNS.values()} | {"verdict": "does not explain"}
    maps = [one | {"name": name} for name in ("actor/rollout", "gradient x input")]
    write_summary(
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


def test_the_verdict_stands_in_the_head(scored, show, road):
    assert scored.text(".head .verdict") == VERDICT
    page = show(road, "t=0")
    assert page.page.locator(".verdict").count() == 0
    assert page.text(".head .unmeasured") == (
        "Whether this map explains the policy has not been measured: "
        "evaluate.py RECORDING --faithfulness measures it."
    )
    assert scored.page.locator(".unmeasured").count() == 0
    page.click_picture(50, 38)
    assert not page.page.get_by_role("button", name="hide this token").is_visible()


# Nothing gets in


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_name_is_shown_as_text(show, tmp_path, number):
    text = HOSTILE[number]
    recording = hostile_recording(tmp_path, text)
    path = write_page(tmp_path / "page.html", recording, names=(text,))
    page = show(path, f"token={CELLS}&t=1")
    units = [int.from_bytes(b, "little") for b in pairs(text.encode("utf-16-le", "surrogatepass"))]
    codes = "(e) => [...Array(e.textContent.length).keys()].map((i) => e.textContent.charCodeAt(i))"
    assert page.page.locator("h1").evaluate(codes) == units
    entity = page.page.get_by_label("Token").locator(f"option[value='{CELLS}']").evaluate(codes)
    stem = text.rstrip("0123456789 ")  # the object goes by its own number
    assert entity == [*units[: len(units) - len(text) + len(stem)], ord(" "), ord("0")]
    for place in (".subtitle", ".about li:last-child", ".action .row .name"):
        shown = page.page.locator(place).first.evaluate(codes)
        assert contains(shown, units), place
    page.click("list of keys")
    assert page.page.evaluate("window.hurt") is None
    assert page.page.evaluate("document.querySelectorAll('img, iframe, object, b').length") == 0
    assert page.page.evaluate("document.scripts.length") == 2


def pairs(data: bytes) -> list[bytes]:
    return [data[i : i + 2] for i in range(0, len(data), 2)]


def contains(whole: list[int], part: list[int]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def test_no_other_code_runs_and_nothing_is_fetched(browser, road):
    page = browser.new_page()
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    page.goto(road.as_uri())
    until(page, "window.replay !== undefined")
    page.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.textContent = "window.hurt = 1";
          document.body.append(script);
          const image = document.createElement("img");
          image.src = "https://example.com/x.png";
          document.body.append(image);
          document.body.setAttribute("onclick", "window.hurt = 2");
          document.body.click();
          await fetch("https://example.com/").catch(() => 0);
        }"""
    )
    assert page.evaluate("window.hurt") is None
    assert answered == [road.as_uri()]
    page.close()


# Every screen, every hand


@pytest.mark.parametrize("width", [1180, 1280, 1300, 1600])
def test_two_sides_are_alike(show, pair, width):
    page = show(pair, viewport={"width": width, "height": 900})
    for selector in (".side", ".column", "canvas.picture", ".curve"):
        widths = page.page.locator(f"{selector}:visible").evaluate_all(
            "all => all.map((one) => one.getBoundingClientRect().width)"
        )
        half = len(widths) // 2
        assert widths[:half] == pytest.approx(widths[half:], abs=1), selector


@pytest.mark.parametrize(
    ("width", "scheme"), [(360, "light"), (400, "dark"), (820, "light"), (1280, "dark")]
)
def test_it_fits_the_window(show, road, memory, width, scheme):
    for path, link in (
        (road, "t=5&token=7&episode2=0&recording2=1&t=5"),
        (road, "t=5&recording=1&token=5&hide=1&layer=causal"),
        (memory, "t=8&token=4"),
    ):
        page = show(path, link, viewport={"width": width, "height": 800}, color_scheme=scheme)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width
        beyond = page.page.evaluate(
            """(width) => [...document.querySelectorAll("main *")].filter((one) => {
              if (one.closest(".wide, svg")) return false;
              const box = one.getBoundingClientRect();
              return box.width && box.right > width + 0.5;
            }).map((one) => one.className)""",
            width,
        )
        assert beyond == []
        page.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(show, memory, scheme):
    page = show(memory, color_scheme=scheme)
    names = ("page", "card", "text", "dim", "faint", "accent", "good", "bad", "other", "matters")
    inks = page.page.evaluate(
        """(names) => names.map((name) =>
          getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim())""",
        names,
    )
    lights = {name: luminance(ink) for name, ink in zip(names, inks, strict=True)}
    for ground in ("page", "card"):
        for name in names[2:]:
            high, low = sorted((lights[name], lights[ground]), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ground)


def luminance(ink: str) -> float:
    """Return the relative luminance of a colour such as #0b7a72, WCAG 2.1."""
    parts = np.array(list(bytes.fromhex(ink[1:]))) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_the_keyboard_reaches_everything(show, road):
    page = show(road, "t=5&layer=1&token=5&recording=1")
    wanted = page.page.evaluate(
        """() => {
          const reachable = "button, select, input, summary, a[href], [tabindex='0']";
          const all = [...document.querySelectorAll(reachable)].filter(
            (one) => one.checkVisibility() && !one.disabled);
          all.forEach((one, n) => (one.dataset.number = n));
          return all.length;
        }"""
    )
    assert wanted > 25
    reached = set()
    page.page.evaluate("document.activeElement.blur()")
    for _ in range(wanted):
        page.page.keyboard.press("Tab")
        number, outline = page.page.evaluate(
            """() => {
              const one = document.activeElement, style = getComputedStyle(one);
              return [one.dataset.number, `${style.outlineStyle} ${style.outlineWidth}`];
            }"""
        )
        assert outline == "solid 2px", number
        reached.add(number)
    assert reached == {str(n) for n in range(wanted)}


def test_the_list_of_keys(show, road):
    page = show(road)
    page.press("?")
    dialog = page.page.locator("dialog")
    assert dialog.is_visible() and "next attention shift" in dialog.inner_text()
    page.press("ArrowRight")
    assert page.t == 0  # the dialog has the keyboard
    page.press("Escape")
    assert not dialog.is_visible()
    assert page.press("ArrowRight").t == 1


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


# What is missing is said


def test_a_reduced_page_says_so(show, tmp_path, road):
    recording = open_recording(road.parent / "before")
    bound = len(assemble({}).encode()) + 300_000
    path = write_page(tmp_path / "page.html", recording, episodes=1, most_bytes=bound)
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
