"""A file or folder is there as a whole, or not at all."""

from __future__ import annotations

import hashlib

import pytest

from attention_agents.recording.files import (
    atomic_folder,
    atomic_path,
    atomic_write,
    backup_path,
    file_sha256,
)


class Interrupted(Exception):
    pass


def fail_after(written: int) -> None:
    assert written
    raise Interrupted


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_is_replaced_when_it_is_complete(tmp_path, sync):
    path = tmp_path / "a.json"
    path.write_text("old")
    with atomic_write(path, sync=sync) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_whose_writing_fails_stays_as_it_was(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(Interrupted), atomic_write(path) as file:
        fail_after(file.write(b"half"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_path_has_the_suffix_of_the_file(tmp_path):
    with atomic_path(tmp_path / "film.mp4") as partial:
        assert partial == tmp_path / ".film.tmp.mp4"
        partial.write_bytes(b"film")
    assert (tmp_path / "film.mp4").read_bytes() == b"film"


@pytest.mark.parametrize("writer", [atomic_write, atomic_path, atomic_folder])
def test_what_cannot_be_written_is_named(tmp_path, writer):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "below"
    with pytest.raises(ValueError, match=r"cannot write .*below: "), writer(path):
        pass


def test_what_fails_between_is_named_with_its_reason(tmp_path):
    reason = "No space left on device"
    message = rf"cannot write .*final: {reason}"
    with pytest.raises(ValueError, match=message), atomic_folder(tmp_path / "final"):
        raise OSError(28, reason)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_when_it_is_complete(tmp_path):
    folder = tmp_path / "runs" / "final"
    for text in ("old", "new"):
        with atomic_folder(folder) as partial:
            (partial / "a.txt").write_text(text)
            assert folder.exists() == (text == "new")
    assert (folder / "a.txt").read_text() == "new"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_whose_writing_fails_stays_as_it_was(tmp_path):
    folder = tmp_path / "final"
    folder.mkdir()
    (folder / "a.txt").write_text("old")
    with pytest.raises(Interrupted), atomic_folder(folder) as partial:
        fail_after((partial / "a.txt").write_text("half"))
    assert (folder / "a.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_a_kill_left_aside_is_put_back(tmp_path):
    folder, leftover = tmp_path / "final", tmp_path / ".final.tmp"
    backup_path(folder).mkdir()
    leftover.mkdir()
    (leftover / "half.txt").write_text("half")
    with atomic_folder(folder) as partial:
        assert folder.is_dir() and not backup_path(folder).exists()
        assert list(partial.iterdir()) == []
    assert list(tmp_path.iterdir()) == [folder]


def test_the_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
    data = bytes(range(256)) * 9000  # more than one block
    (tmp_path / "a").write_bytes(data)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()
