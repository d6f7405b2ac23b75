"""Which tokens stand on the picture of an episode, and where the others are shown.

It is the same choice as that of `recording.rendering.overlay.Scene`, as JSON: numbers of token
groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attention_agents.recording.header import Header
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.observation_images import Part, parts_of
from attention_agents.recording.rendering.attended_frame import Stage
from attention_agents.recording.rendering.past_steps import past_frames
from attention_agents.recording.rendering.past_table import past_entities
from attention_agents.recording.step import Step


@dataclass(frozen=True)
class Plan:
    """Where each token group of an episode is shown."""

    parts: tuple[Part, ...]
    stage: tuple[Part, ...]
    """Parts that stand on the stage's picture."""
    size: tuple[int, int] | None
    """(height, width) of the stage's picture, in its own pixels; None where there is none."""
    observed: Part | None
    """Whose observation the stage shows; None where it shows the frame, or nothing."""
    past: tuple[tuple[Part, ...], ...]
    """Past frames that were observed, oldest first."""
    strip: Part | None
    """A history that is shown as the frames of its steps."""
    grids: tuple[Part, ...]
    bars: tuple[Part, ...]
    tables: tuple[tuple[Part, ...], ...]
    """Entities of past steps, oldest first."""

    @property
    def pictured(self) -> tuple[Part, ...]:
        """Parts whose observation is shown as a picture."""
        shown = [part for strip in self.past for part in strip]
        return (*([self.observed] if self.observed else []), *shown, *self.grids)

    def number(self, part: Part) -> int:
        """Return which of the token groups a part is."""
        return self.parts.index(part)

    def to_json(self) -> dict[str, Any]:
        """Return it with parts as their numbers."""
        return {
            "size": self.size,
            "stage": [self.number(part) for part in self.stage],
            "observed": None if self.observed is None else self.number(self.observed),
            "past": [[self.number(part) for part in strip] for strip in self.past],
            "strip": None if self.strip is None else self.number(self.strip),
            "grids": [self.number(part) for part in self.grids],
            "bars": [self.number(part) for part in self.bars],
            "tables": [[self.number(part) for part in table] for table in self.tables],
        }


def plan_of(header: Header, first: Step) -> Plan:
    """Choose from a step of an episode, as a video of it does."""
    parts = parts_of(header.layout)
    stage = Stage.plan(parts, first, choose_view(header.maps).query_source)
    observed = stage.parts[0] if stage is not None and first.frame is None else None
    picture = first.frame if observed is None else observed.observed(first)
    size = None if stage is None or picture is None else (picture.shape[0], picture.shape[1])
    past = past_frames(parts, first, stage.width) if stage is not None else []
    placed = tuple(stage.parts) if stage is not None else ()
    strips, tables = [frames.parts for frames in past], past_entities(parts)
    shown = [*placed, *(part for each in (*strips, *tables) for part in each)]
    strip, grids, bars = None, [], []
    for part in parts:
        if part in shown:
            continue
        if part.observed(first) is not None:
            grids.append(part)
        elif part.group.kind == "history" and first.frame is not None:
            strip = part
        else:
            bars.append(part)
    return Plan(
        parts=tuple(parts),
        stage=placed,
        size=size,
        observed=observed,
        past=tuple(map(tuple, strips)),
        strip=strip,
        grids=tuple(grids),
        bars=tuple(bars),
        tables=tuple(map(tuple, tables)),
    )
