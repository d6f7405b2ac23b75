"""JSON files, which may come from strangers: read strictly, and written as a whole."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from attention_agents.recording.files import atomic_write


def parse_json(text: bytes) -> Any:
    """Parse JSON; NaN and infinity are refused.

    Raises:
        ValueError: it is no JSON.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not allowed")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: it cannot be read or is no JSON; the message names it.
    """
    try:
        return parse_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def read_document(
    path: Path, form: str, schemas: Collection[int], advice: str = ""
) -> dict[str, Any]:
    """Read a JSON file that begins with `{"format": form, "schema": schema, ...}`.

    Args:
        path: of the file.
        form: what it belongs to, such as "attention recording".
        schemas: those that are read.
        advice: what to do about a file of another schema.

    Raises:
        ValueError: it cannot be read, or is of another format or schema; the message names it.
    """
    if not path.exists():
        raise ValueError(f"{path} is missing: this is no folder of an {form}")
    data = read_json(path)
    if not isinstance(data, dict) or data.get("format") != form:
        raise ValueError(f"{path} is not in the format {form!r}")
    if data.get("schema") not in schemas:
        known = " to ".join(str(schema) for schema in sorted({min(schemas), max(schemas)}))
        message = f"{path} has schema {data.get('schema')!r}, this program reads {known}"
        raise ValueError(f"{message}; {advice}" if advice else message)
    return data


def write_json(path: Path, data: Any, sync: bool = False) -> None:
    """Write a JSON file, see `atomic_write`.

    Raises:
        ValueError: it cannot be written, or a number is NaN or infinite.
    """
    with atomic_write(path, sync) as file:
        file.write((json.dumps(data, indent=1, allow_nan=False) + "\n").encode())
