"""Photograph replay pages: the pictures of docs/pages.

    python docs/page_pictures.py minigrid=RUN/recordings/recording_1 atari=...

Each is the first episode of a recording, at the moment and in the colors of `SHOTS`. It needs
Chromium (a path in $CHROMIUM, or installed) and `pip install playwright`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from attention_agents.recording.page.page import write_page
from attention_agents.recording.reader import open_recording

FOLDER = Path(__file__).with_name("pages")
WIDTH, COLOURS = 1280, 128
DRAWN = 1500
"""Milliseconds that a page gets to draw itself."""


class Shot(NamedTuple):
    link: str
    height: int
    scheme: Literal["light", "dark"]


SHOTS = {
    "minigrid": Shot("t=5&layer=0", 960, "light"),
    "minatar": Shot("t=40", 960, "dark"),
    "highway": Shot("t=10", 820, "light"),
    "lunarlander": Shot("t=60&layer=causal", 960, "dark"),
    "memory": Shot("t=7", 960, "light"),
    "atari": Shot("t=64", 960, "light"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # pyright: ignore
    parser.add_argument("pages", nargs="+", metavar="NAME=RECORDING", help=" ".join(SHOTS))
    asked = dict(page.partition("=")[::2] for page in parser.parse_args().pages)
    if unknown := sorted(asked.keys() - SHOTS.keys()):
        parser.error(f"no picture is called {unknown[0]!r}; there are {', '.join(SHOTS)}")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, recording in asked.items():
            path = FOLDER / f"{name}.png"
            photograph(browser, Path(recording), SHOTS[name], path)
            print(path)


def photograph(browser: Browser, recording: Path, shot: Shot, path: Path) -> None:
    """Write a PNG of the page of the first episode of a recording.

    Raises:
        RuntimeError: the page complained.
    """
    with tempfile.TemporaryDirectory() as folder:
        page_path = Path(folder) / "replay.html"
        write_page(page_path, open_recording(recording), episodes=1)
        viewport: ViewportSize = {"width": WIDTH, "height": shot.height}
        page = browser.new_page(viewport=viewport, color_scheme=shot.scheme)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{page_path.as_uri()}#{shot.link}")
        page.wait_for_timeout(DRAWN)
        page.screenshot(path=path)
        page.close()
    if complaints:
        raise RuntimeError(f"the page of {recording} complained: {complaints[0]}")
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
