"""Attention rollout: how much of each token reaches the policy through all layers of attention.

    row = row @ normalised(A_l + I) for l from the last layer to the first

`A_l` is the mean over heads, as they count, of the weights from tokens to tokens; the rows of
`A_l + I` are made to sum to 1. `row` is at first the readout's own, else even over the tokens.

Source: Abnar and Zuidema 2020, Quantifying attention flow in transformers, section 3,
    https://arxiv.org/abs/2005.00928.
Differs: a readout's row is taken without the residual connection that it has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention_agents.recording.map_spec import ROLLOUT, MapSpec, mean_over_heads
from attention_agents.recording.map_view import View
from attention_agents.recording.step import Step


@dataclass(frozen=True)
class Chain:
    """The maps of one role that attention is followed through."""

    layers: tuple[MapSpec, ...]
    """Next to the observation first; none where attention cannot be followed."""
    readout: MapSpec | None
    """The last link; of one layer the only one."""
    reason: str = ""
    """Why it cannot be followed; empty where it can."""

    @cached_property
    def names(self) -> frozenset[str]:
        """Of the maps that it takes."""
        return frozenset(one.name for one in (*self.layers, self.readout) if one is not None)

    @cached_property
    def spec(self) -> MapSpec:
        """What the rolled out map is, as one of a recording."""
        last = self.readout if self.readout is not None else self.layers[-1]
        return MapSpec(
            name=f"{last.role}/{ROLLOUT}",
            role=last.role,
            layer=last.layer,
            heads=1,
            queries=last.queries,
            derived=ROLLOUT,
            query_source=last.query_source,
            extra_keys=() if self.readout is None else last.extra_keys,
            mechanism=last.mechanism,
            query_count=1,
        )

    def row(self, step: Step) -> np.ndarray:
        """Return how much of each token, and of each key beside the tokens, arrives, (K,).

        Args:
            step: with the whole maps of the chain.
        """
        present, extras = step.present, np.zeros(0)
        if self.readout is None:
            row = present / max(present.sum(), 1)
        else:
            view = View(self.readout, None)
            row = view.weights(step)
            extras = np.array([weight for _, weight in view.extras(step)])
        means = [
            mean_over_heads(step.maps[one.name], step.heads.get(one.name)) for one in self.layers
        ]
        return np.concatenate([rollout(means, row, present), extras])


def chain_of(maps: Sequence[MapSpec], tokens: int) -> Chain:
    """Return what attention is followed through.

    Every layer must go from tokens to tokens, whole, with rows that sum to 1; at most one readout
    may follow.

    Args:
        maps: of one role.
        tokens: N, how many tokens the observation has.
    """
    own = [spec for spec in maps if spec.derived != ROLLOUT]
    layers = sorted((spec for spec in own if spec.queries != "readout"), key=lambda s: s.layer)
    readouts = [spec for spec in own if spec.queries == "readout"]
    reason = _broken(layers, readouts, tokens)
    alone = not layers and len(readouts) == 1 and readouts[0].keys == "tokens"
    if reason and not alone:
        return Chain((), None, reason)
    return Chain(tuple(layers), readouts[0] if readouts else None, reason)


def rollout(layers: Sequence[np.ndarray], row: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Follow attention back through layers of tokens that read tokens, residuals included.

    Args:
        layers: mean over heads, (N, N) each, first layer first.
        row: (N,), what reads the last layer: a readout's own row, or the mean over tokens.
        present: (N,) bool.

    Returns:
        (N,), 0 for absent tokens.
    """
    for layer in reversed(layers):
        kept = np.where(present[:, None], layer, 0) + np.eye(len(layer))
        row = row @ (kept / kept.sum(1, keepdims=True))
    return np.where(present, row, 0)


def _broken(layers: Sequence[MapSpec], readouts: Sequence[MapSpec], tokens: int) -> str:
    if not layers:
        return "attention has one layer, whose own row says it all"
    if any(spec.derived for spec in layers):
        return "the full matrices were not recorded (RecordAttention(full=True) does)"
    square = all(
        spec.queries == spec.keys == "tokens"
        and spec.stored_shape(tokens)[1:] == (tokens, tokens)
        and spec.normalized_over == "keys"
        for spec in layers
    )
    distinct = len({spec.layer for spec in layers}) == len(layers)
    if not (square and distinct) or len(readouts) > 1 or any(r.keys != "tokens" for r in readouts):
        return "not every layer goes from tokens to tokens with weights that sum to 1"
    return ""
