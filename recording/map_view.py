"""Which recorded map is shown: one layer, one head or their mean, as one weight per token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention_agents.recording.map_spec import (
    ROLLOUT,
    MapSpec,
    mean_over_heads,
    mean_over_queries,
)
from attention_agents.recording.step import Step

EGO = "the agent's own token"
"""Name of the query of an ego readout."""
NUMBERS = "numbers"
"""Part of a gate over all single numbers of an observation that also has pictures or grids."""
QUERY_SOURCES = {"ego": EGO, "learned query": "a learned query", "": "the readout"}
"""Names of query sources in a sentence; others are "the" and their own word."""


@dataclass(frozen=True)
class MapView:
    """One way to look at the maps of a step.

    A map over anything but tokens has nothing to show on a picture: its weights are all 0 here.
    """

    spec: MapSpec
    head: int | None
    """None: the mean over heads, weighted as the module weights them."""

    @property
    def drawable(self) -> bool:
        """Whether the map is one over tokens."""
        return self.spec.keys == "tokens"

    def token_weights(self, step: Step) -> np.ndarray:
        """Return the weight of every token, (N,) float32, 0 for absent ones.

        Heads and queries of the map are averaged unless the view names a single head; queries of
        absent tokens, and those that read nothing, do not count. Weights below 0 are shown by their
        size. Where tokens choose among queries, each query's weights are first made to sum to 1.
        """
        if not self.drawable:
            return np.zeros(step.num_tokens, np.float32)
        return self._key_weights(step)[: step.num_tokens]

    def extra_weights(self, step: Step) -> tuple[tuple[str, float], ...]:
        """Return the names and weights of the keys beside the tokens, such as a CLS token."""
        names = self.spec.extra_keys
        if not names:
            return ()
        weights = self._key_weights(step)[-len(names) :].tolist()
        return tuple(zip(names, weights, strict=True))

    @property
    def description(self) -> tuple[str, str]:
        """What is shown, in words: the module, and what was computed from it."""
        spec = self.spec
        if spec.derived == ROLLOUT:
            return f"{spec.role}, rollout (derived)", f"{self._query_text}, through all layers"
        if spec.heads == 1:
            heads = "the only head"
        elif self.head is not None:
            heads = f"head {self.head}"
        else:
            heads = f"mean of {spec.heads} heads" + " as they count" * spec.head_weights
        part = f", {spec.part}" if spec.part else ""
        rows = self._rows_text if self.drawable else f"weighs {spec.keys} (not drawn)"
        unnormalized = ", unnormalized" if spec.normalized_over == "none" else ""
        return f"{spec.role}, layer {spec.layer}{part}, {heads}", rows + unnormalized

    @property
    def query_source_name(self) -> str:
        """What attends, in words: the readout (`EGO` where it is the agent's own token), or all."""
        if self.spec.queries == "tokens":
            return "every token"
        if self.spec.queries == "readout":
            return QUERY_SOURCES.get(self.spec.query_source, f"the {self.spec.query_source}")
        return f"the {self.spec.queries}"

    @property
    def num_details(self) -> int:
        """How many lines `describe_details` has at every step."""
        return bool(self.spec.mechanism) + bool(self.spec.extra_keys) + self.spec.head_weights

    def describe_details(self, step: Step) -> tuple[str, ...]:
        """Return a line each on the mechanism, on keys that are not drawn and on head weights."""
        details = [self.spec.mechanism] if self.spec.mechanism else []
        if self.spec.extra_keys:
            extras = ", ".join(f"{name} {weight:.2f}" for name, weight in self.extra_weights(step))
            details.append(f"not drawn: {extras}")
        if self.spec.head_weights:
            counts = step.heads.get(self.spec.name)
            text = "unknown" if counts is None else ", ".join(f"{count:.2f}" for count in counts)
            details.append(f"heads count {text}")
        return tuple(details)

    def describe_spread(self, step: Step, weights: np.ndarray) -> str:
        """Describe over how many tokens the weights (N,) of this view spread."""
        present = weights[step.present]
        if not self.drawable or not len(present):
            return ""
        share = f"{int((present > 0).sum())} of {len(present)} tokens"
        if self.spec.normalized_over == "none":
            read = f"read {share}, " if self.spec.soft else ""
            return f"{read}weight {present.mean():.3f} on average, {present.max():.3f} at most"
        nats = entropy(weights)
        if self.spec.soft:
            return f"read {share} (entropy {nats:.2f})"
        count = float(np.exp(nats))
        digits = 1 if count < 9.95 else 0
        return f"spread over {count:.{digits}f} of {len(present)} tokens (entropy {nats:.2f})"

    @property
    def _rows_text(self) -> str:
        """What the shown row is a mean of, or whose row it is."""
        spec = self.spec
        if spec.queries == "tokens":
            return "mean over tokens (derived)"
        if spec.queries != "readout":
            of = f" of {spec.query_source}" if spec.query_source not in ("", spec.queries) else ""
            even = ", each made to sum to 1" if spec.normalized_over == "queries" else ""
            return f"mean over {spec.queries}{of}{even} (derived)"
        num_queries = spec.query_count or 1
        return (
            self._query_text if num_queries == 1 else f"mean over {num_queries} queries (derived)"
        )

    @property
    def _query_text(self) -> str:
        plural = self.query_source_name.endswith("s")  # "the votes"
        return f"{self.query_source_name} {'ask' if plural else 'asks'}"

    def _key_weights(self, step: Step) -> np.ndarray:
        """Return one weight for each key, (K,) float32."""
        weights = np.abs(step.maps[self.spec.name])  # (H, Q, K)
        if self.spec.normalized_over == "queries":
            weights = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
        query_mask = self.spec.query_mask(step.present, weights.shape[1])
        rows = mean_over_queries(weights, query_mask)[:, 0]  # (H, K)
        if self.head is not None:
            return rows[self.head]
        return mean_over_heads(rows, step.heads.get(self.spec.name))


def choose_view(
    maps: Sequence[MapSpec], layer: int | None = None, head: int | None = None
) -> MapView:
    """Choose what to show: by default the rollout, else the readout's own row, else the last layer.

    That order is the one of benchmarks/faithfulness.md. Of the gates of a layer, that of a picture
    or grid comes before that of the numbers beside it. Only maps over tokens are chosen; where a
    recording has none, its last map, which shows nothing.

    Args:
        maps: of a recording, see `Header.maps`; the critic's are left out where there are others.
        layer: whose own map; None for the default.
        head: of a module's own map; None for the mean over heads.

    Raises:
        ValueError: there is no such layer or head, or the layer has no map over tokens and others
            have; or there are no maps at all.
    """
    if not maps:
        raise ValueError("this recording has no attention maps: its policy has no attention")
    acting = [spec for spec in maps if spec.role != "critic"] or list(maps)
    layers = sorted({spec.layer for spec in acting})
    if layer is not None and layer not in layers:
        raise ValueError(f"layer must be {_range_text(layers)}, got {layer}")
    if layer is not None or head is not None:
        acting = [spec for spec in acting if spec.derived != ROLLOUT]
    drawable = [spec for spec in acting if spec.keys == "tokens"] or acting
    candidates = [spec for spec in drawable if layer in (None, spec.layer)]
    if not candidates:
        keys = ", ".join(dict.fromkeys(spec.keys for spec in acting if spec.layer == layer))
        drawable_layers = ", ".join(str(n) for n in sorted({spec.layer for spec in drawable}))
        raise ValueError(
            f"layer {layer} weighs {keys}, which stand nowhere on a picture; layers that read "
            f"tokens: {drawable_layers}"
        )
    spec = max(candidates, key=_rank)
    if head is not None and not 0 <= head < spec.heads:
        raise ValueError(f"head must be {_range_text(range(spec.heads))}, got {head}")
    return MapView(spec, head)


def _rank(spec: MapSpec) -> tuple[bool, bool, int, bool]:
    return (spec.derived == ROLLOUT, spec.queries == "readout", spec.layer, spec.part != NUMBERS)


def entropy(weights: np.ndarray) -> float:
    """Return the entropy of weights (N,), taken as shares of their sum, in nats; 0 if all are 0.

    Its exponential is the effective number of tokens: n when n tokens share the weight evenly.
    """
    total = weights.sum(dtype=np.float64)
    if total <= 0:
        return 0.0
    shares = weights[weights > 0] / total
    return float(-(shares * np.log(shares)).sum())


def _range_text(values: range | list[int]) -> str:
    return str(values[0]) if len(values) == 1 else f"{min(values)} to {max(values)}"
