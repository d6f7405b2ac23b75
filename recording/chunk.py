"""Up to 64 steps as one file of numpy arrays, and back.

Maps are stored as uint8 with a scale per row: `q = round(255 * w / scale)`, where `scale` is the
largest weight of the row. They are read back as `w' = q * scale / 255`, so that a weight is off by
at most `scale / 510`, and a row of N weights may sum to 1 +- N * scale / 510.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from envs.layout import TokenPlaces
from recording.format import Header, Step

DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, IndexError)
"""What numpy and zipfile raise when a file is not what it says."""
FRAME_COMPRESSION = 1
"""zlib level of a frame's PNG: lossless at any level, and 1 is the fastest."""


class QuantisedRows(NamedTuple):
    """Rows of weights in one byte each."""

    codes: np.ndarray
    """(..., N) uint8."""
    scale: np.ndarray
    """(...) float32, the weight that code 255 stands for."""


def quantise(weights: np.ndarray) -> QuantisedRows:
    """Store rows of weights (..., N) in one byte each.

    Raises:
        ValueError: a weight is negative or not finite.
    """
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("attention weights must be finite and >= 0; record others as float32")
    scale = weights.max(-1, initial=0.0).astype(np.float32)
    unit = np.where(scale > 0, scale, 1)[..., None]
    return QuantisedRows(np.rint(255.0 * weights / unit).astype(np.uint8), scale)


def dequantise(rows: QuantisedRows) -> np.ndarray:
    """Return the weights (..., N) float32 that `quantise` was given, within scale / 510."""
    return rows.codes.astype(np.float32) * (rows.scale[..., None] / np.float32(255))


def encode_frame(frame: np.ndarray) -> bytes:
    """Return a (height, width, 3) uint8 frame as a lossless PNG."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG", compress_level=FRAME_COMPRESSION)
    return file.getvalue()


def decode_frame(data: bytes) -> np.ndarray:
    try:
        return np.asarray(Image.open(io.BytesIO(data), formats=["PNG"]).convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise ValueError(f"a frame is no PNG picture ({error})") from error


def pack(steps: Sequence[Step], frames: Sequence[bytes], header: Header) -> dict[str, np.ndarray]:
    """Lay steps out as arrays with a leading axis T.

    Args:
        frames: the frames of the steps as PNG; empty bytes where a step has none.
    """
    T, N, A = len(steps), len(header.layout), header.action_count
    rows = 3 if header.distribution == "gaussian" else 1
    unsaid = np.full((rows, A), np.nan, np.float32)
    places = [TokenPlaces.unknown(N) if s.places is None else s.places for s in steps]
    present = [np.ones(N, bool) if s.mask is None else s.mask for s in steps]
    said = [unsaid if s.distribution is None else s.distribution for s in steps]
    arrays = {
        "action": np.stack([np.asarray(s.action) for s in steps]),
        "reward": np.array([s.reward for s in steps], np.float64),
        "terminated": np.array([s.terminated for s in steps], bool),
        "truncated": np.array([s.truncated for s in steps], bool),
        "attended": np.array([s.attended for s in steps], bool),
        "value": np.array([np.nan if s.value is None else s.value for s in steps], np.float64),
        "distribution": np.stack([np.reshape(d, (rows, A)) for d in said]).astype(np.float32),
        "mask": np.stack(present).astype(bool).reshape(T, N),
        "boxes": np.stack([p.boxes for p in places]).astype(np.float32).reshape(T, N, 4),
        "ids": np.stack([p.ids for p in places]).astype(np.int64).reshape(T, N),
    }
    for index, key in enumerate(header.observation_keys):
        arrays[f"observation_{index}"] = np.stack([s.observation[key] for s in steps])
    for index, spec in enumerate(header.maps):
        weights = np.stack([s.maps[spec.name] for s in steps]).astype(np.float32)  # (T, H, Q, N)
        if header.map_dtype == "uint8":
            arrays[f"map_{index}"], arrays[f"map_{index}_scale"] = quantise(weights)
        else:
            arrays[f"map_{index}"] = weights
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
        self.steps = len(arrays["reward"])
        self._check()

    def step(self, t: int) -> Step:
        """Return step t of this chunk.

        Raises:
            ValueError: its frame is damaged.
        """
        a, header = self.arrays, self.header
        said = a["distribution"][t]  # (1 or 3, A)
        value = float(a["value"][t])
        keys = enumerate(header.observation_keys)
        return Step(
            observation={key: a[f"observation_{i}"][t] for i, key in keys},
            action=a["action"][t],
            maps={spec.name: self._map(i, t) for i, spec in enumerate(header.maps)},
            frame=self.frame(t),
            distribution=None if np.isnan(said).all() else said[0] if len(said) == 1 else said,
            value=None if np.isnan(value) else value,
            reward=float(a["reward"][t]),
            terminated=bool(a["terminated"][t]),
            truncated=bool(a["truncated"][t]),
            mask=a["mask"][t],
            places=TokenPlaces(a["boxes"][t], a["ids"][t]),
            attended=bool(a["attended"][t]),
        )

    def frame(self, t: int) -> np.ndarray | None:
        """Return the frame of step t, or None where nothing was rendered."""
        if self.header.picture != "frame":
            return None
        end = self.arrays["frames_end"]
        start = int(end[t - 1]) if t else 0
        data = self.arrays["frames"][start : int(end[t])].tobytes()
        return decode_frame(data) if data else None

    def _map(self, index: int, t: int) -> np.ndarray:
        stored = self.arrays[f"map_{index}"][t]
        if self.header.map_dtype == "float32":
            return stored
        return dequantise(QuantisedRows(stored, self.arrays[f"map_{index}_scale"][t]))

    def _check(self) -> None:
        T, N, A = self.steps, len(self.header.layout), self.header.action_count
        rows = 3 if self.header.distribution == "gaussian" else 1
        shapes = {"mask": (T, N), "boxes": (T, N, 4), "ids": (T, N), "distribution": (T, rows, A)}
        shapes |= dict.fromkeys(("reward", "terminated", "truncated", "attended", "value"), (T,))
        for index, spec in enumerate(self.header.maps):
            stored = self.arrays[f"map_{index}"].shape
            Q = stored[2] if len(stored) == 4 and stored[2] in (1, N) else 1
            shapes[f"map_{index}"] = (T, spec.heads, Q, N)
            if self.header.map_dtype == "uint8":
                shapes[f"map_{index}_scale"] = (T, spec.heads, Q)
        if self.header.picture == "frame":
            shapes["frames_end"] = (T,)
            self.arrays["frames"]
        for name, shape in shapes.items():
            if self.arrays[name].shape != shape:
                raise ValueError(f"{name} has shape {self.arrays[name].shape} in place of {shape}")
        if T < 1 or any(len(self.arrays[name]) != T for name in self._per_step()):
            raise ValueError("its arrays are of different lengths")

    def _per_step(self) -> list[str]:
        return ["action", *(f"observation_{i}" for i in range(len(self.header.observation_keys)))]


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
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged ({error})") from error
