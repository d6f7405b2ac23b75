"""A page of a recording in a real browser, with what a test asks of it.

It needs Chromium (`apt-get install chromium`, or a path in $CHROMIUM) and `pip install playwright`.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

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


def playwright() -> Any:
    """Return Playwright's interface; skip the test where it, or Chromium, is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    return api


@contextmanager
def chromium() -> Iterator[Any]:
    """Launch Chromium, and close it at the end."""
    with playwright().sync_playwright() as running:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = running.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


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
