"""Recordings as the JSON of a page: what is drawn, and nothing else.

{"heat": colours, "notes": what was left out, "reduced": whether something was,
 "pictures": [base64, ...],
 "recordings": [{"name", "env_id", ..., "parts": token groups, "maps": what their numbers mean,
                 "episodes": [{"steps", "seed", "plan": where tokens are shown,
                               "arrays": {name: packed array}}]}]}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from attention_agents.recording.observation_images import Part, parts_of
from attention_agents.recording.page.episode_arrays import Seen, read_episode
from attention_agents.recording.page.map_arrays import (
    REDUCTIONS,
    WORDS,
    Reduction,
    map_facts,
    rollout_facts,
    row_arrays,
    rows_size,
)
from attention_agents.recording.page.packed_arrays import packed
from attention_agents.recording.page.pictures import Encoded, Pictures
from attention_agents.recording.page.score_arrays import LEFT_OUT, hidden_distributions
from attention_agents.recording.page.verdict import worth_facts
from attention_agents.recording.reader import Episode, Recording
from attention_agents.recording.rendering import colors
from attention_agents.recording.rendering.side_panel import action_names

MAPS_SHARE = 0.6
"""Attention weights take at most so much of the page, unless pictures leave more."""
HIDDEN_SHARE = 0.25
"""What the policy says without each token takes at most so much, or is left out."""
SLACK = 4000
"""Characters for what is not counted: colours, notes, punctuation."""
SHRINKS = 20
"""Rows of bytes are never expected to shrink to less than one part in so many."""

Rows = list[list[dict[str, Any]]]
"""The packed maps of each episode of each recording."""


class Source(NamedTuple):
    """A recording on a page."""

    recording: Recording
    name: str
    """What the page calls it."""
    episodes: tuple[Episode, ...]
    """Those that are shown; none is empty."""


def payload(sources: Sequence[Source], most_bytes: int) -> dict[str, Any]:
    """Return recordings as the JSON of a page, reduced where that is needed to fit.

    Args:
        sources: what is shown.
        most_bytes: characters that the JSON may take.

    Raises:
        ValueError: a step cannot be read, or it does not fit whatever is left out.
    """
    pool = Pictures()
    seen = [[read_episode(episode, pool) for episode in source.episodes] for source in sources]
    every = [one for own in seen for one in own]
    room = most_bytes - SLACK - size_of([facts_of(source, "none") for source in sources])
    room -= size_of([one.facts() for one in every]) + size_of([one.arrays(None) for one in every])
    hidden = [hidden_distributions(source.episodes) for source in sources]
    less = size_of(hidden) > HIDDEN_SHARE * room
    if less:
        hidden = [[{} for _ in source.episodes] for source in sources]
    rows, reduction, encoded = _fitting(sources, every, pool, room - size_of(hidden))
    recordings = []
    for source, own, own_rows, own_hidden in zip(sources, seen, rows, hidden, strict=True):
        listed = [
            {**one.facts(), "arrays": one.arrays(encoded) | maps | said}
            for one, maps, said in zip(own, own_rows, own_hidden, strict=True)
        ]
        recordings.append({**facts_of(source, reduction), "episodes": listed})
    return {
        "heat": packed(colors.heat_table()),
        "notes": [*encoded.words, WORDS[reduction], *([LEFT_OUT] if less else [])],
        "reduced": reduction != "none" or encoded.reduced or less,
        "pictures": encoded.texts,
        "recordings": recordings,
    }


def inert(data: Any) -> str:
    """Return JSON that ends no block of HTML, whatever strings it holds."""
    text = json.dumps(data, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def size_of(data: Any) -> int:
    """Return how many characters some JSON takes on a page."""
    return len(inert(data))


def facts_of(source: Source, reduction: Reduction) -> dict[str, Any]:
    """Return what a page says of a recording, its episodes left out."""
    header = source.recording.header
    return {
        "name": source.name,
        "worth": worth_facts(source.recording.summary),
        "env_id": header.env_id,
        "algo": header.algo,
        "run": header.run,
        "created": header.created,
        "versions": dict(header.versions),
        "value_unit": header.value_unit,
        "distribution": header.distribution,
        "action_kind": header.action_kind,
        "action_sizes": header.action_sizes,
        "action_names": action_names(header),
        "action_bounds": header.action_bounds,
        "tokens": len(header.layout),
        "parts": [_part_facts(part) for part in parts_of(header.layout)],
        "maps": map_facts(header, reduction),
        "rollout": rollout_facts(header, reduction),
    }


def _part_facts(part: Part) -> dict[str, Any]:
    group = part.group
    return {
        "kind": group.kind,
        "title": part.title,
        "key": group.key,
        "words": group.words[0] if group.words else None,
        "names": part.undated,
        "start": part.where.start,
        "boxes": group.boxes,
        "picture": group.picture,
        "offset": part.offset,
        "offsets": group.offsets,
        "ego": group.ego,
    }


def _fitting(
    sources: Sequence[Source], seen: Sequence[Seen], pool: Pictures, room: int
) -> tuple[Rows, Reduction, Encoded]:
    """Return packed maps and pictures under the first reductions under which they fit.

    Raises:
        ValueError: they fit under none.
    """
    shown = [numbers for one in seen for numbers in one.pictures.values()]
    most = max(int(MAPS_SHARE * room), room - pool.size)
    for reduction in REDUCTIONS:
        if reduction == "none" and _recorded_size(sources) > SHRINKS * most:
            continue
        rows = [[_pack_rows(e, reduction) for e in source.episodes] for source in sources]
        if reduction == REDUCTIONS[-1] or size_of(rows) <= most:
            encoded = pool.fitting(shown, room - size_of(rows))
            if encoded is not None:
                return rows, reduction, encoded
    steps = sum(len(one.episode) for one in seen)
    raise ValueError(
        f"{steps} steps do not fit into {room / 1e6:.3g} MB, whatever is left out; "
        "show fewer episodes"
    )


def _pack_rows(episode: Episode, reduction: Reduction) -> dict[str, Any]:
    return {name: packed(array) for name, array in row_arrays(episode, reduction).items()}


def _recorded_size(sources: Sequence[Source]) -> int:
    return sum(
        rows_size(source.recording.header, len(episode))
        for source in sources
        for episode in source.episodes
    )
