"""What is replayed: a recording, or a run of which episodes are recorded first.

A recording is opened without torch and without its run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attention_agents.agents.config.plugins import import_plugins
from attention_agents.agents.replay.options import (
    EvidenceOptions,
    MapOptions,
    ReplayOptions,
    ShownOptions,
)
from attention_agents.agents.rollouts.seeds import SEED
from attention_agents.agents.runs.record_run import record_run
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.recording.evidence_view import choose_shown
from attention_agents.recording.format import HEADER_FILE
from attention_agents.recording.header import Header
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.reader import Episode, Recording, is_recording, open_recording


@dataclass(frozen=True)
class ReplaySource:
    """A recording that is looked at."""

    recording: Recording
    episodes: list[Episode]
    """Those of it that are looked at; each holds a step."""
    notes: list[str]
    """What the caller should know."""

    @property
    def steps(self) -> int:
        return sum(map(len, self.episodes))


@contextlib.contextmanager
def open_or_record(
    options: ReplayOptions, out: str | None = None, uses_policy: bool = False
) -> Iterator[ReplaySource]:
    """Open a recording; given a run, record it first.

    Mistakes inside the `with` block then say where the episodes are kept.

    Args:
        options: the path, and how a run is played.
        out: folder of the new recording, missing or empty; by default the next one in the run.
        uses_policy: whether env and checkpoint mean something for a recording too.

    Raises:
        ValueError: the path is neither, an option goes only with a run, there is no such layer,
            head or episode, or as by `record_run`.
    """
    path = existing_source(options.path)
    view = options if isinstance(options, MapOptions) else MapOptions()
    import_plugins(options.plugins)
    if is_recording(path):
        of_policy = () if uses_policy else (options.env, options.checkpoint)
        if options.stochastic or any(value is not None for value in (options.seed, *of_policy)):
            raise ValueError(
                f"{path} is a recording: env, seed, stochastic and checkpoint go with a run"
            )
        recording = open_recording(path)
        check_shown(recording.header, options)
        yield ReplaySource(recording, nonempty_episodes(recording, options.episodes), [])
        return
    notes: list[str] = []
    recording = _record(options, view, out, notes)
    try:
        yield ReplaySource(recording, nonempty_episodes(recording), notes)
    except ValueError as error:
        raise ValueError(f"{error}\nthe episodes are kept in {recording.folder}") from error


def _record(
    options: ReplayOptions, view: MapOptions, out: str | None, notes: list[str]
) -> Recording:
    path = Path(options.path)
    if path.is_dir() and not RunFolder(path).config_file.is_file():
        raise ValueError(
            f"{options.path} is neither a run (no config.json) nor a recording (no {HEADER_FILE})"
        )
    folder = record_run(
        options.path,
        env=options.env,
        episodes=1 if options.episodes is None else options.episodes,
        seed=SEED if options.seed is None else options.seed,
        stochastic=options.stochastic,
        out=out,
        checkpoint=options.checkpoint,
        layer=view.layer,
        head=view.head,
        device=options.device,
        progress=options.progress,
        warn=notes.append,
    )
    return open_recording(folder)


def check_shown(header: Header, options: ReplayOptions | MapOptions) -> None:
    """Refuse to show what a recording does not have.

    Raises:
        ValueError: there is no such layer, head or component, or no evidence or no attention.
    """
    if isinstance(options, ShownOptions):
        shown = options.layer, options.head, options.show, options.component
        choose_shown(header, *shown)
        return
    if isinstance(options, MapOptions) and (options.layer, options.head) != (None, None):
        choose_view(header.maps, options.layer, options.head)
    if isinstance(options, EvidenceOptions) and options.component:
        choose_shown(header, show="evidence", component=options.component)


def existing_source(path: str | Path) -> Path:
    """Return the folder of a run or a recording, or a zip file of Stable-Baselines3.

    Raises:
        ValueError: there is no such folder or zip.
    """
    path = Path(path)
    if not path.is_dir() and not (path.is_file() and path.suffix == ".zip"):
        raise ValueError(f"there is no folder {path}; name a run or a recording")
    return path


def make_dir(out: str | Path) -> Path:
    """Make a folder where it is missing, and return it.

    Raises:
        ValueError: it cannot be made.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {out}: {error.strerror}") from error
    return folder


def nonempty_episodes(recording: Recording, count: int | None = None) -> list[Episode]:
    """Return the first episodes of a recording that hold a step; None returns all.

    Raises:
        ValueError: there is none, or there are not so many.
    """
    episodes = [episode for episode in recording.episodes if len(episode)]
    if not episodes:
        raise ValueError(f"{recording.folder} holds no step: its recording was cut short")
    if count is not None and not 1 <= count <= len(episodes):
        raise ValueError(f"episodes must be 1 to {len(episodes)} in this recording, got {count}")
    return episodes[:count]


def check_fps(fps: float | None) -> None:
    """Refuse a rate of steps per second that no film has.

    Raises:
        ValueError: it is not above 0 and at most 240.
    """
    if fps is not None and not 0 < fps <= 240:
        raise ValueError(f"fps must be above 0 and at most 240, got {fps}")
