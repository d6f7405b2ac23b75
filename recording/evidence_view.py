"""Which evidence is shown: one component, as one signed number per token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from attention_agents.recording.header import Header
from attention_agents.recording.map_view import MapView, choose_view
from attention_agents.recording.reader import Episode
from attention_agents.recording.step import Step

Shown = Literal["", "evidence", "attention"]
"""What a picture shows; "": evidence where it was recorded and no layer or head is asked for."""
UNDEFINED = "undefined: there was no other choice"
NO_ATTENTION = "the policy has no attention"


@dataclass(frozen=True)
class EvidenceView:
    """One component of the evidence of each step."""

    header: Header
    """Of the recording; it has evidence."""
    component: int
    """Which of the M components."""
    reason: str = ""
    """Why this one, where it was not asked for."""

    drawable = True
    query_source_name = ""
    """Nothing asks for evidence."""

    def token_weights(self, step: Step) -> np.ndarray:
        """Return the evidence of every token, (N,) float32, above 0 for what was done and below 0
        against it; 0 for absent tokens, and everywhere where it is undefined."""
        evidence = self._row(step)
        return np.where(np.isnan(evidence), np.float32(0), evidence)

    def is_defined(self, step: Step) -> bool:
        """Return whether there is evidence at a step: not where nothing else could be done."""
        return not np.isnan(self._row(step)).any()

    def extra_weights(self, step: Step) -> tuple[tuple[str, float], ...]:
        """Return nothing: only tokens have evidence."""
        return ()

    @property
    def component_name(self) -> str:
        """The name of the component; empty where there is only one."""
        components = self._spec.components
        return components[self.component] if len(components) > 1 else ""

    @property
    def description(self) -> tuple[str, str]:
        """What is shown, in words: evidence of what, and how it was computed."""
        spec, count = self._spec, len(self._spec.components)
        of = f" on {self.component_name}, 1 of {count}" if self.component_name else ""
        why = f" ({self.reason})" if self.reason else ""
        return f"evidence{of}{why}", f"{spec.margin}; {spec.baseline_text}"

    @property
    def notes(self) -> tuple[str, ...]:
        """A line each on what the tokens are, and whether there is attention."""
        notes = [f"tokens: {self._spec.tokens}"]
        if not self.header.maps:
            notes.append(NO_ATTENTION)
        return tuple(notes)

    @property
    def num_details(self) -> int:
        """How many lines `describe_details` has at every step."""
        return len(self.notes)

    def describe_details(self, step: Step) -> tuple[str, ...]:
        """Return `notes`, which are the same at every step."""
        return self.notes

    def describe_spread(self, step: Step, weights: np.ndarray) -> str:
        """Add up what speaks for and against, of the evidence (N,) of a step."""
        if not self.is_defined(step):
            return UNDEFINED
        above, below = weights[weights > 0].sum(), weights[weights < 0].sum()
        return f"in all +{above:.2f} and {'-' if below == 0 else ''}{below:.2f}"

    @property
    def _spec(self):
        assert self.header.evidence is not None, "the recording has evidence"
        return self.header.evidence

    def _row(self, step: Step) -> np.ndarray:
        if step.evidence is None:
            return np.full(step.num_tokens, np.nan, np.float32)
        return step.evidence[self.component]


def shows_evidence(
    header: Header, layer: int | None = None, head: int | None = None, show: Shown = ""
) -> bool:
    """Return whether evidence is shown of a recording, and not its attention.

    Raises:
        ValueError: evidence is asked for and there is none, or with a layer or head of attention.
    """
    asks_for_map = layer is not None or head is not None
    if show == "evidence":
        if header.evidence is None:
            raise ValueError("this recording has no evidence; show its attention")
        if asks_for_map:
            raise ValueError("layer and head are of attention, and evidence is to be shown")
    return show == "evidence" or (show == "" and header.evidence is not None and not asks_for_map)


def choose_shown(
    header: Header,
    layer: int | None = None,
    head: int | None = None,
    show: Shown = "",
    component: str = "",
    episode: Episode | None = None,
) -> MapView | EvidenceView:
    """Choose what is shown: evidence where there is some, else attention, see `choose_view`.

    Args:
        header: of a recording.
        layer, head: of attention.
        show: "evidence" or "attention"; "" for the default.
        component: of evidence, by name or number; "" for the one with the most of it.
        episode: of which that is found out; None takes the first component.

    Raises:
        ValueError: there is no such layer, head or component, or no evidence, or no attention.
    """
    if not shows_evidence(header, layer, head, show):
        if component:
            raise ValueError("a component is one of evidence, and attention is to be shown")
        return choose_view(header.maps, layer, head)
    assert header.evidence is not None, "see shows_evidence"
    names = header.evidence.components
    if component:
        return EvidenceView(header, _find_component(names, component))
    if len(names) == 1 or episode is None:
        return EvidenceView(header, 0)
    return EvidenceView(header, most_evident_component(episode), "most of this episode")


def most_evident_component(episode: Episode) -> int:
    """Return the component whose evidence is the largest on average over an episode."""
    M, _ = episode.header.evidence_shape
    totals = np.zeros(M)
    for step in episode:
        if step.evidence is not None:
            totals += np.abs(np.nan_to_num(step.evidence.astype(np.float64))).sum(-1)
    return int(totals.argmax())


def _find_component(names: tuple[str, ...], component: str) -> int:
    if component in names:
        return names.index(component)
    if component.isdigit() and int(component) < len(names):
        return int(component)
    raise ValueError(f"component must be one of {', '.join(names)}, got {component!r}")
