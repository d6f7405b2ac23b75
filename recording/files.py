"""Files and folders that appear under their name only when they are complete.

Everything is written into a temporary sibling, `.<name>.tmp`, which is renamed at the end and
removed when the writing fails.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield the path of a temporary file with the same suffix, which becomes `path` at the end.

    Raises:
        ValueError: the file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.tmp{path.suffix}")
    with _naming(path):
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: str | Path, sync: bool = False) -> Iterator[IO[bytes]]:
    """Open a temporary file for writing, which becomes `path` at the end.

    Args:
        path: of the file; what stands there is replaced.
        sync: wait until the file is on the disk, so that a power failure cannot tear it.

    Raises:
        ValueError: the file cannot be written.
    """
    with atomic_path(path) as partial, partial.open("wb") as file:
        yield file
        if sync:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder, which becomes `path` at the end, when it is on the disk.

    A folder that is replaced is moved to `backup_path` for the moment between two renames; when a
    kill leaves it there, it is moved back before the next one is written.

    Raises:
        ValueError: the folder cannot be written.
    """
    path = Path(path)
    partial, backup = path.with_name(f".{path.name}.tmp"), backup_path(path)
    with _naming(path):
        if backup.is_dir() and not path.exists():
            backup.rename(path)
        for leftover in (partial, backup):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            for written in (*partial.rglob("*"), partial):
                _sync(written)
            if path.exists():
                path.rename(backup)
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _sync(path.parent)
        shutil.rmtree(backup, ignore_errors=True)


def backup_path(folder: Path) -> Path:
    """Return where a folder lies while `atomic_folder` replaces it."""
    return folder.with_name(f".{folder.name}.old")


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into one that names the file."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from error


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
