"""Reading a recording, step by step, with numpy and Pillow alone.

Chunks are loaded when a step of them is asked for, checked against their sha256, and at most two
are held. An episode whose writing was cut short ("torn") is read as far as it goes and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attention_agents.recording.chunk import Chunk, decode_frame, read_arrays
from attention_agents.recording.files import file_sha256
from attention_agents.recording.format import (
    EARLY_STEPS,
    EPISODE_FILE,
    FINAL_FILE,
    HEADER_FILE,
    Header,
    Step,
)
from attention_agents.recording.plain_json import read_json
from attention_agents.recording.scores import SCORES_FILE, Scores, read_scores, read_summary

CHUNKS_HELD = 2
_DIGEST = re.compile("[0-9a-f]{64}")


class ChunkFile(NamedTuple):
    """A chunk on the disk."""

    path: Path
    steps: int
    sha256: str | None
    """None in a torn episode, where no end marker holds it."""


class Final(NamedTuple):
    """What the last action of an episode led to."""

    observation: dict[str, np.ndarray]
    frame: np.ndarray | None


class Episode(Sequence[Step]):
    """The steps of one episode, loaded as asked for: `episode[t]`, `for step in episode`."""

    def __init__(self, folder: Path, header: Header):
        self.folder, self.header = folder, header
        summary = _read_json_file(folder / EPISODE_FILE) if (folder / EPISODE_FILE).exists() else {}
        try:
            self.complete: bool = bool(summary.get("complete", False))
            self.seed: int | None = summary.get("seed")
            self.chunks = _listed(folder, summary) if self.complete else _found(folder)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{folder / EPISODE_FILE} is damaged ({error})") from error
        self._ends = np.cumsum([chunk.steps for chunk in self.chunks], dtype=int)
        self._held: dict[int, Chunk] = {}

    @property
    def missing(self) -> str:
        """What is lost, in one sentence; empty when the episode is whole."""
        if self.complete:
            return ""
        return (
            f"{self.folder.name} was cut short while it was recorded: {len(self)} steps are whole, "
            f"and at most {EARLY_STEPS} after them are lost"
        )

    @property
    def rewards(self) -> np.ndarray:
        """(T,) float64, the reward of each step."""
        parts = [read_arrays(chunk.path, ("reward",))["reward"] for chunk in self.chunks]
        return np.concatenate([np.zeros(0), *parts])

    @property
    def final(self) -> Final | None:
        """What the last action led to, or None where that was not recorded."""
        path = self.folder / FINAL_FILE
        if not path.exists():
            return None
        arrays = read_arrays(path)
        try:
            keys = enumerate(self.header.observation_keys)
            frame = arrays.get("frames")
            return Final(
                {key: arrays[f"observation_{index}"] for index, key in keys},
                None if frame is None else decode_frame(frame.tobytes()),
            )
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path} is damaged ({error})") from error

    @cached_property
    def scores(self) -> Scores | None:
        """What removing tokens does in it; None where that was not computed.

        Raises:
            ValueError: it is damaged, or of another recording.
        """
        scores = read_scores(self.folder)
        try:
            if scores is not None:
                scores.check(self.header, len(self))
        except ValueError as error:
            raise ValueError(f"{self.folder / SCORES_FILE} cannot be used: {error}") from error
        return scores

    def frame(self, t: int) -> np.ndarray | None:
        """Return the frame of step t alone, or None where nothing was rendered."""
        index, within = self._find(t)
        return self._chunk(index).frame(within)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, t: int) -> Step:  # type: ignore[override]
        index, within = self._find(t)
        try:
            return self._chunk(index).step(within)
        except ValueError as error:
            raise ValueError(f"step {t} of {self.folder} cannot be read: {error}") from error

    def __iter__(self) -> Iterator[Step]:
        return (self[t] for t in range(len(self)))

    def _find(self, t: int) -> tuple[int, int]:
        """Return the chunk that holds step t, and where in it."""
        T = len(self)
        if not -T <= t < T:
            raise IndexError(f"step {t} of an episode of {T} steps")
        t %= T
        index = int(np.searchsorted(self._ends, t, side="right"))
        return index, t - (int(self._ends[index - 1]) if index else 0)

    def _chunk(self, index: int) -> Chunk:
        if index not in self._held:
            while len(self._held) >= CHUNKS_HELD:
                del self._held[next(iter(self._held))]
            self._held[index] = _load(self.chunks[index], self.header)
        return self._held[index]


class Recording:
    """A recording on the disk: its header, and its episodes."""

    def __init__(self, folder: Path, header: Header):
        self.folder, self.header = folder, header
        folders = sorted(p for p in folder.glob("episode_*") if p.is_dir())
        self.episodes = tuple(Episode(path, header) for path in folders)

    @property
    def complete(self) -> bool:
        """True when every episode is whole."""
        return all(episode.complete for episode in self.episodes)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is lost, one sentence for each torn episode."""
        return tuple(episode.missing for episode in self.episodes if not episode.complete)

    @cached_property
    def summary(self) -> dict[str, Any] | None:
        """What the scores of its episodes come to, with a "verdict" in a sentence; None where they
        were not computed.

        Raises:
            ValueError: it is damaged.
        """
        return read_summary(self.folder)

    def __len__(self) -> int:
        return len(self.episodes)


def is_recording(path: str | Path) -> bool:
    """Say whether a folder claims to be a recording."""
    return (Path(path) / HEADER_FILE).is_file()


def open_recording(path: str | Path) -> Recording:
    """Open a recording; steps are read later, as they are asked for.

    Raises:
        ValueError: there is none, or it is of another kind or schema, or damaged; the message says
            which file and why. A damaged chunk is found when a step of it is read.
    """
    folder = Path(path)
    if not is_recording(folder):
        raise ValueError(f"{folder} is not a recording: it has no {HEADER_FILE}")
    data = _read_json_file(folder / HEADER_FILE)
    try:
        header = Header.from_json(data)
    except ValueError as error:
        raise ValueError(f"{folder / HEADER_FILE} cannot be read: {error}") from error
    return Recording(folder, header)


def _read_json_file(path: Path) -> Any:
    try:
        return read_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error})") from error


def _listed(folder: Path, summary: dict[str, Any]) -> tuple[ChunkFile, ...]:
    """Return the chunks that the end marker lists, there or not."""
    chunks = []
    for number, chunk in enumerate(summary["chunks"]):
        name, steps, digest = chunk["file"], chunk["steps"], chunk["sha256"]
        if name != f"chunk_{number:05d}.npz" or type(steps) is not int or steps < 1:
            raise ValueError(f"{folder / EPISODE_FILE} is damaged: its chunk {number} is {chunk}")
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{folder / EPISODE_FILE} is damaged: {digest!r} is no sha256")
        chunks.append(ChunkFile(folder / name, steps, digest))
    return tuple(chunks)


def _found(folder: Path) -> tuple[ChunkFile, ...]:
    """Return the chunks of a torn episode, up to the first that is missing or damaged."""
    chunks: list[ChunkFile] = []
    while (path := folder / f"chunk_{len(chunks):05d}.npz").exists():
        try:
            steps = len(read_arrays(path)["reward"])
        except (ValueError, KeyError, TypeError):
            break
        chunks.append(ChunkFile(path, steps, None))
    return tuple(chunks)


def _load(file: ChunkFile, header: Header) -> Chunk:
    if not file.path.exists():
        raise ValueError(f"{file.path} is missing")
    if file.sha256 is not None and file_sha256(file.path) != file.sha256:
        raise ValueError(f"{file.path} is damaged: its sha256 is not the one noted at the end")
    arrays = read_arrays(file.path)
    try:
        chunk = Chunk(arrays, header)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"{file.path} is not a chunk of this recording ({error})") from error
    if chunk.steps != file.steps:
        raise ValueError(f"{file.path} holds {chunk.steps} steps in place of {file.steps}")
    return chunk
