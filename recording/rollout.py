"""Attention rollout: how much of each token reaches the policy through all layers of attention.

    row = row @ normalized(A_l + I) for l from the last layer to the first

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
from attention_agents.recording.map_view import MapView
from attention_agents.recording.step import Step


@dataclass(frozen=True)
class RolloutChain:
    """The maps of one role that attention is followed through."""

    layers: tuple[MapSpec, ...]
    """Next to the observation first; none where attention cannot be followed."""
    readout: MapSpec | None
    """The last link; of one layer the only one."""
    reason: str = ""
    """Why it cannot be followed; empty where it can."""

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of the maps of the chain."""
        return frozenset(spec.name for spec in (*self.layers, self.readout) if spec is not None)

    @cached_property
    def spec(self) -> MapSpec:
        """The rolled out map, as one of a recording."""
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

    def compute_row(self, step: Step) -> np.ndarray:
        """Return how much of each token, and of each key beside the tokens, arrives, (K,).

        Args:
            step: with the whole matrices of the chain.
        """
        present, extras = step.present, np.zeros(0)
        if self.readout is None:
            row = present / max(present.sum(), 1)
        else:
            view = MapView(self.readout, None)
            row = view.token_weights(step)
            extras = np.array([weight for _, weight in view.extra_weights(step)])
        means = [
            mean_over_heads(step.maps[spec.name], step.heads.get(spec.name)) for spec in self.layers
        ]
        return np.concatenate([attention_rollout(means, row, present), extras])


def build_rollout_chain(maps: Sequence[MapSpec], tokens: int) -> RolloutChain:
    """Return the maps through which attention is followed.

    Every layer must go from tokens to tokens, as a whole matrix with rows that sum to 1; at most
    one readout may follow.

    Args:
        maps: of one role.
        tokens: N, how many tokens the observation has.
    """
    recorded = [spec for spec in maps if spec.derived != ROLLOUT]
    layers = sorted((s for s in recorded if s.queries != "readout"), key=lambda s: s.layer)
    readouts = [spec for spec in recorded if spec.queries == "readout"]
    reason = _find_obstacle(layers, readouts, tokens)
    alone = not layers and len(readouts) == 1 and readouts[0].keys == "tokens"
    if reason and not alone:
        return RolloutChain((), None, reason)
    return RolloutChain(tuple(layers), readouts[0] if readouts else None, reason)


def attention_rollout(
    layers: Sequence[np.ndarray], row: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """Follow attention back through layers of tokens that read tokens, residuals included.

    Args:
        layers: mean over heads, (N, N) each, first layer first.
        row: (N,), the weights on the last layer's output: a readout's own, or even over tokens.
        present: (N,) bool.

    Returns:
        (N,), 0 for absent tokens.
    """
    for layer in reversed(layers):
        with_residual = np.where(present[:, None], layer, 0) + np.eye(len(layer))  # (N, N)
        row = row @ (with_residual / with_residual.sum(1, keepdims=True))
    return np.where(present, row, 0)


def _find_obstacle(layers: Sequence[MapSpec], readouts: Sequence[MapSpec], tokens: int) -> str:
    """Return why attention cannot be followed through these maps; "" where it can."""
    if not layers:
        return "attention has one layer, whose row is shown as it is"
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
