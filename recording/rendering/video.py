"""An episode as a film: every step drawn, and written as it is drawn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from PIL import Image

from attention_agents.recording.evidence_view import Shown
from attention_agents.recording.files import atomic_path
from attention_agents.recording.reader import Episode
from attention_agents.recording.rendering.overlay import Scene

HOLD = 1.5
"""Seconds for which the last picture stands still."""


def film(
    episode: Episode,
    layer: int | None = None,
    head: int | None = None,
    hold: int = 0,
    *,
    show: Shown = "",
    component: str = "",
) -> Iterator[Image.Image]:
    """Draw the steps of an episode one after the other, and at the end what the last one led to.

    Args:
        layer, head: which map to show, see `recording.map_view.choose_view`.
        hold: how many times the last picture is repeated.
        show, component: evidence or attention, and which component of evidence, see
            `recording.evidence_view.choose_shown`.

    Raises:
        ValueError: there is no such layer, head or component, or a step cannot be read.
    """
    if not len(episode):
        return
    step = episode[0]
    scene = Scene.of_episode(episode, layer, head, show, component)
    past = deque(maxlen=scene.strip_length)
    reward_so_far, picture = 0.0, None
    for t, step in enumerate(episode):
        reward_so_far += step.reward
        picture = scene.draw(step, t, past, reward_so_far)
        yield picture
        if step.frame is not None:
            past.append(step.frame)
    final = episode.final
    if final is not None and final.frame is not None:
        picture = scene.draw_ending(final.frame, step, len(episode), reward_so_far)
        yield picture
    yield from [picture] * hold  # type: ignore[list-item]


def write_video(path: str | Path, pictures: Iterable[Image.Image], fps: float) -> Path:
    """Write pictures of one size as an MP4, or as a GIF where imageio-ffmpeg is not installed.

    Pictures are encoded as they come; the file appears under its name when it is whole.

    Args:
        path: of the MP4; a GIF gets the suffix .gif in its place.
        pictures: at least one, of even width and height.
        fps: pictures per second.

    Returns:
        The path of what was written.

    Raises:
        ValueError: there is no picture, or the file cannot be written.
    """
    path, pictures = Path(path), iter(pictures)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"there is no picture to write to {path}")
    if not has_ffmpeg():
        path = path.with_suffix(".gif")
    write = _write_gif if path.suffix == ".gif" else _write_mp4
    with atomic_path(path) as partial:
        write(partial, first, pictures, fps)
    return path


def has_ffmpeg() -> bool:
    """Say whether MP4s can be written (the extra `video` is installed)."""
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return False
    return True


def _write_mp4(path: Path, first: Image.Image, more: Iterator[Image.Image], fps: float) -> None:
    import imageio_ffmpeg

    writer = imageio_ffmpeg.write_frames(
        str(path),
        first.size,
        fps=fps,  # type: ignore[arg-type]
        codec="libx264",
        quality=None,  # type: ignore[arg-type]
        macro_block_size=2,
        ffmpeg_log_level="error",
        output_params=["-crf", "18", "-preset", "veryfast", "-movflags", "+faststart"],
    )
    writer.send(None)
    try:
        for picture in chain((first,), more):
            writer.send(picture.tobytes())
    finally:
        writer.close()


def _write_gif(path: Path, first: Image.Image, more: Iterator[Image.Image], fps: float) -> None:
    first.save(
        path,
        save_all=True,
        append_images=more,
        duration=max(20, round(100 / fps) * 10),  # GIFs count in hundredths of a second
        loop=0,
    )
