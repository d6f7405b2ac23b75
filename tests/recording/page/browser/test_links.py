"""A link opens what was shown, two recordings go by one clock, and a picture is saved."""

from __future__ import annotations

import pytest
from PIL import Image


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
    assert page.settle().read("panes") == 2
    assert [page.state(n)["step"] for n in (0, 1)] == [4, 4]
    page.choose("Head", "head 1", side=1)
    assert [page.state(n)["head"] for n in (0, 1)] == ["mean", 1]
    first, second = page.page.locator(".side").all()
    assert second.bounding_box()["x"] > first.bounding_box()["x"]
    page.press("End")
    assert [page.state(n)["step"] for n in (0, 1)] == [70, 12]  # the shorter one waits at its end
    page.wait("location.hash.includes('t=70') && location.hash.includes('head2=1')")
    again = show(road, page.page.evaluate("location.hash")[1:])
    assert again.read("panes") == 2 and again.state(1)["head"] == 1
    page.page.get_by_label("Beside").select_option(label="compare with ...")
    assert page.settle().read("panes") == 1


def test_the_picture_is_saved_by_button_and_by_key(show, road):
    page = show(road, "t=5&layer=2")
    for save in (lambda: page.click("save the picture as PNG"), lambda: page.press("p")):
        with page.page.expect_download() as waiting:
            save()
        assert waiting.value.suggested_filename == "Road-v0_step_5.png"
        image = Image.open(waiting.value.path())
        assert image.format == "PNG" and image.width >= 960
        assert image.convert("RGB").getcolors(1000) is None  # noise has more colors than that
