"""Joining the page's JavaScript modules into one script.

Each module is an ES module with imports and exports at its top level. A page that opens from the
disk cannot import files, so the modules stand in one strict function, each after those that it
imports, without their `import` and `export`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\s+(\w+))", re.MULTILINE)
TOP_LEVEL = re.compile(r"^(?:async )?(?:function|class|const|let)\s+(\w+)", re.MULTILINE)


class Module(NamedTuple):
    """One file of the page's code."""

    body: str
    """Without imports and exports."""
    imports: dict[str, list[str]]
    """Imported names by file."""
    exports: frozenset[str]


def join_modules(folder: Path, main: str) -> str:
    """Return the script of a module and all that it imports, directly or not.

    Raises:
        ValueError: a module is missing, imports itself by others, or imports what is not exported;
            or two modules define one name.
    """
    modules: dict[str, Module] = {}
    _collect_modules(folder, main, modules, ())
    defined: dict[str, str] = {}
    for file, module in modules.items():
        for name in TOP_LEVEL.findall(module.body):
            if name in defined:
                raise ValueError(f"{file} and {defined[name]} both define {name}")
            defined[name] = file
    code = "\n".join(module.body for module in modules.values())
    return '"use strict";\n(() => {\n' + code + "\n})();\n"


def read_module(path: Path) -> Module:
    """Read a module.

    Raises:
        ValueError: it is missing, or has an import or export in a form that cannot be joined.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    imports = {
        file: [name.strip() for name in names.split(",") if name.strip()]
        for names, file in IMPORT.findall(text)
    }
    body = EXPORT.sub("", IMPORT.sub("", text))
    if odd := re.search(r"^(import|export)\b.*", body, re.MULTILINE):
        raise ValueError(f"{path.name} has {odd[0]!r}, which cannot be joined")
    return Module(body.lstrip("\n"), imports, frozenset(EXPORT.findall(text)))


def _collect_modules(
    folder: Path, file: str, modules: dict[str, Module], importers: tuple[str, ...]
) -> None:
    """Add a module to those read, after all that it imports."""
    if file in importers:
        raise ValueError(f"modules import each other: {' -> '.join((*importers, file))}")
    if file in modules:
        return
    module = read_module(folder / file)
    for imported, names in module.imports.items():
        _collect_modules(folder, imported, modules, (*importers, file))
        if missing := sorted(set(names) - modules[imported].exports):
            raise ValueError(f"{file} imports {missing[0]}, which {imported} does not export")
    modules[file] = module
