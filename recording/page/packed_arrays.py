"""Arrays of numbers as JSON: type, shape, and their bytes as base64 of a zlib stream."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

TYPES = ("int8", "uint8", "int32", "int64", "float32", "float64")
"""What the page can read; little-endian, as every browser counts."""


def packed(array: np.ndarray) -> dict[str, Any]:
    """Return an array as JSON; truth values become bytes.

    Raises:
        ValueError: it is of a type that the page cannot read.
    """
    array = np.asarray(array)
    values = array.astype(np.uint8) if array.dtype == bool else array
    if values.dtype.name not in TYPES:
        raise ValueError(f"arrays of a page must be of {', '.join(TYPES)}, got {array.dtype}")
    data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    text = base64.b64encode(zlib.compress(data, 9)).decode()
    return {"type": values.dtype.name, "shape": list(values.shape), "data": text}
