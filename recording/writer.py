"""Write a recording so that a kill at any moment loses at most half of the open chunk.

Each file is complete or absent, whatever becomes of the process. Nothing waits for the disk: a file
that a power failure tears is found by its checksum. Memory holds one chunk, however long the
episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from attention_agents.recording.chunk import encode_frame, pack_steps, write_arrays
from attention_agents.recording.files import atomic_write, file_sha256
from attention_agents.recording.format import (
    CHUNK_STEPS,
    EARLY_STEPS,
    EPISODE_FILE,
    FINAL_FILE,
    HEADER_FILE,
)
from attention_agents.recording.header import Header
from attention_agents.recording.json_files import write_json
from attention_agents.recording.signed_quantization import check_signed
from attention_agents.recording.step import Step


class RecordingWriter:
    """Write episodes, step by step, into a folder of their own.

    Args:
        folder: made when missing; must be empty.
        header: what the numbers of the steps mean.

    Raises:
        ValueError: the folder holds something already, or cannot be written.
    """

    def __init__(self, folder: str | Path, header: Header):
        self.folder, self.header = claim_folder(folder), header
        self.episodes = 0
        """Episodes begun so far."""
        self._open: _OpenEpisode | None = None
        write_json(self.folder / HEADER_FILE, header.to_json())

    def begin_episode(self, seed: int | None = None) -> None:
        """Open the next episode; one that is still open is ended first."""
        self.end_episode()
        folder = self.folder / f"episode_{self.episodes:04d}"
        self._open = _OpenEpisode(folder, self.header, seed)
        self.episodes += 1

    def add_step(self, step: Step) -> None:
        """Append a step to the open episode.

        Raises:
            ValueError: no episode is open, or the step does not fit the header.
        """
        if self._open is None:
            raise ValueError("no episode is open; call begin_episode before add_step")
        self._open.add_step(step)

    def end_episode(
        self, observation: Mapping[str, np.ndarray] | None = None, frame: np.ndarray | None = None
    ) -> None:
        """Close the open episode, if there is one, and mark it complete.

        Args:
            observation, frame: what the last action led to.
        """
        if self._open is not None:
            episode, self._open = self._open, None
            episode.write_end(observation, frame)

    def close(self) -> None:
        """End the open episode."""
        self.end_episode()

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _OpenEpisode:
    """The episode that is being written, and the steps of its open chunk."""

    def __init__(self, folder: Path, header: Header, seed: int | None):
        self.folder, self.header, self.seed = folder, header, seed
        self.steps, self.total_reward = 0, 0.0
        self.chunks: list[dict[str, Any]] = []
        self._pending: list[Step] = []
        self._frames: list[bytes] = []
        folder.mkdir()
        self._write_summary(complete=False)

    def add_step(self, step: Step) -> None:
        self._check_step(step)
        self._frames.append(b"" if step.frame is None else encode_frame(step.frame))
        observation = {k: np.array(part) for k, part in step.observation.items()}  # may be reused
        action = np.array(step.action)
        self._pending.append(replace(step, observation=observation, action=action, frame=None))
        self.steps += 1
        self.total_reward += step.reward
        if len(self._pending) == CHUNK_STEPS:
            self._write_chunk()
        elif len(self._pending) == EARLY_STEPS:
            self._write_pending()

    def write_end(
        self, observation: Mapping[str, np.ndarray] | None, frame: np.ndarray | None
    ) -> None:
        last = self._pending[-1] if self._pending else None
        if self._pending:
            self._write_chunk()
        if observation is not None and last is not None:
            keys = self.header.observation_keys
            arrays = {f"observation_{i}": np.asarray(observation[k]) for i, k in enumerate(keys)}
            if frame is not None:
                arrays["frames"] = np.frombuffer(encode_frame(frame), np.uint8)
            with atomic_write(self.folder / FINAL_FILE) as file:
                write_arrays(file, arrays)
        self._write_summary(complete=True)

    def _check_step(self, step: Step) -> None:
        missing = {spec.name for spec in self.header.maps} - set(step.maps)
        missing |= set(self.header.observation_keys) - set(step.observation)
        if missing:
            raise ValueError(f"the header promises {sorted(missing)}, and the step lacks them")
        for spec in self.header.maps:
            H, Q, K = self.header.map_shape(spec)
            stored = [step.maps[spec.name], *([step.soft.get(spec.name)] if spec.soft else [])]
            shapes = [None if weights is None else weights.shape for weights in stored]
            if any(shape != (H, Q, K) for shape in shapes):
                raise ValueError(
                    f"map {spec.name} must have shape ({H} heads, {Q} queries, {K} {spec.keys}), "
                    f"{'its soft weights as well, ' if spec.soft else ''}got {shapes}"
                )
            heads = step.heads.get(spec.name)
            if heads is not None and (not spec.head_weights or heads.shape != (H,)):
                raise ValueError(
                    f"map {spec.name} has {H} heads and head_weights={spec.head_weights}, got "
                    f"head weights of shape {heads.shape}"
                )

        if step.evidence is not None:
            self._check_evidence(step.evidence)

    def _check_evidence(self, evidence: np.ndarray) -> None:
        (M, N), shape = self.header.evidence_shape, evidence.shape
        if shape != (M, N) or not M:
            raise ValueError(f"evidence must have shape ({M} components, {N} tokens), got {shape}")
        check_signed(evidence)

    def _write_pending(self) -> Path:
        """Write the open chunk as far as it goes; it is replaced when it has grown."""
        path = self.folder / f"chunk_{len(self.chunks):05d}.npz"
        with atomic_write(path) as file:
            write_arrays(file, pack_steps(self._pending, self._frames, self.header))
        return path

    def _write_chunk(self) -> None:
        path = self._write_pending()
        self.chunks.append(
            {"file": path.name, "steps": len(self._pending), "sha256": file_sha256(path)}
        )
        self._pending, self._frames = [], []

    def _write_summary(self, complete: bool) -> None:
        summary: dict[str, Any] = {"seed": self.seed, "complete": complete}
        if complete:
            total = self.total_reward if np.isfinite(self.total_reward) else None
            summary |= {"steps": self.steps, "return": total, "chunks": self.chunks}
        write_json(self.folder / EPISODE_FILE, summary)


def claim_folder(folder: str | Path) -> Path:
    """Make a folder for a recording, or take an empty one.

    Raises:
        ValueError: it holds something already, or cannot be made or written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        content = next(folder.iterdir(), None)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"cannot write a recording to {folder}: {error.strerror}") from error
    if content is not None:
        raise ValueError(f"{folder} is not empty (it holds {content.name}); choose another folder")
    return folder
