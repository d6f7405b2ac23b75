"""Replaying: play episodes of a run while they are recorded, and look into recordings.

Looking at a recording needs neither torch nor the run; both are imported only to ask a policy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attention_agents.agents.replay.output_kinds import USUAL
from attention_agents.agents.replay.render_recording import (
    Drawn,
    check_fps,
    check_makes,
    draw_recording,
    whole_episodes,
)
from attention_agents.agents.rollouts.seeds import SEED
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.recording.format import HEADER_FILE
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.query.columns import Columns
from attention_agents.recording.query.expression import matching_steps
from attention_agents.recording.reader import Episode, Recording, is_recording, open_recording
from attention_agents.recording.rendering.side_panel import action_text


class Replayed(NamedTuple):
    """What a replay left behind."""

    recording: Path
    drawn: list[Drawn]
    files: list[Path]
    """Of all episodes together: the page, the numbers."""
    notes: list[str]
    """What the caller should know: no frames, episodes cut short, no MP4."""


def replay(
    path: str | Path,
    *,
    make: Sequence[str] = USUAL,
    beside: str | Path | None = None,
    episodes: int | None = None,
    out: str | Path | None = None,
    layer: int | None = None,
    head: int | None = None,
    fps: float | None = None,
    progress: bool = False,
    **playing: Any,
) -> Replayed:
    """Draw a recording; given a run, record it first.

    Args:
        path: a run folder or a recording.
        make: words of `agents.replay.output_kinds.MAKES`.
        beside: another run or recording, shown on the page beside this one; goes with "page". A
            run is recorded with the same seeds.
        episodes, out, layer, head, fps, progress: see `draw_recording` and `record_run`.
        playing: env, seed, stochastic, checkpoint, device of `record_run`; with a run only.

    Raises:
        ValueError: the path is neither, an argument goes only with the other, or as there.
    """
    notes: list[str] = []
    check_fps(fps)
    if "page" not in check_makes(make) and beside is not None:
        raise ValueError(
            f"beside shows another one on the page: make 'page' too, got {', '.join(make)}"
        )
    is_run = not is_recording(existing(path))
    asked = dict(playing, layer=layer, head=head, progress=progress)
    recording = opened(path, episodes=episodes, out=out, notes=notes, **asked)
    other = None
    if beside is not None:
        asked["env"] = None
        other = opened(beside, episodes=len(recording), notes=notes, **asked)
    with saying_where(recording if is_run else None):
        drawing = draw_recording(
            recording,
            make=make,
            beside=other,
            episodes=None if is_run else episodes,
            out=None if is_run else out,
            layer=layer,
            head=head,
            fps=fps,
            progress=progress,
        )
    notes += recording.missing
    if "video" in make and not drawing.mp4s:
        notes.append('no ffmpeg, so the films are GIFs: pip install "attention-agents[video]"')
    return Replayed(recording.folder, drawing.episodes, drawing.files, notes)


@contextlib.contextmanager
def saying_where(recorded: Recording | None) -> Iterator[None]:
    """Add to a mistake that is seen only after episodes have been played where they are kept."""
    try:
        yield
    except ValueError as error:
        if recorded is None:
            raise
        raise ValueError(f"{error}\nthe episodes are kept in {recorded.folder}") from error


def existing(path: str | Path) -> Path:
    """Return the folder of a run or a recording.

    Raises:
        ValueError: there is no such folder.
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}; name a run or a recording")
    return path


def opened(
    path: str | Path,
    *,
    notes: list[str],
    env: str | None = None,
    episodes: int | None = None,
    seed: int | None = None,
    stochastic: bool = False,
    out: str | Path | None = None,
    checkpoint: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Recording:
    """Open a recording; given a run, record it first.

    Args:
        notes: hears what the caller should know.

    Raises:
        ValueError: the path is neither, an argument goes only with a run, or as in `record_run`.
    """
    path = existing(path)
    if is_recording(path):
        if seed is not None or stochastic or checkpoint is not None or env is not None:
            raise ValueError(
                f"{path} is a recording: env, seed, stochastic and checkpoint go with a run"
            )
        return open_recording(path)
    if not RunFolder(path).config_file.is_file():
        raise ValueError(
            f"{path} is neither a run (no config.json) nor a recording (no {HEADER_FILE})"
        )
    from attention_agents.agents.runs.record_run import record_run

    folder = record_run(
        path,
        env=env,
        episodes=1 if episodes is None else episodes,
        seed=SEED if seed is None else seed,
        stochastic=stochastic,
        out=out,
        checkpoint=checkpoint,
        layer=layer,
        head=head,
        device=device,
        progress=progress,
        tell=notes.append,
    )
    return open_recording(folder)


class Match(NamedTuple):
    """A step that answers a question with yes."""

    episode: Episode
    step: int

    @property
    def line(self) -> str:
        """The step in one line."""
        step = self.episode[self.step]
        value = "" if step.value is None else f"  value {step.value:.4g}"
        done = action_text(self.episode.header, step.action)
        return (
            f"{self.episode.folder.name} step {self.step}  {done}  reward {step.reward:.4g}{value}"
        )


def find_steps(
    recording: Recording,
    question: str,
    *,
    episodes: int | None = None,
    layer: int | None = None,
    head: int | None = None,
) -> list[Match]:
    """Return the steps of a recording that answer a question with yes, see
    `recording.query.expression`.

    Args:
        question: such as "attention[key] > 0.5 and action == 'pickup'".
        episodes: how many to look through, from the first; None means all.
        layer, head: the map that `attention` means, see `recording.map_view.choose_view`.

    Raises:
        ValueError: the question cannot be read, or the recording is empty or damaged.
    """
    view = choose_view(recording.header.maps, layer, head)
    return [
        Match(episode, int(step))
        for episode in whole_episodes(recording, episodes)
        for step in matching_steps(question, Columns(episode, view))
    ]
