"""Find the steps of a recording for which a condition holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from attention_agents.agents.replay.options import FindOptions, MapOptions, TextOutput
from attention_agents.agents.replay.render_recording import PAGE
from attention_agents.agents.replay.source import open_or_record
from attention_agents.recording.map_view import MapView, choose_view
from attention_agents.recording.query.columns import EpisodeColumns
from attention_agents.recording.query.expression import check_query, matching_steps
from attention_agents.recording.reader import Episode, Recording
from attention_agents.recording.scene.actions import action_text


class Match(NamedTuple):
    """A step for which a condition holds."""

    episode: Episode
    step: int

    @property
    def line(self) -> str:
        """The step in one line."""
        step = self.episode[self.step]
        value = "" if step.value is None else f"  value {step.value:.4g}"
        action = action_text(self.episode.header, step.action)
        name = self.episode.folder.name
        return f"{name} step {self.step}  {action}  reward {step.reward:.4g}{value}"


def find_matches(options: FindOptions) -> TextOutput:
    """List the steps for which a condition holds, and link the first of them on its page.

    Raises:
        ValueError: the condition cannot be read, the recording is empty or damaged, or as by
            `open_or_record`.
    """
    check_query(options.condition)
    with open_or_record(options) as source:
        maps = source.recording.header.maps
        view = choose_view(maps, options.layer, options.head) if maps else None
        matches = find_steps(source.episodes, options.condition, view, options.component)
        notes = [*source.notes, f"{len(matches)} of {source.steps} steps"]
        link = link_to(source.recording, matches[0], options) if matches else None
        if link is not None:
            notes.append(f"the first of them: {link}")
        return TextOutput([match.line for match in matches], notes)


def find_steps(
    episodes: Sequence[Episode], condition: str, view: MapView | None, component: str = ""
) -> list[Match]:
    """Return the steps of episodes for which a condition holds.

    Args:
        episodes: of one recording.
        condition: such as "attention[key] > 0.5 and action == 'pickup'", see
            `recording.query.expression`.
        view: the map that `attention` means; None where there are no maps.
        component: whose evidence `evidence` means, by name or number; "" for the one with most.

    Raises:
        ValueError: the condition cannot be read, or asks for what was not recorded, or the
            recording is damaged.
    """
    return [
        Match(episode, int(step))
        for episode in episodes
        for step in matching_steps(condition, EpisodeColumns(episode, view, component))
    ]


def link_to(recording: Recording, match: Match, view: MapOptions) -> str | None:
    """Return the page of a recording, opened at a step; None where no page beside it shows that.

    Args:
        view: the map that is shown; the page chooses where it names none.
    """
    page = recording.folder / PAGE
    position = _position_on_page(page, match.episode)
    if position is None:
        return None
    shown, episode = position
    words: dict[str, Any] = {"t": match.step, "recording": shown or None, "episode": episode}
    if (view.layer, view.head) != (None, None):
        maps = recording.header.maps
        spec = choose_view(maps, view.layer, view.head).spec
        words["role"] = None if spec.role == choose_view(maps).spec.role else spec.role
        words |= {"layer": spec.layer, "part": spec.part or None, "head": view.head}
    return f"{page}#{urlencode({key: word for key, word in words.items() if word is not None})}"


def _position_on_page(page: Path, episode: Episode) -> tuple[int, int] | None:
    """Return which recording and which episode of a page an episode is; None if it is not there."""
    header = episode.header
    try:
        for index, facts in enumerate(read_page(page)["recordings"]):
            same = all(facts[key] == getattr(header, key) for key in ("env_id", "run", "created"))
            names = [row["name"] for row in facts["episodes"]]
            if same and episode.folder.name in names:
                return index, names.index(episode.folder.name)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def read_page(page: Path) -> dict[str, Any]:
    """Return the JSON of a page.

    Raises:
        ValueError: the file is no page.
    """
    block = page.read_text("utf-8").partition('type="application/json">')[2]
    return json.loads(block.partition("</script>")[0])
