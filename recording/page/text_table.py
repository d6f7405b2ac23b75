"""Texts of a page, each of which stands on it once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


class TextTable:
    """A table of texts, by number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def texts(self) -> list[str]:
        """All texts, by their numbers."""
        return list(self._numbers)

    def add_all(self, texts: Iterable[str]) -> np.ndarray:
        """Return the numbers of some texts, int32, and add those that are not yet there."""
        numbers = [self._numbers.setdefault(text, len(self._numbers)) for text in texts]
        return np.array(numbers, np.int32)
