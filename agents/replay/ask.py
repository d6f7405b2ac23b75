"""Questions to a replay, answered in words: which steps, what if, where do two differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from attention_agents.agents.replay.counterfactual import Asked
from attention_agents.agents.replay.render_recording import PAGE, check_fps, whole_episodes
from attention_agents.agents.replay.replay import Match, existing, find_steps, opened, saying_where
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.query.expression import check
from attention_agents.recording.reader import Episode, Recording, is_recording

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
        layer, head, episodes, fps: what is looked at, see `agents.replay.replay.replay`.
        out: folder of what "hide" and "diff" record.
        env, checkpoint, device: of the run that is played; with "hide" and a recording, of its run;
            with "diff" and a recording, of the other run.
        playing: seed and stochastic of `agents.runs.record_run.record_run`.

    Raises:
        ValueError: an argument has no use for such a question, or as by the function of `KINDS` or
            by `agents.replay.replay.opened`.
    """
    check_fps(fps)
    CHECKS.get(kind, str)(question)
    check_used(kind, {"layer": layer, "head": head, "fps": fps, "out": out})
    recorded = is_recording(existing(path))
    if recorded and kind == "hide" and episodes is not None:
        raise ValueError(
            "hide looks at one episode: name it as TOKEN@EPISODE:STEP, not by episodes"
        )
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
    with saying_where(None if recorded else recording):
        answer = KINDS[kind](recording, question, options)
    return Answer(answer.lines, notes + answer.notes)


def check_used(kind: str, given: dict[str, Any]) -> None:
    """Refuse arguments that a kind of question would ignore.

    Args:
        given: arguments of `ask` by name; None where nobody said.

    Raises:
        ValueError: there is one.
    """
    for name, value in given.items():
        if value is not None and kind not in USED[name]:
            raise ValueError(
                f"{name} has no use with {kind}: leave it out; of questions it goes with "
                f"{' and '.join(USED[name])}" + INSTEAD.get(name, "")
            )


def link_to(recording: Recording, match: Match, layer: int | None, head: int | None) -> str | None:
    """Return the page of a recording, opened at a step; None where no page beside it shows that.

    Args:
        layer, head: the map that is shown, where somebody asked for one.
    """
    page = recording.folder / PAGE
    place = _place_on(page, match.episode)
    if place is None:
        return None
    words: dict[str, Any] = {"t": match.step, "recording": place[0], "episode": place[1]}
    if layer is not None or head is not None:
        maps = recording.header.maps
        spec = choose_view(maps, layer, head).spec
        words["role"] = None if spec.role == choose_view(maps).spec.role else spec.role
        words |= {"layer": spec.layer, "part": spec.part or None, "head": head}
    if not words["recording"]:
        del words["recording"]
    return f"{page}#{urlencode({name: said for name, said in words.items() if said is not None})}"


def _place_on(page: Path, episode: Episode) -> tuple[int, int] | None:
    """Return which recording and which episode of a page an episode is; None if it is not there."""
    if not page.is_file():
        return None
    header = episode.header
    own = (header.env_id, header.run, header.created)
    try:
        shown = read_page(page)["recordings"]
        for r, facts in enumerate(shown):
            if (facts["env_id"], facts["run"], facts["created"]) == own:
                names = [each["name"] for each in facts["episodes"]]
                if episode.folder.name in names:
                    return r, names.index(episode.folder.name)
    except (ValueError, KeyError, TypeError):
        return None
    return None


def read_page(page: Path) -> dict[str, Any]:
    """Return the JSON of a page.

    Raises:
        ValueError: the file is no page.
    """
    block = page.read_text("utf-8").partition('type="application/json">')[2]
    return json.loads(block.partition("</script>")[0])


def _found(recording: Recording, question: str, options: dict[str, Any]) -> Answer:
    shown = {name: options[name] for name in ("layer", "head", "episodes")}
    matches = find_steps(recording, question, **shown)
    total = sum(len(episode) for episode in whole_episodes(recording, options["episodes"]))
    notes = [f"{len(matches)} of {total} steps"]
    link = link_to(recording, matches[0], options["layer"], options["head"]) if matches else None
    if link is not None:
        notes.append(f"the first of them: {link}")
    return Answer([match.line for match in matches], notes)


def _without(recording: Recording, hide: str, options: dict[str, Any]) -> Answer:
    from attention_agents.agents.replay.counterfactual import counterfactual

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
    from attention_agents.agents.replay.policy_difference import difference

    asking = {name: value for name, value in options.items() if name != "fps"}
    seen = difference(recording, run, **asking)
    lines = [each.line for each in seen.widest(SHOWN)]
    return Answer([*lines, seen.summary, str(seen.other.folder), str(seen.page)], [])


def _exported(recording: Recording, dataset_id: str, options: dict[str, Any]) -> Answer:
    from attention_agents.recording.export import export_minari

    return Answer([export_minari(dataset_id, recording, episodes=options["episodes"])], [])


def _watched(recording: Recording, _: str, options: dict[str, Any]) -> Answer:
    from rich.console import Console

    from attention_agents.recording.rendering.terminal import play_in_terminal

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

CHECKS: dict[str, Callable[[str], Any]] = {
    "find": check,
    "hide": Asked.read,
    "diff": RunFolder.open,
}
"""What of a question can be refused before anything is played."""

USED = {
    "layer": ("find", "diff", "terminal"),
    "head": ("find", "diff", "terminal"),
    "fps": ("terminal",),
    "out": ("hide", "diff"),
}
"""Arguments of `ask` that not every kind of question has a use for, and which have."""

INSTEAD = {"out": "; to choose where a run is recorded, replay it first and ask that recording"}
