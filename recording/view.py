"""Which recorded map is shown: one layer, one head or their mean, as one weight per token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recording.format import MapSpec, Step

EGO = "the agent's own token"
"""Who asks where the readout is an ego readout."""


@dataclass(frozen=True)
class View:
    """One way to look at the maps of a step."""

    spec: MapSpec
    head: int | None
    """None: the mean over heads."""

    def weights(self, step: Step) -> np.ndarray:
        """Return the weight of every token, (N,) float32, 0 for absent ones.

        Heads and queries of the map are averaged where the view names no single one; queries of
        absent tokens do not count.
        """
        weights = step.maps[self.spec.name]  # (H, Q, N)
        weights = weights.mean(0) if self.head is None else weights[self.head]  # (Q, N)
        return mean_over_queries(weights[None], step.present)[0, 0]

    @property
    def lines(self) -> tuple[str, str]:
        """What is shown, in words: the module, and what was computed from it."""
        heads = f"mean of {self.spec.heads} heads" if self.head is None else f"head {self.head}"
        if self.spec.heads == 1:
            heads = "the only head"
        asks = "mean over tokens (derived)"
        if self.spec.queries == "readout":
            asks = f"{self.asker} asks"
        return f"{self.spec.role}, layer {self.spec.layer}, {heads}", asks

    @property
    def asker(self) -> str:
        """Who attends, in words: the readout (`EGO` where it is the agent's own token), or all."""
        if self.spec.queries == "tokens":
            return "every token"
        return {"ego": EGO, "learned query": "a learned query"}.get(self.spec.asker, "the readout")


def choose_view(maps: Sequence[MapSpec], layer: int | None = None, head: int | None = None) -> View:
    """Choose what to show: by default the readout's own row, else the last layer; all heads.

    Args:
        maps: of a recording, see `Header.maps`; the critic's are left out where there are others.
        layer: None for the default.
        head: None for the mean over heads.

    Raises:
        ValueError: there is no such layer or head.
    """
    acting = [spec for spec in maps if spec.role != "critic"] or list(maps)
    layers = sorted({spec.layer for spec in acting})
    if layer is not None and layer not in layers:
        raise ValueError(f"layer must be {_span(layers)}, got {layer}")
    fitting = [spec for spec in acting if layer in (None, spec.layer)]
    spec = max(fitting, key=lambda spec: (spec.queries == "readout", spec.layer))
    if head is not None and not 0 <= head < spec.heads:
        raise ValueError(f"head must be {_span(range(spec.heads))}, got {head}")
    return View(spec, head)


def mean_over_queries(weights: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Average a map (H, Q, N) over the queries of present tokens, to (H, 1, N)."""
    H, Q, N = weights.shape
    if Q == 1:
        return weights
    if not present.any():
        return np.zeros((H, 1, N), np.float32)
    return weights[:, present].mean(1, keepdims=True, dtype=np.float32)


def entropy(weights: np.ndarray) -> float:
    """Return the entropy of weights (N,), taken as shares of their sum, in nats; 0 if all are 0.

    Its exponential is the effective number of tokens: n when n tokens share the weight evenly.
    """
    total = weights.sum(dtype=np.float64)
    if total <= 0:
        return 0.0
    shares = weights[weights > 0] / total
    return float(-(shares * np.log(shares)).sum())


def _span(values: range | list[int]) -> str:
    if len(values) == 1:
        return str(values[0])
    return f"{min(values)} to {max(values)}"
