"""What was found of each map, step by step, and what it comes to. numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from attention_agents.agents.evaluation.statistics import interval
from attention_agents.agents.faithfulness.deletion_curves import GRID, Areas
from attention_agents.agents.faithfulness.rank_metrics import Pointing


class Estimate(NamedTuple):
    """A mean over steps, with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float
    steps: int
    """How many steps it is a mean of."""


@dataclass
class Evidence:
    """What was found of one map."""

    name: str
    family: str
    words: str
    areas: list[Areas] = field(default_factory=list)
    """Of the steps along whose orders tokens were removed."""
    correlations: list[float] = field(default_factory=list)
    """With the causal map; NaN where that is even."""
    pointing: list[Pointing] = field(default_factory=list)
    """Of the steps at which it is known what matters."""

    def per_step(self, name: str) -> Float[np.ndarray, "S"]:
        """Return one number of `Areas` for each step, such as "deletion" or "both"."""
        return np.concatenate([np.zeros(0), *(getattr(area, name) for area in self.areas)])

    def curve(self, name: str) -> list[float]:
        """Return a mean curve over the shares of `GRID`."""
        rows = [np.zeros((0, len(GRID))), *(getattr(area, name) for area in self.areas)]
        joined = np.concatenate(rows)
        return [round(float(value), 4) for value in joined.mean(0)] if len(joined) else []

    def point(self, name: str) -> Float[np.ndarray, "S"]:
        """Return one number of `Pointing` for each step at which it is known what matters."""
        return np.array([getattr(each, name) for each in self.pointing])


def estimate(values: Float[np.ndarray, "S"] | Sequence[float]) -> Estimate | None:
    """Return the mean of the numbers that are there, with an interval; None where there are none.

    NaN stands for a step that says nothing.
    """
    told = np.asarray(values, np.float64)
    told = told[~np.isnan(told)]
    if not len(told):
        return None
    low, high = interval(told)
    return Estimate(float(told.mean()), low, high, len(told))


def as_json(value: Estimate | None) -> dict[str, Any] | None:
    """Return an estimate as JSON."""
    if value is None:
        return None
    return {k: v if k == "steps" else round(v, 5) for k, v in value._asdict().items()}
