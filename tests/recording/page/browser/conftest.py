"""Pages that several files open. The browser itself is in tests/conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attention_agents.recording.header import Header
from attention_agents.recording.page.page import write_page
from attention_agents.recording.reader import Episode, open_recording
from tests.recording.page.browser.browser_page import Shown, playwright
from tests.recording.page_scene import READOUT, SQUARES, record, record_memory, scene_header, score


def pytest_runtest_setup() -> None:
    """Skip each test of this folder before anything is recorded, where there is no browser."""
    playwright()


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


@pytest.fixture(scope="session")
def road(tmp_path_factory) -> Path:
    """A recording of two episodes, and one of twelve scored steps."""
    folder = tmp_path_factory.mktemp("road")
    record(folder / "before", scene_header(odd=True), 70, episodes=2)
    score(record(folder / "after", scene_header(), 12))
    recordings = [open_recording(folder / name) for name in ("before", "after")]
    return write_page(folder / "page.html", recordings)


@pytest.fixture(scope="session")
def seen(road) -> Episode:
    return open_recording(road.parent / "before").episodes[0]


@pytest.fixture(scope="session")
def memory(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    record_memory(folder / "seen", 9)
    return write_page(folder / "page.html", open_recording(folder / "seen"))


def rolled_header(rolled: bool = True) -> Header:
    """A scene whose maps are too little for the page to roll out itself."""
    squares = [replace(square, derived="mean over queries") for square in SQUARES]
    rollout = replace(READOUT, name="actor/rollout", heads=1, head_weights=False, derived="rollout")
    return replace(scene_header(), maps=(*squares, READOUT, *([rollout] if rolled else [])))


@pytest.fixture(scope="session")
def pair(tmp_path_factory) -> Path:
    """A recording with a rollout, one without, and one more with it."""
    folder, recordings = tmp_path_factory.mktemp("pair"), []
    for name, rolled in (("with", True), ("without", False), ("again", True)):
        recordings.append(open_recording(record(folder / name, rolled_header(rolled), 6)))
    return write_page(folder / "page.html", recordings)


@pytest.fixture
def scored(show, road) -> Shown:
    return show(road, "t=5&recording=1")
