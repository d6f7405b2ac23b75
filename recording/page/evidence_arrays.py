"""The evidence of an episode as a page holds it: byte for byte as recorded, with its scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from attention_agents.recording.chunk import read_arrays
from attention_agents.recording.evidence_view import EvidenceView, most_evident_component
from attention_agents.recording.header import Header
from attention_agents.recording.page.text_table import TextTable
from attention_agents.recording.reader import Episode
from attention_agents.recording.scene.evidence_scale import episode_scale
from attention_agents.recording.scene.evidence_words import evidence_words
from attention_agents.recording.scene.scene_layout import SceneLayout


def evidence_facts(header: Header) -> dict[str, Any] | None:
    """Return what the evidence of a recording means, as JSON; None where there is none."""
    if header.evidence is None:
        return None
    views = [EvidenceView(header, component) for component in range(header.evidence_shape[0])]
    return {
        "components": header.evidence.components,
        "titles": [view.description[0] for view in views],
        "meaning": views[0].description[1],
        "notes": views[0].notes,
    }


def episode_evidence_facts(episode: Episode, layout: SceneLayout) -> dict[str, Any]:
    """Return which component of an episode is shown first, and the scale of each, as JSON; nothing
    without evidence."""
    header = episode.header
    if header.evidence is None:
        return {}
    M, _ = header.evidence_shape
    scales = [episode_scale(episode, EvidenceView(header, m), layout) for m in range(M)]
    first = most_evident_component(episode) if M > 1 else 0
    return {"evidence": {"first": first, "scales": [scale._asdict() for scale in scales]}}


def evidence_arrays(episode: Episode, texts: TextTable) -> dict[str, np.ndarray]:
    """Return the evidence of an episode as arrays; none without evidence.

    `evidence` (T, M, N) and `evidence_scale` (T, M) are as in a chunk; `evidence_above` and
    `evidence_below` (T, M) are the numbers of the texts that say what the signs mean.
    """
    header = episode.header
    if header.evidence is None:
        return {}
    names = ("evidence", *(["evidence_scale"] if header.evidence_dtype == "int8" else []))
    parts = [read_arrays(file.path, names) for file in episode.chunks]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in names}
    M, _ = header.evidence_shape
    words = [[evidence_words(header, m, step.action) for m in range(M)] for step in episode]
    arrays["evidence_above"] = np.stack([texts.add_all(w.above for w in row) for row in words])
    arrays["evidence_below"] = np.stack([texts.add_all(w.below for w in row) for row in words])
    return arrays
