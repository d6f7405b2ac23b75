"""Draw what is replayed."""

from __future__ import annotations

from dataclasses import replace

from attention_agents.agents.replay.options import DrawOptions
from attention_agents.agents.replay.render_recording import (
    Drawing,
    check_outputs,
    draw_recording,
)
from attention_agents.agents.replay.source import check_fps, open_or_record
from attention_agents.recording.reader import is_recording


def draw_episodes(options: DrawOptions) -> Drawing:
    """Draw a recording; given a run, record it first.

    Raises:
        ValueError: an option is out of range or has no use, or as by `open_or_record` and
            `draw_recording`.
    """
    check_fps(options.fps)
    if "page" not in check_outputs(options.make) and options.beside is not None:
        raise ValueError(
            f"beside shows another one on the page: make 'page' too, got {', '.join(options.make)}"
        )
    if is_recording(options.path):
        recording_folder, pictures = None, options
    else:
        recording_folder, pictures = options.out, replace(options, out=None)
    with open_or_record(options, recording_folder) as source:
        beside, notes = None, source.notes
        if options.beside is not None:
            count = None if is_recording(options.beside) else len(source.recording)
            beside_options = replace(options, path=options.beside, env=None, episodes=count)
            with open_or_record(beside_options) as beside_source:
                beside, notes = beside_source.recording, [*notes, *beside_source.notes]
        drawing = draw_recording(
            source.recording,
            pictures,
            episodes=len(source.episodes),
            beside=beside,
            progress=options.progress,
        )
    return drawing._replace(notes=[*notes, *drawing.notes])
