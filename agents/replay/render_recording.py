"""Drawing a recording: films, sheets, galleries, the page, and the formats of others.

Needs neither torch nor the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from attention_agents.agents.config.validation import known
from attention_agents.agents.progress_bar import bar
from attention_agents.agents.replay.output_kinds import MAKES, USUAL
from attention_agents.recording.export import export_npz
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.page.page import write_page
from attention_agents.recording.reader import Episode, Recording
from attention_agents.recording.rendering.contact_sheet import contact_sheet
from attention_agents.recording.rendering.gallery import gallery
from attention_agents.recording.rendering.overlay import Scene
from attention_agents.recording.rendering.video import (
    HOLD,
    film,
    film_rate,
    has_ffmpeg,
    write_video,
)

PAGE = "replay.html"


class Drawn(NamedTuple):
    """What was made of one episode."""

    episode: Episode
    files: tuple[Path, ...]

    @property
    def summary(self) -> str:
        """The episode in one line."""
        seed = "" if self.episode.seed is None else f" seed {self.episode.seed},"
        total = float(self.episode.rewards.sum())
        return f"{self.episode.folder.name}:{seed} {len(self.episode)} steps, return {total:.4g}"


class Drawing(NamedTuple):
    """What was made of a recording."""

    episodes: list[Drawn]
    files: list[Path]
    """Of all episodes together: the page, the numbers."""

    @property
    def mp4s(self) -> bool:
        """Whether there are MP4s among the films."""
        return any(file.suffix == ".mp4" for drawn in self.episodes for file in drawn.files)


def draw_recording(
    recording: Recording,
    *,
    make: Sequence[str] = USUAL,
    beside: Recording | None = None,
    episodes: int | None = None,
    out: str | Path | None = None,
    layer: int | None = None,
    head: int | None = None,
    fps: float | None = None,
    progress: bool = False,
) -> Drawing:
    """Make pictures of a recording.

    Args:
        recording: what `open_recording` opened.
        make: words of `agents.replay.output_kinds.MAKES`.
        beside: a second recording, shown on the page beside this one.
        episodes: how many, from the first; None draws all.
        out: folder for the pictures, made when missing; by default the recording's own.
        layer, head: which map to show, see `recording.map_view.choose_view`; the page has them all.
        fps: steps per second; None takes the environment's own rate, slower for short episodes.
        progress: show a bar on stderr when it is a terminal.

    Raises:
        ValueError: a number is out of range, a word unknown or not for this recording, it is empty
            or damaged, or `out` cannot be written.
    """
    wanted = check_makes(make)
    choose_view(recording.header.maps, layer, head)
    check_fps(fps)
    whole = whole_episodes(recording, episodes)
    if "gallery" in wanted:
        check_gallery(whole, layer, head)
    folder = recording.folder if out is None else made(out)
    drawn = []
    for episode in whole:
        files = tuple(_pictures(episode, wanted, folder, layer, head, fps, progress))
        drawn.append(Drawn(episode, files))
    files = []
    if "npz" in wanted:
        numbers = folder / f"{recording.folder.name}.npz"
        files.append(export_npz(numbers, recording, episodes=len(whole)))
    if "page" in wanted:
        shown = [recording] if beside is None else [recording, beside]
        files.append(write_page(folder / PAGE, shown, episodes=len(whole)))
    return Drawing(drawn, files)


def whole_episodes(recording: Recording, count: int | None = None) -> list[Episode]:
    """Return the first episodes of a recording that hold a step; None returns all.

    Raises:
        ValueError: there is none, or there are not so many.
    """
    whole = [episode for episode in recording.episodes if len(episode)]
    if not whole:
        raise ValueError(f"{recording.folder} holds no step: its recording was cut short")
    if count is not None and not 1 <= count <= len(whole):
        raise ValueError(f"episodes must be 1 to {len(whole)} in this recording, got {count}")
    return whole[:count]


def check_makes(make: Sequence[str]) -> list[str]:
    """Return each word once.

    Raises:
        ValueError: one is no word of `MAKES`, or there is none.
    """
    if not make:
        raise ValueError(f"say what to make: {', '.join(MAKES)}")
    return [known("word for --make", word, MAKES) for word in dict.fromkeys(make)]


def check_fps(fps: float | None) -> None:
    if fps is not None and not 0 < fps <= 240:
        raise ValueError(f"fps must be above 0 and at most 240, got {fps}")


def check_gallery(episodes: Sequence[Episode], layer: int | None, head: int | None) -> None:
    """Refuse episodes without pieces of a picture, before anything of them is drawn.

    Raises:
        ValueError: no token of one stands on its picture.
    """
    for episode in episodes:
        stage = Scene(episode.header, episode[0], layer, head).stage
        if stage is None or not stage.parts:
            raise ValueError(
                f"a gallery shows pieces of pictures, and no token of {episode.header.env_id} "
                "stands on one: leave 'gallery' out of what to make"
            )


def made(out: str | Path) -> Path:
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


def _pictures(
    episode: Episode,
    wanted: Sequence[str],
    folder: Path,
    layer: int | None,
    head: int | None,
    fps: float | None,
    progress: bool,
) -> Iterator[Path]:
    name, rate = episode.folder.name, fps or film_rate(episode)
    for suffix in _film_suffixes(wanted):
        with bar(f"drawing {name}", len(episode), progress) as steps:
            pictures = film(episode, layer, head, round(HOLD * rate))
            told = (_told(picture, steps) for picture in pictures)
            yield write_video(folder / f"{name}{suffix}", told, rate)
    if "sheet" in wanted:
        yield contact_sheet(folder / f"{name}.png", episode, layer, head)
    if "gallery" in wanted:
        yield gallery(folder / f"{name}_gallery.png", episode, layer, head)


def _film_suffixes(wanted: Sequence[str]) -> list[str]:
    """Return the kinds of films to write, each once: without ffmpeg an MP4 is a GIF too."""
    suffixes = {"video": ".mp4" if has_ffmpeg() else ".gif", "gif": ".gif"}
    return list(dict.fromkeys(suffixes[word] for word in suffixes if word in wanted))


def _told(picture: Any, steps: tqdm) -> Any:
    steps.update()
    return picture
