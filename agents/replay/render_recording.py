"""Drawing a recording: films, contact sheets, galleries, the page and arrays for numpy.

Needs neither torch nor the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from attention_agents.agents.config.validation import check_choice
from attention_agents.agents.progress_bar import progress_bars
from attention_agents.agents.replay.options import OUTPUT_KINDS, PictureOptions
from attention_agents.agents.replay.source import (
    check_fps,
    check_shown,
    make_dir,
    nonempty_episodes,
)
from attention_agents.recording.export import export_npz
from attention_agents.recording.page.page import write_page
from attention_agents.recording.reader import Episode, Recording
from attention_agents.recording.rendering.contact_sheet import contact_sheet
from attention_agents.recording.rendering.gallery import gallery
from attention_agents.recording.rendering.video import HOLD, film, has_ffmpeg, write_video
from attention_agents.recording.scene.playback import film_rate
from attention_agents.recording.scene.scene_layout import layout_of

PAGE = "replay.html"
DEFAULT_PICTURES = PictureOptions()


class EpisodeDrawing(NamedTuple):
    """The pictures of one episode."""

    episode: Episode
    files: tuple[Path, ...]

    @property
    def summary(self) -> str:
        """The episode in one line."""
        seed = "" if self.episode.seed is None else f" seed {self.episode.seed},"
        total = float(self.episode.rewards.sum())
        return f"{self.episode.folder.name}:{seed} {len(self.episode)} steps, return {total:.4g}"


class Drawing(NamedTuple):
    """The pictures of a recording."""

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


def draw_recording(
    recording: Recording,
    options: PictureOptions = DEFAULT_PICTURES,
    *,
    episodes: int | None = None,
    beside: Recording | None = None,
    progress: bool = False,
) -> Drawing:
    """Make pictures of a recording.

    Args:
        options: what to make, and where; by default in the recording's own folder.
        episodes: how many, from the first; None draws all.
        beside: a second recording, shown on the page beside this one.
        progress: show a bar on stderr when it is a terminal.

    Raises:
        ValueError: an option is out of range or unknown, the recording is empty or damaged.
    """
    outputs = check_outputs(options.make)
    check_shown(recording.header, options)
    check_fps(options.fps)
    shown = nonempty_episodes(recording, episodes)
    if "gallery" in outputs:
        check_gallery(shown)
    folder = recording.folder if options.out is None else make_dir(options.out)
    drawings = [
        EpisodeDrawing(episode, tuple(_draw_episode(episode, folder, options, progress)))
        for episode in shown
    ]
    files = []
    if "npz" in outputs:
        files.append(export_npz(folder / f"{recording.folder.name}.npz", recording, len(shown)))
    if "page" in outputs:
        recordings = [recording] if beside is None else [recording, beside]
        files.append(write_page(folder / PAGE, recordings, episodes=len(shown)))
    notes = list(recording.missing)
    if "video" in outputs and not has_ffmpeg():
        notes.append('no ffmpeg, so the films are GIFs: pip install "attention-agents[video]"')
    return Drawing(recording.folder, drawings, files, notes)


def check_outputs(make: Sequence[str]) -> list[str]:
    """Return each word once.

    Raises:
        ValueError: one is no word of `OUTPUT_KINDS`, or there is none.
    """
    if not make:
        raise ValueError(f"name what to make: {', '.join(OUTPUT_KINDS)}")
    return [check_choice("word for --make", word, OUTPUT_KINDS) for word in dict.fromkeys(make)]


def check_gallery(episodes: Sequence[Episode]) -> None:
    """Refuse episodes without pieces of a picture, before anything of them is drawn.

    Raises:
        ValueError: no token of one stands on its picture.
    """
    for episode in episodes:
        if not layout_of(episode.header, episode[0]).placed:
            raise ValueError(
                f"a gallery shows pieces of pictures, and no token of {episode.header.env_id} "
                "stands on one: leave 'gallery' out of what to make"
            )


def _draw_episode(
    episode: Episode, folder: Path, options: PictureOptions, progress: bool
) -> Iterator[Path]:
    """Write the pictures of one episode, and yield their files."""
    name, rate = episode.folder.name, options.fps or film_rate(episode)
    layer, head = options.layer, options.head
    shown: Any = {"show": options.show, "component": options.component}
    for suffix in _film_suffixes(options.make):
        title = f"drawing {name}"
        with progress_bars(progress, {title: len(episode)}) as advance:
            frames = film(episode, layer, head, round(HOLD * rate), **shown)
            yield write_video(
                folder / f"{name}{suffix}", _count(frames, partial(advance, title)), rate
            )
    if "sheet" in options.make:
        yield contact_sheet(folder / f"{name}.png", episode, layer, head, **shown)
    if "gallery" in options.make:
        yield gallery(folder / f"{name}_gallery.png", episode, layer, head, **shown)


def _count(frames: Iterator[Image.Image], advance: Callable[[], None]) -> Iterator[Image.Image]:
    for frame in frames:
        advance()
        yield frame


def _film_suffixes(make: Sequence[str]) -> list[str]:
    """Return the kinds of films to write, each once: without ffmpeg an MP4 is a GIF too."""
    suffixes = {"video": ".mp4" if has_ffmpeg() else ".gif", "gif": ".gif"}
    return list(dict.fromkeys(suffixes[word] for word in suffixes if word in make))
