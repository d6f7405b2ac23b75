"""The attention of an episode as a page holds it: as recorded, or reduced where it has no room.

Recorded rows go onto the page byte for byte, with their scales. Reduced ones are computed from them
as an overlay does (`recording.map_view.MapView`), stored in one byte again, and named by what they
are.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np

from attention_agents.recording.chunk import read_arrays
from attention_agents.recording.header import Header
from attention_agents.recording.map_spec import ROLLOUT, MapSpec, mean_over_queries
from attention_agents.recording.map_view import MapView, choose_view
from attention_agents.recording.quantization import pack_rows
from attention_agents.recording.reader import Episode
from attention_agents.recording.rollout import build_rollout_chain
from attention_agents.recording.step import Step

Reduction = Literal["none", "queries", "heads"]
"""Nothing is left out; queries are averaged; heads are averaged as well."""
REDUCTIONS: tuple[Reduction, ...] = ("none", "queries", "heads")
NOTES: dict[Reduction, str] = {
    "none": "Attention weights are those of the recording, byte for byte.",
    "queries": "To save room, maps with several queries are kept as their mean over queries.",
    "heads": "To save room, maps are kept as their mean over queries and over heads.",
}
_PREFIXES = ("map_", "soft_", "heads_")
_SUFFIXES = ("", "_scale", "_faint")


def rows_size(header: Header, steps: int) -> int:
    """Return how many bytes the maps of some steps take, as recorded."""
    sizes = {"uint8": 1, "float32": 4}
    step = sum(
        int(np.prod(header.map_shape(spec))) * sizes[header.storage_dtype(spec)] * (1 + spec.soft)
        for spec in header.maps
    )
    return steps * step


def row_arrays(episode: Episode, reduction: Reduction) -> dict[str, np.ndarray]:
    """Return the maps of an episode as arrays (T, H, Q, K), with what belongs to them.

    They have the names that they have in a chunk: `map_0`, `map_0_scale`, `map_0_faint`, `soft_0`,
    ..., `heads_0`, by the place of the map in the header.

    Raises:
        ValueError: a file is missing or damaged.
    """
    header, arrays = episode.header, {}
    reduced = [i for i, spec in enumerate(header.maps) if _shrinks(header, spec, reduction)]
    dropped = tuple(
        f"{kind}_{i}{end}" for i in reduced for kind in ("map", "soft") for end in _SUFFIXES
    )
    parts = [read_arrays(file.path) for file in episode.chunks]
    for name in parts[0]:
        if name.startswith(_PREFIXES) and name not in dropped:
            arrays[name] = np.concatenate([part[name] for part in parts])
    for i in reduced:
        spec = header.maps[i]
        rows = [_reduced_rows(step, spec, reduction) for step in episode]
        arrays |= pack_rows(f"map_{i}", rows, header.storage_dtype(spec))
        if spec.soft:
            soft = (replace(step, maps=step.soft) for step in episode)
            rows = [_reduced_rows(step, spec, reduction) for step in soft]
            arrays |= pack_rows(f"soft_{i}", rows, header.storage_dtype(spec))
    return arrays


def map_facts(header: Header, reduction: Reduction) -> list[dict[str, Any]]:
    """Return for each map what its numbers mean, as JSON: `MapSpec`, shape, texts."""
    facts = []
    for spec in header.maps:
        view = MapView(spec, None)
        H, Q, K = header.map_shape(spec)
        mean = _shrinks(header, spec, reduction) and Q > 1
        sums = "keys" if mean and spec.normalized_over == "queries" else spec.normalized_over
        heads = 1 if reduction == "heads" else H
        module = view.description[0].rpartition(", ")[0]
        titles = {str(head): MapView(spec, head).description[0] for head in range(heads)}
        titles["max"] = f"{module}, largest of {spec.heads} heads (derived)"
        facts.append(
            {
                **asdict(spec),
                "normalized_over": sums,
                "stored_heads": heads,
                "Q": 1 if mean else Q,
                "K": K,
                "reduced": mean,
                "drawable": view.drawable,
                "query_source": view.query_source_name,
                "titles": {"mean": view.description[0], **titles},
                "query_title": view.description[1],
            }
        )
    return facts


def role_facts(header: Header, reduction: Reduction) -> dict[str, dict[str, Any]]:
    """Return for each role its own map, the maps that the page rolls out, or why it cannot.

    Its own map is the one that is shown by default where there is no rollout. The page rolls out
    the whole matrices of all layers, see `recording.rollout`, from any token. The recorded rollout,
    where there is one, starts at the readout and needs nothing else.
    """
    roles: dict[str, dict[str, Any]] = {}
    number = {spec.name: i for i, spec in enumerate(header.maps)}
    for role in dict.fromkeys(spec.role for spec in header.maps):
        specs = [spec for spec in header.maps if spec.role == role]
        chain, reason = build_rollout_chain(specs, len(header.layout)), ""
        rollouts = [spec for spec in specs if spec.derived == ROLLOUT]
        shown = choose_view([spec for spec in specs if spec.derived != ROLLOUT])
        if any(_shrinks(header, spec, reduction) for spec in chain.layers):
            reason = "the full matrices were left out to save room"
        reason = chain.reason or reason
        roles[role] = {
            "own_map": number[shown.spec.name],
            "layers": [] if reason else [number[spec.name] for spec in chain.layers],
            "readout": None if reason or not chain.readout else number[chain.readout.name],
            "recorded": number[rollouts[0].name] if rollouts else None,
            "reason": reason,
        }
    return roles


def _shrinks(header: Header, spec: MapSpec, reduction: Reduction) -> bool:
    """Say whether a reduction leaves something of a map out."""
    H, Q, _ = header.map_shape(spec)
    return reduction != "none" and (Q > 1 or (reduction == "heads" and H > 1))


def _reduced_rows(step: Step, spec: MapSpec, reduction: Reduction) -> np.ndarray:
    """Return a map averaged over queries, (H, 1, K) float32, or over heads as well, (1, 1, K)."""
    heads = [None] if reduction == "heads" else list(range(spec.heads))
    if spec.keys != "tokens":
        weights = np.abs(step.maps[spec.name])
        rows = mean_over_queries(weights, spec.query_mask(step.present, weights.shape[1]))
        return rows.mean(0, keepdims=True) if reduction == "heads" else rows
    rows = [_key_weights(MapView(spec, head), step) for head in heads]
    return np.stack(rows)[:, None].astype(np.float32)


def _key_weights(view: MapView, step: Step) -> np.ndarray:
    """Return the weights of the tokens and of the keys beside them, (K,)."""
    return np.concatenate(
        [view.token_weights(step), [weight for _, weight in view.extra_weights(step)]]
    )
