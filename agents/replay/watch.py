"""Play a recording in the terminal."""

from __future__ import annotations

from rich.console import Console

from attention_agents.agents.replay.options import TextOutput, WatchOptions
from attention_agents.agents.replay.source import check_fps, open_or_record
from attention_agents.recording.rendering.terminal import play_in_terminal


def watch_episodes(options: WatchOptions) -> TextOutput:
    """Play episodes on stdout, in colored blocks.

    Raises:
        ValueError: fps is out of range, or as by `open_or_record`.
    """
    check_fps(options.fps)
    view = {"layer": options.layer, "head": options.head, "fps": options.fps}
    view |= {"show": options.show, "component": options.component}
    with open_or_record(options) as source:
        for episode in source.episodes:
            play_in_terminal(episode, Console(), **view)
        return TextOutput([], [*source.notes, *source.recording.missing])
