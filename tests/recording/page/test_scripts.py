"""Joining the page's modules: each after what it imports, and nothing that is not exported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from attention_agents.recording.page.page import FOLDER, MAIN
from attention_agents.recording.page.payload import build_payload
from attention_agents.recording.page.scripts import join_modules, read_module

SIDE = "export const SIDE = 2;\n\nexport async function area() {\n  return SIDE ** 2;\n}\n"
MAIN_MODULE = """// It starts.

import { SIDE, area } from "./side.js";
import {
  Box,
} from "./box.js";

new Box(SIDE, area());
"""
BOX = 'import { SIDE } from "./side.js";\n\nexport class Box {\n  side = SIDE;\n}\n'


def write_modules(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text, "utf-8")
    return folder


def test_a_module_stands_after_those_that_it_imports(tmp_path):
    script = join_modules(write_modules(tmp_path, main=MAIN_MODULE, side=SIDE, box=BOX), "main.js")
    places = [script.index(f"{text}") for text in ("const SIDE", "class Box", "new Box")]
    assert places == sorted(places)
    assert script.startswith('"use strict";\n(() => {\n')
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert script.count("async function area()") == 1


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"side": SIDE.replace("export async", "async")}, "main.js imports area, which side.js"),
        ({"side": 'import { Box } from "./box.js";\n' + SIDE}, "side.js -> box.js -> side.js"),
        ({"box": BOX + "function area() {}\n"}, "both define area"),
        ({"box": BOX + "export default Box;\n"}, "box.js has 'export default Box;'"),
        ({"box": BOX + 'import * as all from "./side.js";\n'}, r"box.js has 'import \* as all"),
        ({"main": 'import { x } from "./nowhere.js";\n'}, "cannot read .*nowhere.js"),
    ],
)
def test_what_cannot_be_joined_is_named(tmp_path, modules, message):
    write_modules(tmp_path, **{"main": MAIN_MODULE, "side": SIDE, "box": BOX, **modules})
    with pytest.raises(ValueError, match=message):
        join_modules(tmp_path, "main.js")


def test_exports_and_imports_of_the_page_are_used():
    """An export that nothing imports is a leftover."""
    modules = {file.name: read_module(file) for file in FOLDER.glob("*.js")}
    assert MAIN in modules
    for name, module in modules.items():
        imported = {n for other in modules.values() for n in other.imports.get(name, ())}
        assert imported == module.exports, name


def test_the_scripts_take_the_constants_that_the_payload_has():
    display = build_payload((), 10**6)["display"]
    names = {
        name
        for file in FOLDER.glob("*.js")
        for name in re.findall(r"\bdisplay\.(\w+)", file.read_text("utf-8"))
        if name not in ("js", "py")
    }
    assert names == set(display)
