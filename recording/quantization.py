"""Rows of weights in one byte each, and back.

Each row has two numbers beside: `scale`, its largest weight, and `faint`, the mean of those above 0
that are below `scale / 508`:

    code 0         exactly 0
    code 1         faint: read back as `faint`
    code 2 to 255  `1 + round(254 * w / scale)`: read back as `(code - 1) * scale / 254`

So a weight is off by at most `scale / 508`, what was read stays apart from what was not, and faint
weights keep their sum. In recordings of schema 1 rows have no `faint`, and
`code = round(255 * w / scale)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

LEVELS = 254
"""Steps from 0 to the largest weight of a row."""
TINIEST = np.finfo(np.float32).smallest_subnormal


class QuantizedRows(NamedTuple):
    """Rows of weights in one byte each."""

    codes: np.ndarray
    """(..., K) uint8."""
    scale: np.ndarray
    """(...) float32, the weight that code 255 stands for."""
    faint: np.ndarray | None
    """(...) float32, the weight that code 1 stands for; None in schema 1."""


def quantize(weights: np.ndarray) -> QuantizedRows:
    """Store rows of weights (..., K) in one byte each.

    Raises:
        ValueError: a weight is negative or not finite.
    """
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("attention weights must be finite and >= 0; record others as float32")
    weights = weights.astype(np.float64)
    scale = weights.max(-1, initial=0.0)
    unit = np.where(scale > 0, scale, 1)[..., None]
    levels = np.rint(LEVELS * (weights / unit))
    faint = (levels == 0) & (weights > 0)
    mean = np.where(faint, weights, 0).sum(-1) / np.maximum(faint.sum(-1), 1)
    codes = np.where(weights > 0, 1 + levels, 0).astype(np.uint8)
    return QuantizedRows(codes, scale.astype(np.float32), mean.astype(np.float32))


def dequantize(rows: QuantizedRows) -> np.ndarray:
    """Return the weights (..., K) float32 that `quantize` was given, within scale / 508; 0 exactly
    where they were 0."""
    codes, scale = rows.codes.astype(np.float64), rows.scale[..., None].astype(np.float64)
    if rows.faint is None:
        return (codes * scale / 255).astype(np.float32)
    weights = (codes - 1) * scale / LEVELS
    weights = np.where(codes == 1, rows.faint[..., None], weights).astype(np.float32)
    return np.where(codes > 0, np.maximum(weights, TINIEST), np.float32(0))


def pack_rows(
    name: str, maps: Sequence[np.ndarray], dtype: Literal["uint8", "float32"]
) -> dict[str, np.ndarray]:
    """Return the arrays that hold the weights of T steps, by the names that they get in a chunk."""
    weights = np.stack(maps).astype(np.float32)  # (T, H, Q, K)
    if dtype == "float32":
        return {name: weights}
    codes, scale, faint = quantize(weights)
    assert faint is not None
    return {name: codes, f"{name}_scale": scale, f"{name}_faint": faint}


def unpack_rows(arrays: Mapping[str, np.ndarray], name: str, t: int) -> np.ndarray:
    """Return the weights of step t, (H, Q, K) float32, that `pack_rows` was given."""
    stored = arrays[name][t]
    if stored.dtype == np.float32:
        return stored
    faint = arrays.get(f"{name}_faint")
    faint = None if faint is None else faint[t]
    return dequantize(QuantizedRows(stored, arrays[f"{name}_scale"][t], faint))
