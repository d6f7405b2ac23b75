"""Writing the page: one HTML file that holds its own code, its colours and everything it shows.

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
from attention_agents.recording.page.payload import Source, inert, payload
from attention_agents.recording.reader import Recording

MOST_BYTES = 25_000_000
FOLDER = Path(__file__).parent / "web"
SCRIPTS = (
    *("dom.js", "data.js", "names.js", "episode.js"),
    *("look.js", "maps.js", "rollout.js", "causal.js"),
    *("heat.js", "entities.js", "truth.js", "picture.js", "stage.js"),
    *("bars.js", "beside.js", "memory.js", "past_table.js", "action.js", "panel.js"),
    *("heads.js", "token.js"),
    *("charts.js", "raster.js", "curves.js", "jumps.js", "views.js", "worth.js", "side.js"),
    *("clock.js", "link.js", "snapshot.js", "controls.js", "head.js", "keys.js"),
    *("app.js", "start.js"),
)
"""The code of the page, in the order in which it is read."""
STYLES = (
    *("base.css", "head.css", "side.css", "worth.css", "stage.css"),
    *("panel.css", "rows.css", "truth.css", "curves.css", "controls.css", "narrow.css"),
)
"""The style sheets of the page; a later rule goes before an earlier one."""


def write_page(
    path: str | Path,
    recordings: Recording | Sequence[Recording],
    *,
    names: Sequence[str] = (),
    episodes: int | None = None,
    most_bytes: int = MOST_BYTES,
) -> Path:
    """Write recordings as one HTML page.

    Where it would be larger than `most_bytes`, pictures and attention maps are reduced, and the
    page says how. The file appears under its name when it is whole.

    Args:
        path: of the page.
        recordings: one, or several to be compared; the first two are shown at first.
        names: what the page calls each recording; by default the name of its folder.
        episodes: how many of each recording, from the first; None shows all.
        most_bytes: how large the file may be.

    Raises:
        ValueError: there is no step to show, a number is out of range, a recording cannot be read,
            it does not fit into the page, or the file cannot be written.
    """
    path = Path(path)
    if isinstance(recordings, Recording):
        recordings = (recordings,)
    room = most_bytes - len(assemble({}).encode())
    page = assemble(payload(_sources(recordings, names, episodes), room))
    with atomic_write(path) as file:
        file.write(page.encode())
    return path


def assemble(data: Any) -> str:
    """Return the page around some JSON."""
    style, code = (
        "\n".join((FOLDER / name).read_text("utf-8") for name in names)
        for names in (STYLES, SCRIPTS)
    )
    script = '"use strict";\n(() => {\n' + code + "\n})();\n"
    return _filled(
        (FOLDER / "template.html").read_text("utf-8"),
        {"POLICY": policy(script, style), "STYLE": style, "SCRIPT": script, "DATA": inert(data)},
    )


def policy(script: str, style: str) -> str:
    """Return the Content-Security-Policy that lets in these two blocks, and no network."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
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
        whole = [episode for episode in recording.episodes if len(episode)]
        if not whole:
            raise ValueError(f"{recording.folder} holds no step: its recording was cut short")
        name = names[i] if names else recording.folder.name
        sources.append(Source(recording, name, tuple(whole[:episodes])))
    return sources


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _filled(template: str, blocks: dict[str, str]) -> str:
    """Fill each {{NAME}} of a template in one pass, so that no block is searched for others."""
    first, *others = template.split("{{")
    pages = [first]
    for piece in others:
        name, rest = piece.split("}}", 1)
        pages += [blocks[name], rest]
    return "".join(pages)
