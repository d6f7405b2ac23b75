"""Recordings as the JSON of a page: what is drawn, and nothing else.

{"display": constants and colors, "heat": colors of heat,
 "notes": what was left out, "reduced": whether something was,
 "pictures": [base64, ...],
 "recordings": [{"name", "env_id", ..., "parts": token groups, "maps": what their numbers mean,
                 "episodes": [{"steps", "seed", "layout": where tokens are shown, "texts",
                               "arrays": {name: packed array}}]}]}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from attention_agents.recording.map_view import EGO, choose_view
from attention_agents.recording.observation_images import GroupSlice, group_slices, name_stem
from attention_agents.recording.page import map_arrays
from attention_agents.recording.page.episode_arrays import EpisodeArrays, read_episode
from attention_agents.recording.page.evidence_arrays import evidence_facts
from attention_agents.recording.page.map_arrays import REDUCTIONS, Reduction
from attention_agents.recording.page.packed_arrays import packed
from attention_agents.recording.page.pictures import Encoded, Pictures
from attention_agents.recording.page.score_arrays import LEFT_OUT, hidden_distributions
from attention_agents.recording.page.verdict import verdict_facts
from attention_agents.recording.reader import Episode, Recording
from attention_agents.recording.scene import colors
from attention_agents.recording.scene.actions import action_names
from attention_agents.recording.scene.display import display_facts

MAPS_SHARE = 0.6
"""Attention weights take at most so much of the page, unless pictures leave more."""
HIDDEN_SHARE = 0.25
"""The distributions without each token take at most so much, or are left out."""
SLACK = 4000
"""Characters for what is not counted: colors, notes, punctuation."""
MAX_COMPRESSION = 20
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


def build_payload(sources: Sequence[Source], max_bytes: int) -> dict[str, Any]:
    """Return recordings as the JSON of a page, reduced where that is needed to fit.

    Args:
        sources: what is shown.
        max_bytes: characters that the JSON may take.

    Raises:
        ValueError: a step cannot be read, or it does not fit whatever is left out.
    """
    pool = Pictures()
    episodes = [[read_episode(episode, pool) for episode in source.episodes] for source in sources]
    flat = [arrays for group in episodes for arrays in group]
    room = max_bytes - SLACK - json_size([recording_facts(source, "none") for source in sources])
    room -= json_size([[arrays.facts(), arrays.arrays(None)] for arrays in flat])
    hidden = [hidden_distributions(source.episodes) for source in sources]
    hidden_left_out = json_size(hidden) > HIDDEN_SHARE * room
    if hidden_left_out:
        hidden = [[{} for _ in source.episodes] for source in sources]
    maps, reduction, encoded = _fit_maps(sources, flat, pool, room - json_size(hidden))
    recordings = [
        {
            **recording_facts(source, reduction),
            "episodes": [
                {**arrays.facts(), "arrays": arrays.arrays(encoded) | rows | distributions}
                for arrays, rows, distributions in zip(*parts, strict=True)
            ],
        }
        for source, *parts in zip(sources, episodes, maps, hidden, strict=True)
    ]
    return {
        "display": _display_constants(),
        "heat": packed(colors.heat_table()),
        "notes": [
            *encoded.notes,
            *(
                [map_arrays.NOTES[reduction]]
                if any(s.recording.header.maps for s in sources)
                else []
            ),
            *([LEFT_OUT] if hidden_left_out else []),
        ],
        "reduced": reduction != "none" or encoded.reduced or hidden_left_out,
        "pictures": encoded.texts,
        "recordings": recordings,
    }


def escape_json(data: Any) -> str:
    """Return JSON that ends no block of HTML, whatever strings it holds."""
    text = json.dumps(data, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def json_size(data: Any) -> int:
    """Return how many characters some JSON takes on a page."""
    return len(escape_json(data))


def recording_facts(source: Source, reduction: Reduction) -> dict[str, Any]:
    """Return what a page needs of a recording, its episodes left out, as JSON."""
    header = source.recording.header
    return {
        "name": source.name,
        "verdict": verdict_facts(source.recording.faithfulness),
        "env_id": header.env_id,
        "algo": header.algo,
        "run": header.run,
        "created": header.created,
        "versions": dict(header.versions),
        "value_unit": header.value_unit,
        "distribution": header.distribution,
        "action_kind": header.action_kind,
        "action_names": action_names(header),
        "action_bounds": header.action_bounds,
        "tokens": len(header.layout),
        "parts": [_part_facts(part) for part in group_slices(header.layout)],
        "maps": map_arrays.map_facts(header, reduction),
        "roles": map_arrays.role_facts(header, reduction),
        "evidence": evidence_facts(header),
        "first_map": header.maps.index(choose_view(header.maps).spec) if header.maps else None,
    }


def _display_constants() -> dict[str, Any]:
    palette = {"background": colors.BACKGROUND, "text": colors.TEXT, "chosen": colors.CHOSEN}
    palette |= {"for": colors.FOR, "against": colors.AGAINST}
    return {**display_facts(), "ego": EGO, "colors": palette}


def _part_facts(part: GroupSlice) -> dict[str, Any]:
    group = part.group
    return {
        "kind": group.kind,
        "title": part.title,
        "key": group.key,
        "words": group.words[0] if group.words else None,
        "start": part.token_slice.start,
        "count": len(group),
        "boxes": group.boxes,
        "picture": group.picture,
        "offset": part.offset,
        "stems": [name_stem(name) for name in part.undated_names]
        if group.kind == "entities"
        else None,
        "offsets": group.offsets,
        "ego": group.ego,
    }


def _fit_maps(
    sources: Sequence[Source], episodes: Sequence[EpisodeArrays], pool: Pictures, room: int
) -> tuple[Rows, Reduction, Encoded]:
    """Return packed maps and pictures under the first reductions under which they fit.

    Raises:
        ValueError: they fit under none.
    """
    shown = [numbers for arrays in episodes for numbers in arrays.pictures.values()]
    maps_room = max(int(MAPS_SHARE * room), room - pool.size)
    for reduction in REDUCTIONS:
        if reduction == "none" and _recorded_size(sources) > MAX_COMPRESSION * maps_room:
            continue
        rows = [[_pack_rows(e, reduction) for e in source.episodes] for source in sources]
        if reduction == REDUCTIONS[-1] or json_size(rows) <= maps_room:
            encoded = pool.fit_into(shown, room - json_size(rows))
            if encoded is not None:
                return rows, reduction, encoded
    steps = sum(len(arrays.episode) for arrays in episodes)
    raise ValueError(
        f"{steps} steps do not fit into {room / 1e6:.3g} MB, whatever is left out; "
        "show fewer episodes"
    )


def _pack_rows(episode: Episode, reduction: Reduction) -> dict[str, Any]:
    return {
        name: packed(array) for name, array in map_arrays.row_arrays(episode, reduction).items()
    }


def _recorded_size(sources: Sequence[Source]) -> int:
    return sum(
        map_arrays.rows_size(source.recording.header, len(episode))
        for source in sources
        for episode in source.episodes
    )
