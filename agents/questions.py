"""Questions to a replay, answered in words: which steps, what if, where do two differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from agents.counterfactual import Asked
from agents.draw import PAGE, check_fps, whole_episodes
from agents.replay import existing, find_steps, opened
from recording import Recording, is_recording
from recording.query import parse
from recording.view import choose_view

SHOWN = 12
"""States that are listed where two policies differ."""


class Answer(NamedTuple):
    """What is printed."""

    lines: list[str]
    """On stdout."""
    notes: list[str]
    """On stderr."""


def ask(
    path: str | Path,
    kind: str,
    question: str,
    *,
    layer: int | None = None,
    head: int | None = None,
    episodes: int | None = None,
    out: str | Path | None = None,
    fps: float | None = None,
    env: str | None = None,
    checkpoint: str | None = None,
    device: str = "auto",
    progress: bool = False,
    **playing: Any,
) -> Answer:
    """Answer a question to a recording; given a run, record it first.

    Args:
        path: a run folder or a recording.
        kind: a name of `KINDS`.
        question: what is asked; "" where there is nothing to say.
        layer, head, episodes, fps: what is looked at, see `agents.replay.replay`.
        out: folder of what "hide" and "diff" record.
        env, checkpoint, device: of the run that is played; with "hide" and a recording, of its run;
            with "diff" and a recording, of the other run.
        playing: seed and stochastic of `agents.record.record_run`.

    Raises:
        ValueError: as by the function of `KINDS`, or by `agents.replay.opened`.
    """
    check_fps(fps)
    CHECKS.get(kind, str)(question)
    recorded = is_recording(existing(path))
    view = {"layer": layer, "head": head}
    policy = {"env": env, "checkpoint": checkpoint, "device": device}
    asks_policy = kind in ("hide", "diff")
    notes: list[str] = []
    own = {} if recorded and asks_policy else policy
    shown = None if recorded else episodes
    asked = {**own, **playing, **view, "episodes": shown, "progress": progress}
    recording = opened(path, notes=notes, **asked)
    choose_view(recording.header.maps, layer, head)
    if kind == "diff" and not recorded:
        policy["checkpoint"] = None
    options = {**view, **policy, "episodes": episodes, "out": out, "fps": fps, "progress": progress}
    answer = KINDS[kind](recording, question, options)
    return Answer(answer.lines, notes + answer.notes)


def _found(recording: Recording, question: str, options: dict[str, Any]) -> Answer:
    shown = {name: options[name] for name in ("layer", "head", "episodes")}
    matches = find_steps(recording, question, **shown)
    total = sum(len(episode) for episode in whole_episodes(recording, options["episodes"]))
    notes, page = [f"{len(matches)} of {total} steps"], recording.folder / PAGE
    if matches and page.is_file():
        notes.append(f"the first of them: {page}#t={matches[0].step}")
    return Answer([match.line for match in matches], notes)


def _without(recording: Recording, hide: str, options: dict[str, Any]) -> Answer:
    from agents.counterfactual import counterfactual

    asking = {name: options[name] for name in ("env", "checkpoint", "out", "device")}
    seen = counterfactual(recording, hide, **asking)
    lines = [f"without {', '.join(seen.tokens)} at step {seen.asked.step}:", *seen.lines]
    if seen.recording is not None:
        was, goes_on = whole_episodes(recording)[seen.asked.episode], seen.recording.episodes[0]
        lines += [
            f"as it was: {len(was)} steps, return {was.rewards.sum():.4g}",
            f"as it goes on without: {len(goes_on)} steps, return {goes_on.rewards.sum():.4g}",
            str(seen.recording.folder),
            str(seen.page),
        ]
    return Answer(lines, seen.notes)


def _differing(recording: Recording, run: str, options: dict[str, Any]) -> Answer:
    from agents.difference import difference

    asking = {name: value for name, value in options.items() if name != "fps"}
    seen = difference(recording, run, **asking)
    lines = [each.line for each in seen.widest(SHOWN)]
    return Answer([*lines, seen.summary, str(seen.other.folder), str(seen.page)], [])


def _exported(recording: Recording, dataset_id: str, options: dict[str, Any]) -> Answer:
    from recording.export import export_minari

    return Answer([export_minari(dataset_id, recording)], [])


def _watched(recording: Recording, _: str, options: dict[str, Any]) -> Answer:
    from rich.console import Console

    from recording.terminal import play_in_terminal

    for episode in whole_episodes(recording, options["episodes"]):
        shown = {name: options[name] for name in ("layer", "head", "fps")}
        play_in_terminal(episode, Console(), **shown)
    return Answer([], list(recording.missing))


KINDS: dict[str, Callable[[Recording, str, dict[str, Any]], Answer]] = {
    "find": _found,
    "hide": _without,
    "diff": _differing,
    "minari": _exported,
    "terminal": _watched,
}
"""What can be asked."""

CHECKS: dict[str, Callable[[str], Any]] = {"find": parse, "hide": Asked.read}
"""What of a question can be refused before anything is played."""
