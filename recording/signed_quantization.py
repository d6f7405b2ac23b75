"""Rows of signed numbers in one byte each, and back: the evidence of a recording.

    code -127 to 127    `round(127 * e / scale)`, with `scale` the largest magnitude of the row:
                        read back as `code * scale / 127`

So a number is off by at most `scale / 254`, and 0 is exactly 0. A row that is undefined has the
scale NaN and is read back as NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

SIGNED_LEVELS = 127
"""Steps from 0 to the largest magnitude of a row."""


def check_signed(values: np.ndarray) -> None:
    """Refuse rows (..., N) that cannot be stored.

    Raises:
        ValueError: a row has a number that is not finite, and is not NaN as a whole.
    """
    undefined = np.isnan(values).all(-1, keepdims=True)
    if not (np.isfinite(values) | undefined).all():
        raise ValueError("evidence must be finite, or NaN for all tokens where it is undefined")


def quantize_signed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Store rows of signed numbers (..., N) in one byte each.

    Returns:
        Codes (..., N) int8, and the scale of each row (...) float32.

    Raises:
        ValueError: a row has a number that is not finite, and is not NaN as a whole.
    """
    check_signed(values)
    undefined = np.asarray(np.isnan(values).all(-1))  # (...)
    values = np.where(undefined[..., None], 0, values).astype(np.float64)
    scale = np.abs(values).max(-1, initial=0.0).astype(np.float32)
    unit = np.where(scale > 0, scale, 1).astype(np.float64)[..., None]
    codes = np.clip(np.rint(SIGNED_LEVELS * (values / unit)), -SIGNED_LEVELS, SIGNED_LEVELS)
    return codes.astype(np.int8), np.where(undefined, np.float32(np.nan), scale)


def dequantize_signed(codes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the numbers (..., N) float32 that `quantize_signed` was given, within scale / 254."""
    return (codes * (scale[..., None].astype(np.float64) / SIGNED_LEVELS)).astype(np.float32)


def pack_signed(
    name: str, rows: Sequence[np.ndarray], dtype: Literal["int8", "float32"]
) -> dict[str, np.ndarray]:
    """Return the arrays that hold the rows (M, N) of T steps, by the names that they get in a
    chunk."""
    values = np.stack(rows).astype(np.float32)  # (T, M, N)
    if dtype == "float32":
        return {name: values}
    codes, scale = quantize_signed(values)
    return {name: codes, f"{name}_scale": scale}


def unpack_signed(arrays: Mapping[str, np.ndarray], name: str, t: int) -> np.ndarray:
    """Return the rows of step t, (M, N) float32, that `pack_signed` was given."""
    stored = arrays[name][t]
    return (
        stored
        if stored.dtype == np.float32
        else dequantize_signed(stored, arrays[f"{name}_scale"][t])
    )
