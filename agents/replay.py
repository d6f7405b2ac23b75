"""Replaying: play episodes of a run while they are recorded, and draw recordings.

Drawing needs neither torch nor the run; both are imported only to play.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from agents.run_folder import RunFolder
from agents.seeds import SEED, episode_seeds
from recording import Episode, MapSpec, Recording, is_recording, open_recording
from recording.format import HEADER_FILE
from recording.sheet import contact_sheet
from recording.video import HOLD, film, film_rate, write_video
from recording.view import choose_view

if TYPE_CHECKING:
    from agents.config import RunConfig
    from agents.episodes import Actor, Turn


class Drawn(NamedTuple):
    """The pictures of one episode."""

    episode: Episode
    video: Path
    """MP4; GIF where the extra `video` is not installed."""
    sheet: Path
    """PNG."""

    @property
    def summary(self) -> str:
        """The episode in one line."""
        seed = "" if self.episode.seed is None else f" seed {self.episode.seed},"
        total = float(self.episode.rewards.sum())
        return f"{self.episode.folder.name}:{seed} {len(self.episode)} steps, return {total:.4g}"


class Replayed(NamedTuple):
    """What a replay left behind."""

    recording: Path
    drawn: list[Drawn]
    notes: list[str]
    """What the caller should know: no frames, episodes cut short, no MP4."""


def replay(
    path: str | Path,
    *,
    env: str | None = None,
    episodes: int | None = None,
    seed: int | None = None,
    stochastic: bool = False,
    out: str | Path | None = None,
    checkpoint: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    fps: float | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Replayed:
    """Draw a recording; given a run, record it first. For the arguments see the two below.

    Raises:
        ValueError: the path is neither, an argument goes only with the other, or as below.
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}; name a run or a recording")
    notes: list[str] = []
    if is_recording(path):
        if seed is not None or stochastic or checkpoint is not None or env is not None:
            raise ValueError(
                f"{path} is a recording: env, seed, stochastic and checkpoint go with a run"
            )
        source, count = path, episodes
    elif RunFolder(path).config_file.is_file():
        _check_fps(fps)
        source = record_run(
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
        out = count = None
    else:
        raise ValueError(
            f"{path} is neither a run (no config.json) nor a recording (no {HEADER_FILE})"
        )
    recording = open_recording(source)
    drawn = draw_recording(
        recording, episodes=count, out=out, layer=layer, head=head, fps=fps, progress=progress
    )
    notes += recording.missing
    if drawn and drawn[0].video.suffix == ".gif":
        notes.append('no ffmpeg, so the films are GIFs: pip install "attention-agents[video]"')
    return Replayed(source, drawn, notes)


def record_run(
    run: str | Path,
    *,
    env: str | None = None,
    episodes: int = 1,
    seed: int = SEED,
    stochastic: bool = False,
    out: str | Path | None = None,
    checkpoint: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    device: str = "auto",
    progress: bool = False,
    tell: Callable[[str], Any] = warnings.warn,
) -> Path:
    """Play episodes with a checkpoint of a run, and record them.

    Episode i has the seed `seed + i` and plays bit for bit as in an evaluation with that seed.

    Args:
        run: a run folder.
        env: the run's environment, needed where the run names a module to import (`module:Id`).
        episodes: how many, at least 1.
        seed: of the first episode, at least 0.
        stochastic: draw actions from the policy's distribution; else take the likeliest.
        out: folder of the new recording, missing or empty; by default the next one in the run.
        checkpoint: best, final or step_<n>; None takes the first of them that there is.
        layer, head: what will be drawn; only checked, so that a wrong one is told before playing.
        device: where the policy lives, in torch's words or "auto".
        progress: show a bar on stderr when it is a terminal.
        tell: hears in a line why there are no frames, when they cannot be drawn on this machine.

    Returns:
        The folder of the recording.

    Raises:
        ValueError: a number is out of range, there is no such run, checkpoint, layer or head, `env`
            is needed or wrong, the environment cannot be made, or `out` is not empty or cannot be
            written.
    """
    seeds = episode_seeds(seed, episodes)
    folder = RunFolder.open(run)
    _check_view(folder.config(), layer, head)

    from agents.build import check_device
    from agents.checkpoint import load_checkpoint
    from agents.episodes import GreedyActor, play
    from agents.evaluation import checkpoint_folder, choose_checkpoint, sampling, success_rule
    from agents.judged_env import check_named, framed_env
    from agents.training import torch_settings
    from recording.recorder import RecordAttention

    check_device(device)
    name = choose_checkpoint(folder, checkpoint)
    loaded = load_checkpoint(checkpoint_folder(folder, name), device)
    check_named(loaded.config, env)
    with ExitStack() as stack:
        stack.enter_context(torch_settings(loaded.config.threads))
        played = framed_env(loaded.config, tell)
        stack.callback(played.close)
        target = _next_folder(folder) if out is None else Path(out)
        recorder = RecordAttention(
            played,
            loaded.model,
            target,
            normalise=loaded.normalize,
            run=str(folder.path),
            value_unit="normalised" if loaded.config.normalize_reward else "",
        )
        stack.callback(recorder.close)
        actor = sampling(loaded) if stochastic else GreedyActor(loaded.answer)
        steps = stack.enter_context(_bar("recording", None, progress))
        rule = success_rule(loaded.config.env)
        play([recorder], _Ticking(actor, steps.update), seeds, rule)
    return target


def draw_recording(
    recording: Recording,
    *,
    episodes: int | None = None,
    out: str | Path | None = None,
    layer: int | None = None,
    head: int | None = None,
    fps: float | None = None,
    progress: bool = False,
) -> list[Drawn]:
    """Write a video and a contact sheet of each episode of a recording.

    Args:
        recording: what `open_recording` opened.
        episodes: how many, from the first; None draws all.
        out: folder for the pictures, made when missing; by default the recording's own.
        layer, head: which map to show, see `recording.view.choose_view`.
        fps: steps per second; None takes the environment's own rate, slower for short episodes.
        progress: show a bar on stderr when it is a terminal.

    Raises:
        ValueError: a number is out of range, the recording is empty or damaged, or `out` cannot be
            written.
    """
    choose_view(recording.header.maps, layer, head)
    _check_fps(fps)
    whole = [episode for episode in recording.episodes if len(episode)]
    if not whole:
        raise ValueError(f"{recording.folder} holds no step: its recording was cut short")
    if episodes is not None and not 1 <= episodes <= len(whole):
        raise ValueError(f"episodes must be 1 to {len(whole)} in this recording, got {episodes}")
    folder = recording.folder if out is None else _made(out)
    drawn = []
    for episode in whole[:episodes]:
        name, rate = episode.folder.name, fps or film_rate(episode)
        hold = round(HOLD * rate)
        with _bar(f"drawing {name}", len(episode), progress) as steps:
            pictures = (_told(picture, steps) for picture in film(episode, layer, head, hold))
            video = write_video(folder / f"{name}.mp4", pictures, rate)
        sheet = contact_sheet(folder / f"{name}.png", episode, layer, head)
        drawn.append(Drawn(episode, video, sheet))
    return drawn


class _Ticking:
    """An actor that counts its calls aloud."""

    def __init__(self, actor: Actor, tick: Callable[[], Any]):
        self._actor, self._tick = actor, tick

    def act(self, turns: Sequence[Turn]) -> Sequence[Any]:
        self._tick()
        return self._actor.act(turns)


def _check_view(config: RunConfig, layer: int | None, head: int | None) -> None:
    encoder = config.encoder
    layers = range(encoder.layers)
    choose_view([MapSpec("", "", i, encoder.heads, "tokens") for i in layers], layer, head)


def _check_fps(fps: float | None) -> None:
    if fps is not None and not 0 < fps <= 240:
        raise ValueError(f"fps must be above 0 and at most 240, got {fps}")


def _next_folder(folder: RunFolder) -> Path:
    """Make the next free folder for a recording of a run."""
    number = 1
    while True:
        try:
            path = folder.recordings / f"recording_{number}"
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            number += 1
        except OSError as error:
            raise ValueError(
                f"cannot write into {folder.path}: {error.strerror}; name another folder with --out"
            ) from error


def _made(out: str | Path) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {out}: {error.strerror}") from error
    return folder


def _bar(title: str, total: int | None, wanted: bool) -> tqdm:
    quiet = not (wanted and sys.stderr.isatty())
    return tqdm(desc=title, total=total, unit=" steps", leave=False, disable=quiet)


def _told(picture: Any, steps: tqdm) -> Any:
    steps.update()
    return picture
