"""The verbs of `replay`, by the options that they take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attention_agents.agents.replay.diff import diff_policies
from attention_agents.agents.replay.draw import draw_episodes
from attention_agents.agents.replay.export import export_dataset
from attention_agents.agents.replay.find import find_matches
from attention_agents.agents.replay.hide import replay_without_tokens
from attention_agents.agents.replay.options import (
    DiffOptions,
    DrawOptions,
    ExportOptions,
    FindOptions,
    HideOptions,
    ReplayOptions,
    TextOutput,
    WatchOptions,
)
from attention_agents.agents.replay.render_recording import Drawing
from attention_agents.agents.replay.watch import watch_episodes

VERBS: dict[type[ReplayOptions], Callable[[Any], TextOutput | Drawing]] = {
    DrawOptions: draw_episodes,
    FindOptions: find_matches,
    HideOptions: replay_without_tokens,
    DiffOptions: diff_policies,
    ExportOptions: export_dataset,
    WatchOptions: watch_episodes,
}


def run_replay_verb(options: ReplayOptions) -> TextOutput | Drawing:
    """Return what the verb of these options prints.

    Raises:
        ValueError: see the functions of `VERBS`.
    """
    return VERBS[type(options)](options)


def replay(path: str | Path, *, progress: bool = False, **options: Any) -> Drawing:
    """Draw a recording with its attention; given a run, record episodes of it first.

        replay("runs/ppo/CartPole-v1_1", episodes=2, make=("page",)).files

    Args:
        path: a run folder or a recording.
        progress: show bars on stderr when it is a terminal.
        options: see `agents.replay.options.DrawOptions`.

    Raises:
        ValueError: see `draw_episodes`.
    """
    return draw_episodes(DrawOptions(path=str(path), progress=progress, **options))
