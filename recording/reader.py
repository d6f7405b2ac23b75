"""Read a recording, step by step, with numpy and Pillow alone.

Chunks are loaded when a step of them is read, checked against their sha256, and at most two stay in
memory. An episode whose writing was cut short ("torn") is read as far as it goes and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attention_agents.envs.tokens.json_reader import Count, error_context, read_value
from attention_agents.recording.chunk import Chunk, decode_frame, read_arrays
from attention_agents.recording.files import file_sha256
from attention_agents.recording.format import (
    EARLY_STEPS,
    EPISODE_FILE,
    FINAL_FILE,
    FORMAT,
    HEADER_FILE,
    READABLE_SCHEMAS,
)
from attention_agents.recording.header import Header
from attention_agents.recording.json_files import read_document, read_json
from attention_agents.recording.leave_one_out import (
    LEAVE_ONE_OUT_FILE,
    LeaveOneOut,
    read_faithfulness,
    read_leave_one_out,
)
from attention_agents.recording.step import Step

MAX_LOADED_CHUNKS = 2
_SHA256 = re.compile("[0-9a-f]{64}")


class ChunkFile(NamedTuple):
    """A chunk on the disk."""

    path: Path
    steps: int
    sha256: str | None
    """None in a torn episode, where no end marker holds it."""


@dataclass(frozen=True)
class _ChunkEntry:
    """A chunk as the end marker lists it."""

    file: str
    steps: Count
    sha256: str


class FinalObservation(NamedTuple):
    """What the last action of an episode led to."""

    observation: dict[str, np.ndarray]
    frame: np.ndarray | None


class Episode(Sequence[Step]):
    """The steps of one episode, loaded when they are read: `episode[t]`, `for step in episode`."""

    def __init__(self, folder: Path, header: Header):
        self.folder, self.header = folder, header
        path = folder / EPISODE_FILE
        data = read_json(path) if path.exists() else {}
        with error_context(f"{path} is damaged"):
            summary = read_value(data, dict[str, Any], "it")
            self.complete: bool = read_value(summary.get("complete", False), bool, "complete")
            self.seed: int | None = summary.get("seed")
            self.chunks = (
                _listed_chunks(folder, summary.get("chunks"))
                if self.complete
                else _readable_chunks(folder)
            )
        self._ends = np.cumsum([chunk.steps for chunk in self.chunks], dtype=int)
        self._loaded: dict[int, Chunk] = {}

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
        rewards = (read_arrays(chunk.path, ("reward",))["reward"] for chunk in self.chunks)
        return np.concatenate([np.zeros(0), *rewards])

    @property
    def final(self) -> FinalObservation | None:
        """What the last action led to, or None where that was not recorded."""
        path = self.folder / FINAL_FILE
        if not path.exists():
            return None
        arrays, keys = read_arrays(path), self.header.observation_keys
        with error_context(f"{path} is damaged"):
            if not arrays.keys() >= {f"observation_{i}" for i in range(len(keys))}:
                raise ValueError("its observation is incomplete")
            frame = arrays.get("frames")
            return FinalObservation(
                {key: arrays[f"observation_{i}"] for i, key in enumerate(keys)},
                None if frame is None else decode_frame(frame.tobytes()),
            )

    @cached_property
    def leave_one_out(self) -> LeaveOneOut | None:
        """What removing each token does; None where that was not computed.

        Raises:
            ValueError: it is damaged, or of another recording.
        """
        scores = read_leave_one_out(self.folder)
        if scores is not None:
            with error_context(f"{self.folder / LEAVE_ONE_OUT_FILE} cannot be used"):
                scores.check_episode(self.header, len(self))
        return scores

    def frame(self, t: int) -> np.ndarray | None:
        """Return the frame of step t alone, or None where nothing was rendered."""
        index, within = self._locate_step(t)
        return self._load_chunk(index).read_frame(within)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, t: int) -> Step:  # type: ignore[override]
        index, within = self._locate_step(t)
        try:
            return self._load_chunk(index).read_step(within)
        except ValueError as error:
            raise ValueError(f"step {t} of {self.folder} cannot be read: {error}") from error

    def __iter__(self) -> Iterator[Step]:
        return (self[t] for t in range(len(self)))

    def _locate_step(self, t: int) -> tuple[int, int]:
        """Return the chunk that holds step t, and where in it."""
        T = len(self)
        if not -T <= t < T:
            raise IndexError(f"step {t} of an episode of {T} steps")
        t %= T
        index = int(np.searchsorted(self._ends, t, side="right"))
        return index, t - (int(self._ends[index - 1]) if index else 0)

    def _load_chunk(self, index: int) -> Chunk:
        if index not in self._loaded:
            while len(self._loaded) >= MAX_LOADED_CHUNKS:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[index] = _read_chunk(self.chunks[index], self.header)
        return self._loaded[index]


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
    def faithfulness(self) -> dict[str, Any] | None:
        """How faithful its maps are, with a "verdict" in a sentence; None where that was not
        computed.

        Raises:
            ValueError: it is damaged.
        """
        return read_faithfulness(self.folder)

    def __len__(self) -> int:
        return len(self.episodes)


def is_recording(path: str | Path) -> bool:
    """Return whether a folder claims to be a recording."""
    return (Path(path) / HEADER_FILE).is_file()


def open_recording(path: str | Path) -> Recording:
    """Open a recording; its steps are read when they are needed.

    Raises:
        ValueError: there is none, or it is of another kind or schema, or damaged; the message says
            which file and why. A damaged chunk is found when a step of it is read.
    """
    folder = Path(path)
    if not is_recording(folder):
        raise ValueError(f"{folder} is not a recording: it has no {HEADER_FILE}")
    path = folder / HEADER_FILE
    data = read_document(path, FORMAT, READABLE_SCHEMAS)
    with error_context(f"{path} is damaged"):
        return Recording(folder, Header.from_json(data))


def _listed_chunks(folder: Path, data: Any) -> tuple[ChunkFile, ...]:
    """Return the chunks that the end marker lists, present or not."""
    entries = read_value(data, tuple[_ChunkEntry, ...], "chunks")
    for number, entry in enumerate(entries):
        if entry.file != f"chunk_{number:05d}.npz" or not _SHA256.fullmatch(entry.sha256):
            raise ValueError(f"its chunk {number} is {entry}")
    return tuple(ChunkFile(folder / entry.file, entry.steps, entry.sha256) for entry in entries)


def _readable_chunks(folder: Path) -> tuple[ChunkFile, ...]:
    """Return the chunks of a torn episode, up to the first that is missing or damaged."""
    chunks: list[ChunkFile] = []
    while (path := folder / f"chunk_{len(chunks):05d}.npz").exists():
        try:
            steps = len(read_arrays(path)["reward"])
        except (ValueError, KeyError, TypeError):
            break
        chunks.append(ChunkFile(path, steps, None))
    return tuple(chunks)


def _read_chunk(file: ChunkFile, header: Header) -> Chunk:
    if not file.path.exists():
        raise ValueError(f"{file.path} is missing")
    if file.sha256 is not None and file_sha256(file.path) != file.sha256:
        raise ValueError(f"{file.path} is damaged: its sha256 is not the one noted at the end")
    arrays = read_arrays(file.path)
    with error_context(f"{file.path} is not a chunk of this recording"):
        chunk = Chunk(arrays, header)
    if chunk.steps != file.steps:
        raise ValueError(f"{file.path} holds {chunk.steps} steps in place of {file.steps}")
    return chunk
