"""Draw what is replayed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from attention_agents.agents.replay.options import DrawOptions
from attention_agents.agents.replay.render_recording import (
    EpisodeDrawing,
    check_outputs,
    draw_recording,
)
from attention_agents.agents.replay.source import check_fps, open_or_record
from attention_agents.recording.reader import is_recording


class Replayed(NamedTuple):
    """What a replay has written."""

    recording: Path
    episodes: list[EpisodeDrawing]
    files: list[Path]
    """Of all episodes together: the page, the numbers."""
    notes: list[str]
    """What the caller should know: no frames, episodes cut short, no MP4."""

    @property
    def lines(self) -> list[str]:
        """A line per episode, then the path of the recording and of each picture."""
        files = [file for episode in self.episodes for file in episode.files]
        summaries = [episode.summary for episode in self.episodes]
        return [*summaries, *map(str, (self.recording, *files, *self.files))]


def draw_episodes(options: DrawOptions) -> Replayed:
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
            other = replace(options, path=options.beside, env=None, episodes=count)
            with open_or_record(other) as other_source:
                beside = other_source.recording
                notes += other_source.notes
        drawing = draw_recording(
            source.recording,
            pictures,
            episodes=len(source.episodes),
            beside=beside,
            progress=options.progress,
        )
    notes += source.recording.missing
    if "video" in options.make and not drawing.has_mp4:
        notes.append('no ffmpeg, so the films are GIFs: pip install "attention-agents[video]"')
    return Replayed(source.recording.folder, drawing.episodes, drawing.files, notes)
