"""What evidence speaks for and against, in words: the action taken, or a dimension of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attention_agents.recording.header import Header
from attention_agents.recording.scene.actions import action_names


class EvidenceWords(NamedTuple):
    """What the two signs of evidence mean at a step."""

    above: str
    """Of evidence above 0, such as "for left"."""
    below: str
    """Of evidence below 0, such as "against left"."""


def evidence_words(header: Header, component: int, action: np.ndarray) -> EvidenceWords:
    """Return what the evidence of a component means at a step.

    Args:
        action: that was taken.
    """
    names, values = action_names(header), np.ravel(action)
    if component >= min(len(values), len(names)):  # of a file that contradicts itself
        return EvidenceWords("for the action", "against the action")
    if header.action_kind == "continuous":
        name = names[component]
        return EvidenceWords(f"raises {name}", f"lowers {name}")
    if header.action_kind == "multi_binary":
        done = f"{names[component]} = {int(values[component] > 0.5)}"
    else:
        start = sum(header.action_sizes[:component])
        choice = start + int(values[component])
        done = names[choice] if 0 <= choice < len(names) else "the action"
    return EvidenceWords(f"for {done}", f"against {done}")
