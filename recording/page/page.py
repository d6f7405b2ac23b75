"""Writing the page: one HTML file that holds its own code, its colors and everything it shows.

It opens from the disk and asks for nothing: its Content-Security-Policy lets in the two blocks
whose sha256 it names, and pictures that are in the file. What was recorded is JSON in a block that
is never run, and reaches the page as text alone.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attention_agents.recording.files import atomic_write
from attention_agents.recording.page.payload import Source, build_payload, escape_json
from attention_agents.recording.page.scripts import join_modules
from attention_agents.recording.reader import Recording

MAX_BYTES = 25_000_000
FOLDER = Path(__file__).parent / "web"
MAIN = "main.js"
"""The module that starts the page; it imports all others."""
STYLES = (
    *("base.css", "page_header.css", "recording_pane.css", "verdict.css", "attended_frame.css"),
    *("panel.css", "rows.css", "ground_truth.css", "curves.css", "controls.css", "narrow.css"),
)
"""The style sheets of the page; a later rule goes before an earlier one."""


def write_page(
    path: str | Path,
    recordings: Recording | Sequence[Recording],
    *,
    names: Sequence[str] = (),
    episodes: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Write recordings as one HTML page.

    Where it would be larger than `max_bytes`, pictures and attention maps are reduced, and the
    page says how. The file appears under its name when it is whole.

    Args:
        path: of the page.
        recordings: one, or several to be compared; the first two are shown at first.
        names: what the page calls each recording; by default the name of its folder.
        episodes: how many of each recording, from the first; None shows all.
        max_bytes: how large the file may be.

    Raises:
        ValueError: there is no step to show, a number is out of range, a recording cannot be read,
            it does not fit into the page, or the file cannot be written.
    """
    path = Path(path)
    if isinstance(recordings, Recording):
        recordings = (recordings,)
    room = max_bytes - len(assemble({}).encode())
    page = assemble(build_payload(_sources(recordings, names, episodes), room))
    with atomic_write(path) as file:
        file.write(page.encode())
    return path


def assemble(data: Any) -> str:
    """Return the page around some JSON."""
    style = "\n".join((FOLDER / name).read_text("utf-8") for name in STYLES)
    script = join_modules(FOLDER, MAIN)
    blocks = {"STYLE": style, "SCRIPT": script, "DATA": escape_json(data)}
    template = (FOLDER / "template.html").read_text("utf-8")
    return _fill_template(template, {"POLICY": content_policy(script, style), **blocks})


def content_policy(script: str, style: str) -> str:
    """Return the Content-Security-Policy that lets in these two blocks, and no network."""
    return (
        f"default-src 'none'; script-src '{_sha256(script)}'; style-src '{_sha256(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _sources(
    recordings: Sequence[Recording], names: Sequence[str], episodes: int | None
) -> list[Source]:
    if names and len(names) != len(recordings):
        raise ValueError(f"names must name each of {len(recordings)} recordings, got {len(names)}")
    if not recordings:
        raise ValueError("a page needs at least one recording, got none")
    if episodes is not None and episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    sources = []
    for i, recording in enumerate(recordings):
        played = [episode for episode in recording.episodes if len(episode)]
        if not played:
            raise ValueError(f"{recording.folder} holds no step: its recording was cut short")
        name = names[i] if names else recording.folder.name
        sources.append(Source(recording, name, tuple(played[:episodes])))
    return sources


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _fill_template(template: str, blocks: dict[str, str]) -> str:
    """Fill each {{NAME}} of a template in one pass, so that no block is searched for others."""
    first, *pieces = template.split("{{")
    pages = [first]
    for piece in pieces:
        name, rest = piece.split("}}", 1)
        pages += [blocks[name], rest]
    return "".join(pages)
