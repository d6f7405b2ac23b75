"""The pictures of a page: each one once, and as large as there is room for.

Frames and observed pictures of all steps go into one pool, by their bytes; a step names them by
number. What they are encoded as is one of `ENCODINGS`, the first under which all of them fit.
"""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, features

from attention_agents.recording.chunk import decode_frame, encode_frame

SMALL_PICTURE = 64 * 64
"""Pictures of at most so many pixels are always lossless, and never scaled."""
SAMPLE_SIZE = 8
"""So many pictures tell whether an encoding can fit at all."""
SEPARATOR = 4
"""Characters between two pictures."""
MAX_OVERSHOOT = 1.25
"""An encoding is not tried when the sample is so many times too large."""


@dataclass(frozen=True)
class Encoding:
    """How the pictures of a page are stored, and at which steps there are some."""

    quality: int | None = None
    """Of lossy pictures, 1 to 100; None stores every pixel as it was."""
    max_side: int | None = None
    """Pictures are scaled down to so many pixels of their longer side; None leaves them."""
    stride: int = 1
    """Every so many-th step has its pictures; the steps between show the one before."""


ENCODINGS = (
    Encoding(),
    Encoding(85),
    Encoding(60),
    Encoding(60, 320),
    *(Encoding(60, 320, stride) for stride in (2, 4, 8, 16, 32)),
)
"""From the best to the smallest."""


@dataclass(frozen=True)
class Encoded:
    """The pictures of a page."""

    encoding: Encoding
    texts: list[str]
    """Base64."""
    order: dict[int, int]
    """Place on the page, by number in the pool."""
    changed: frozenset[str]
    """What was done to any of them: "lossy", "scaled"."""

    @property
    def reduced(self) -> bool:
        """Whether a picture differs from the recorded one, or is left out."""
        return bool(self.changed) or self.encoding.stride > 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader of a page should know of its pictures, in sentences."""
        encoding, notes = self.encoding, ["Pictures are lossless (PNG)."]
        if "lossy" in self.changed:
            kind = "WebP" if _has_webp() else "JPEG"
            notes = [f"Pictures are lossy ({kind}, quality {encoding.quality}), to save room."]
        if "scaled" in self.changed:
            notes.append(f"Pictures are scaled down to at most {encoding.max_side} pixels.")
        if encoding.stride > 1:
            notes.append(
                f"Pictures are kept at one step in {encoding.stride} only; the steps between show "
                "the one before. Weights, actions and numbers are kept at every step."
            )
        return tuple(notes)

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """Return the place on the page of the picture that each step shows, (T,) int32.

        Args:
            numbers: (T,) of the pictures of each step in the pool; -1 is none.
        """
        shown = numbers[np.arange(len(numbers)) // self.encoding.stride * self.encoding.stride]
        return np.array([self.order.get(int(number), -1) for number in shown], np.int32)


class Pictures:
    """A pool of pictures."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._stored: list[bytes] = []

    def add(self, picture: np.ndarray | None) -> int:
        """Return the number of a (height, width, 3) uint8 picture; -1 where there is none."""
        if picture is None:
            return -1
        digest = hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()
        if digest not in self._numbers:
            self._numbers[digest] = len(self._stored)
            self._stored.append(encode_frame(picture))
        return self._numbers[digest]

    @property
    def size(self) -> int:
        """Characters that all of them take without any loss, and rarely less."""
        return sum(-(-len(png) * 4 // 3) + SEPARATOR for png in self._stored)

    def fit_into(self, shown: list[np.ndarray], room: int) -> Encoded | None:
        """Return the pictures under the best encoding under which they fit; None if under none.

        Args:
            shown: (T,) numbers of the pictures of each step, per episode and part; -1 is none.
            room: characters that all of them may take.
        """
        for encoding in ENCODINGS:
            numbers = [step_numbers[:: encoding.stride] for step_numbers in shown]
            used = np.unique(np.concatenate([np.zeros(0, np.int32), *numbers]))
            encoded = self._encode_all(used[used >= 0].tolist(), encoding, room)
            if encoded is not None:
                return encoded
        return None

    def _encode_all(self, used: list[int], encoding: Encoding, room: int) -> Encoded | None:
        """Return pictures under an encoding, or None where they take more than the room."""
        sample = used[:: max(1, len(used) // SAMPLE_SIZE)]
        size = sum(len(encode_picture(self._stored[number], encoding)[0]) for number in sample)
        if size * len(used) / max(len(sample), 1) > MAX_OVERSHOOT * room:
            return None
        texts: list[str] = []
        changed: set[str] = set()
        for number in used:
            text, changes = encode_picture(self._stored[number], encoding)
            texts.append(text)
            changed |= changes
            room -= len(text) + SEPARATOR
        order = {number: place for place, number in enumerate(used)}
        return Encoded(encoding, texts, order, frozenset(changed)) if room >= 0 else None


def encode_picture(png: bytes, encoding: Encoding) -> tuple[str, set[str]]:
    """Return a lossless PNG as base64 of the picture that an encoding makes of it, and what was
    done to it: "lossy", "scaled"."""
    image, file = Image.fromarray(decode_frame(png)), io.BytesIO()
    if encoding.quality is None or image.width * image.height <= SMALL_PICTURE:
        image.save(file, "PNG", compress_level=9)
        return base64.b64encode(file.getvalue()).decode(), set()
    changes = {"lossy"}
    if encoding.max_side is not None and max(image.size) > encoding.max_side:
        factor = encoding.max_side / max(image.size)
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size, Image.Resampling.LANCZOS)
        changes.add("scaled")
    image.save(file, "WEBP" if _has_webp() else "JPEG", quality=encoding.quality)
    return base64.b64encode(file.getvalue()).decode(), changes


def _has_webp() -> bool:
    return bool(features.check("webp"))
