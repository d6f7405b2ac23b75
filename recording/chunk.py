"""Up to 64 steps as one file of numpy arrays, and back."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from attention_agents.envs.tokens.layout import TokenPlaces
from attention_agents.recording.header import Header
from attention_agents.recording.map_spec import share_read
from attention_agents.recording.quantization import pack_rows, unpack_rows
from attention_agents.recording.signed_quantization import pack_signed, unpack_signed
from attention_agents.recording.step import Step

READ_ERRORS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, IndexError)
"""Raised by numpy and zipfile when a file is damaged."""
FRAME_COMPRESSION = 1
"""zlib level of a frame's PNG: lossless at any level, and 1 is the fastest."""


def encode_frame(frame: np.ndarray) -> bytes:
    """Return a (height, width, 3) uint8 frame as a lossless PNG."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG", compress_level=FRAME_COMPRESSION)
    return file.getvalue()


def decode_frame(data: bytes) -> np.ndarray:
    """Return the frame that `encode_frame` was given.

    Raises:
        ValueError: the data are no PNG image.
    """
    try:
        return np.asarray(Image.open(io.BytesIO(data), formats=["PNG"]).convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise ValueError(f"a frame is no PNG picture ({error})") from error


def pack_steps(
    steps: Sequence[Step], frames: Sequence[bytes], header: Header
) -> dict[str, np.ndarray]:
    """Lay steps out as arrays with a leading axis T.

    Args:
        frames: the frames of the steps as PNG; empty bytes where a step has none.
    """
    T, N = len(steps), len(header.layout)
    unknown = np.full(_distribution_shape(header), np.nan, np.float32)
    distributions = [unknown if s.distribution is None else s.distribution for s in steps]
    places = [TokenPlaces.unknown(N) if s.places is None else s.places for s in steps]
    masks = [np.ones(N, bool) if s.mask is None else s.mask for s in steps]
    arrays = {
        "action": np.stack([np.asarray(s.action) for s in steps]),
        "reward": np.array([s.reward for s in steps], np.float64),
        "terminated": np.array([s.terminated for s in steps], bool),
        "truncated": np.array([s.truncated for s in steps], bool),
        "attended": np.array([s.attended for s in steps], bool),
        "value": np.array([np.nan if s.value is None else s.value for s in steps], np.float64),
        "distribution": np.stack([np.reshape(d, unknown.shape) for d in distributions]).astype("f"),
        "mask": np.stack(masks).astype(bool).reshape(T, N),
        "boxes": np.stack([p.boxes for p in places]).astype(np.float32).reshape(T, N, 4),
        "ids": np.stack([p.ids for p in places]).astype(np.int64).reshape(T, N),
    }
    for index, key in enumerate(header.observation_keys):
        arrays[f"observation_{index}"] = np.stack([s.observation[key] for s in steps])
    for index, spec in enumerate(header.maps):
        dtype = header.storage_dtype(spec)
        arrays |= pack_rows(f"map_{index}", [s.maps[spec.name] for s in steps], dtype)
        if spec.soft:
            arrays |= pack_rows(f"soft_{index}", [s.soft[spec.name] for s in steps], dtype)
        if spec.head_weights:
            heads = [s.heads.get(spec.name) for s in steps]
            rows = [np.full(spec.heads, np.nan) if row is None else row for row in heads]
            arrays[f"heads_{index}"] = np.stack(rows).astype(np.float32)  # (T, H)
    if header.evidence is not None:
        undefined = np.full(header.evidence_shape, np.nan, np.float32)
        rows = [undefined if s.evidence is None else s.evidence for s in steps]
        arrays |= pack_signed("evidence", rows, header.evidence_dtype)
    if header.picture == "frame":
        arrays["frames_end"] = np.cumsum([len(frame) for frame in frames], dtype=np.int64)
        arrays["frames"] = np.frombuffer(b"".join(frames), np.uint8)
    return arrays


class Chunk:
    """The steps of one chunk file, in memory.

    Raises:
        ValueError: the arrays are not those of a chunk of this recording.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], header: Header):
        self.arrays, self.header = arrays, header
        if "reward" not in arrays:
            raise ValueError("it has no rewards")
        self.steps = len(arrays["reward"])
        self._check_arrays()

    def read_step(self, t: int) -> Step:
        """Return step t of this chunk.

        Raises:
            ValueError: its frame is damaged.
        """
        a, specs, mask = self.arrays, list(enumerate(self.header.maps)), self.arrays["mask"][t]
        distribution = a["distribution"][t]  # (1 or 3, A)
        if len(distribution) == 1:
            distribution = distribution[0]
        value = float(a["value"][t])
        maps = {spec.name: unpack_rows(a, f"map_{i}", t) for i, spec in specs}
        return Step(
            observation={
                key: a[f"observation_{i}"][t] for i, key in enumerate(self.header.observation_keys)
            },
            action=a["action"][t],
            maps=maps,
            frame=self.read_frame(t),
            distribution=None if np.isnan(distribution).all() else distribution,
            value=None if np.isnan(value) else value,
            reward=float(a["reward"][t]),
            terminated=bool(a["terminated"][t]),
            truncated=bool(a["truncated"][t]),
            mask=mask,
            places=TokenPlaces(a["boxes"][t], a["ids"][t]),
            attended=bool(a["attended"][t]),
            soft={spec.name: unpack_rows(a, f"soft_{i}", t) for i, spec in specs if spec.soft},
            heads={spec.name: self._read_head_weights(i, t) for i, spec in specs},
            shares={spec.name: share_read(maps[spec.name], spec, mask) for _, spec in specs},
            evidence=None if self.header.evidence is None else unpack_signed(a, "evidence", t),
        )

    def read_frame(self, t: int) -> np.ndarray | None:
        """Return the frame of step t, or None where nothing was rendered."""
        if self.header.picture != "frame":
            return None
        end = self.arrays["frames_end"]
        start = int(end[t - 1]) if t else 0
        data = self.arrays["frames"][start : int(end[t])].tobytes()
        return decode_frame(data) if data else None

    def _read_head_weights(self, index: int, t: int) -> np.ndarray | None:
        if not self.header.maps[index].head_weights:
            return None
        heads = self.arrays[f"heads_{index}"][t]
        return None if np.isnan(heads).all() else heads

    def _check_arrays(self) -> None:
        T, header = self.steps, self.header
        shapes = self._expected_shapes()
        any_shape = ["action", *(f"observation_{i}" for i in range(len(header.observation_keys)))]
        any_shape += ["frames"] * (header.picture == "frame")
        missing = sorted({*shapes, *any_shape} - self.arrays.keys())
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        for name, shape in shapes.items():
            if self.arrays[name].shape != shape:
                raise ValueError(f"{name} has shape {self.arrays[name].shape} in place of {shape}")
        if T < 1 or any(len(self.arrays[name]) != T for name in any_shape if name != "frames"):
            raise ValueError("its arrays are of different lengths")

    def _expected_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all arrays but those that the header does not determine."""
        T, N, header = self.steps, len(self.header.layout), self.header
        shapes: dict[str, tuple[int, ...]] = {
            "mask": (T, N),
            "boxes": (T, N, 4),
            "ids": (T, N),
            "distribution": (T, *_distribution_shape(header)),
        }
        shapes |= dict.fromkeys(("reward", "terminated", "truncated", "attended", "value"), (T,))
        if header.picture == "frame":
            shapes["frames_end"] = (T,)
        for index, spec in enumerate(header.maps):
            H, Q, K = header.map_shape(spec)
            if spec.head_weights:
                shapes[f"heads_{index}"] = (T, H)
            for name in (f"map_{index}", *([f"soft_{index}"] if spec.soft else [])):
                shapes[name] = (T, H, Q, K)
                if name in self.arrays and self.arrays[name].dtype != header.storage_dtype(spec):
                    raise ValueError(f"{name} is of {self.arrays[name].dtype}")
                if header.storage_dtype(spec) == "uint8":
                    shapes[f"{name}_scale"] = (T, H, Q)
                    if f"{name}_faint" in self.arrays:  # absent in schema 1
                        shapes[f"{name}_faint"] = (T, H, Q)
        if header.evidence is not None:
            M, N = header.evidence_shape
            shapes["evidence"] = (T, M, N)
            if "evidence" in self.arrays and self.arrays["evidence"].dtype != header.evidence_dtype:
                raise ValueError(f"evidence is of {self.arrays['evidence'].dtype}")
            if header.evidence_dtype == "int8":
                shapes["evidence_scale"] = (T, M)
        return shapes


def _distribution_shape(header: Header) -> tuple[int, int]:
    return 3 if header.distribution == "gaussian" else 1, header.action_count


def write_arrays(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as an .npz that `numpy.load` reads; frames are not compressed a second time."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # a fixed date: equal steps give equal files
            entry.compress_type = zipfile.ZIP_STORED if name == "frames" else zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def read_arrays(path: Path, only: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Read an .npz into memory, or some arrays of it.

    Raises:
        ValueError: it is missing or damaged; the message names it.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in (archive.files if only is None else only)}
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing") from error
    except READ_ERRORS as error:
        raise ValueError(f"{path} is damaged: {error}") from error
