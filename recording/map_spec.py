"""One recorded attention map: what its numbers mean, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from attention_agents.envs.tokens.json_reader import read_object, read_value

NormalizedOver = Literal["keys", "queries", "none"]
LONGEST_WORD, LONGEST_TEXT = 40, 200
"""Characters of a word and of a text."""
MEAN_OVER_QUERIES, ROLLOUT = "mean over queries", "rollout"
"""How rows are derived from the weights of modules, see `MapSpec.derived`."""
EARLIER_FIELDS = {"asker": "query_source", "normalised_over": "normalized_over"}
"""Names that fields of `MapSpec` had in schemas 1 and 2, and their names today."""


@dataclass(frozen=True)
class MapSpec:
    """One attention module whose weights are stored at every step."""

    name: str
    """Role, layer and part, such as "actor/1" or "actor/0/time"."""
    role: str
    """Who attends: "actor", "critic" or "online" (Q values)."""
    layer: int
    """0 is the layer next to the observation."""
    heads: int
    queries: str
    """What the queries are, in a short word: "tokens" (in their order), "readout", "slots",
    "inducing points", "asking tokens", "steps", ..."""
    normalized_over: NormalizedOver = "keys"
    """"keys": rows sum to 1, or to 0 where nothing is visible; "queries": the weights of each key
    do; "none": nothing does, and weights may be below 0 or above 1."""
    derived: str = ""
    """How the stored rows were computed: "mean over queries" of the module's own; "rollout" through
    all layers, see `recording.rollout`; empty where they are the module's own."""
    query_source: str = ""
    """Whose query a readout's row is, such as "ego" or "learned query"; empty where unknown."""
    keys: str = "tokens"
    """What is read, in a short word: "tokens" (in their order), "channels", "inducing points"."""
    extra_keys: tuple[str, ...] = ()
    """Names of keys that follow the tokens on the last axis, such as "CLS"."""
    key_count: int | None = None
    """Length of the last axis; None: the tokens and the extra keys."""
    query_count: int | None = None
    """Length of the axis before; None: 1 for a readout and derived rows, else the tokens."""
    part: str = ""
    """Tells apart the modules of one layer, such as "time" and "space"."""
    mechanism: str = ""
    """How it weighs where that is not the default, such as "additive, entmax15, top-k 4"."""
    soft: bool = False
    """Whether weights from before a hard choice are stored beside, see `Step.soft`."""
    head_weights: bool = False
    """Whether it is stored how much each head counts, see `Step.heads`."""

    def stored_shape(self, num_tokens: int) -> tuple[int, int, int]:
        """Return (H, Q, K), the shape of the stored map.

        Args:
            num_tokens: N, how many tokens the observation has.
        """
        single = self.queries == "readout" or bool(self.derived)
        Q = (1 if single else num_tokens) if self.query_count is None else self.query_count
        K = num_tokens + len(self.extra_keys) if self.key_count is None else self.key_count
        return self.heads, Q, K

    def query_mask(self, present: np.ndarray, num_queries: int) -> np.ndarray:
        """Return which of the queries count, (Q,) bool: of tokens those that are present.

        Args:
            present: (N,) bool.
            num_queries: Q.
        """
        mask = np.ones(num_queries, bool)
        if self.queries == "tokens" and not self.derived and num_queries > 1:
            mask[: len(present)] = present[:num_queries]
        return mask


def read_map_spec(data: Any, name: str) -> MapSpec:
    """Read a map from the JSON of a header, of any schema."""
    fields = read_value(data, dict[str, Any], name)
    return read_object(MapSpec, {EARLIER_FIELDS.get(k, k): v for k, v in fields.items()})


def check_map(spec: MapSpec, tokens: int) -> None:
    """Refuse a map that contradicts itself or the token layout.

    Raises:
        ValueError: a word is none, a count is below 1, or fits neither tokens nor extra keys.
    """
    words = (spec.role, spec.queries, spec.keys, spec.part, spec.query_source, *spec.extra_keys)
    texts = (*((word, LONGEST_WORD) for word in words), (spec.mechanism, LONGEST_TEXT))
    counts = (spec.heads, *(n for n in (spec.key_count, spec.query_count) if n is not None))
    if (
        any(len(text) > most or not text.isprintable() for text, most in texts)
        or not all((spec.queries, spec.keys, *spec.extra_keys))
        or spec.normalized_over not in get_args(NormalizedOver)
        or min(counts) < 1
    ):
        raise ValueError(f"not an attention map: {spec}")
    expected = tokens + len(spec.extra_keys)
    if spec.keys == "tokens" and spec.key_count not in (None, expected):
        raise ValueError(
            f"map {spec.name!r} reads {tokens} tokens and {len(spec.extra_keys)} extra keys, so "
            f"key_count must be {expected}, got {spec.key_count}"
        )
    if spec.keys != "tokens" and spec.key_count is None:
        raise ValueError(f"map {spec.name!r} reads {spec.keys}: say how many with key_count")
    if spec.queries not in ("tokens", "readout") and not spec.derived and spec.query_count is None:
        raise ValueError(f"map {spec.name!r}: say how many {spec.queries} ask with query_count")


def stored_rows(weights: np.ndarray, spec: MapSpec, present: np.ndarray) -> np.ndarray:
    """Return a module's own weights (H, Q, K) as they are stored: whole, or the mean over queries.

    Args:
        present: (N,) bool, True where a token is present.
    """
    if not spec.derived:
        return weights
    query_mask = replace(spec, derived="").query_mask(present, weights.shape[1])
    return mean_over_queries(weights, query_mask)


def mean_over_heads(weights: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Average weights (H, ...) over their heads, to (...).

    Args:
        counts: (H,), how much each head counts; None, or all 0: all the same.
    """
    if counts is None or counts.sum() <= 0:
        return weights.mean(0)
    return np.average(weights, 0, counts).astype(np.float32)


def mean_over_queries(weights: np.ndarray, query_mask: np.ndarray) -> np.ndarray:
    """Average a map (H, Q, K) over its queries, to (H, 1, K) float32.

    Each query counts as much as any other, head by head; those that are not there, and those that
    read nothing, such as ones with an empty window, do not count.

    Args:
        query_mask: (Q,) bool, which queries count, see `MapSpec.query_mask`.
    """
    if weights.shape[1] == 1:
        return weights
    counts = query_mask & (weights != 0).any(-1)  # (H, Q)
    total = np.where(counts[..., None], weights, 0).sum(1, keepdims=True, dtype=np.float64)
    return (total / np.maximum(counts.sum(1), 1)[:, None, None]).astype(np.float32)


def share_read(weights: np.ndarray, spec: MapSpec, present: np.ndarray) -> float:
    """Return the share of the present tokens that any head and query read; of other keys likewise.

    Extra keys do not count; 0 where no token is present.

    Args:
        weights: (H, Q, K); whatever is not 0 is read.
        present: (N,) bool.
    """
    query_mask = spec.query_mask(present, weights.shape[1])
    read = (weights[:, query_mask] != 0).any((0, 1))  # (K,)
    num_keys = len(read) - len(spec.extra_keys)
    countable = present if spec.keys == "tokens" else np.ones(num_keys, bool)
    return float((read[:num_keys] & countable).sum() / max(int(countable.sum()), 1))
