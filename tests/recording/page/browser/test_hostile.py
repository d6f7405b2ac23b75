"""Nothing gets in: names are shown as text, no other code runs, and nothing is fetched."""

from __future__ import annotations

import pytest

from attention_agents.recording.page.page import write_page
from tests.recording.page.browser.browser_page import until
from tests.recording.page_scene import CELLS, HOSTILE, hostile_recording


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
