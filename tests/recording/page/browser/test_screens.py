"""Every screen and every hand: widths, color schemes, contrast, and the keyboard."""

from __future__ import annotations

import numpy as np
import pytest


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
    """Return the relative luminance of a color such as #0b7a72, WCAG 2.1."""
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
