"""Time on the page: it runs, stops, goes by steps, by the scrubber and at a speed."""

from __future__ import annotations


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
