"""Every file that a page of the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks") for page in folder.glob("*.md")
)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    named = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in named if not (page.parent / link).exists()] == []


def test_pages_are_found_and_their_links_read():
    assert {"README.md", "CHANGELOG.md", "recording.md", "speed.md"} <= {
        page.name for page in PAGES
    }
    assert LINK.findall("![a](docs/a.png) [b](b.md#c) [d](#e)") == ["docs/a.png", "b.md"]
