"""How far a long task is: a bar on stderr for each of its parts, where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


class Advance(Protocol):
    """Moves the bar of a part of the task, which appears when that part first advances."""

    def __call__(self, part: str, steps: int = 1, note: str = "") -> None: ...


@contextmanager
def progress_bars(shown: bool, totals: Mapping[str, int] | None = None) -> Iterator[Advance]:
    """Show how far each part of a task is, on stderr, when wanted and when that is a terminal.

        with progress_bars(True, {"episodes": 100}) as advance:
            advance("episodes")

    Args:
        shown: whether bars are wanted.
        totals: steps of each part, where that is known.
    """
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda part, steps=1, note="": None
        return
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TimeRemainingColumn(), TextColumn("{task.fields[note]}")),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        tasks: dict[str, TaskID] = {}

        def advance(part: str, steps: int = 1, note: str = "") -> None:
            if part not in tasks:
                tasks[part] = progress.add_task(part, total=(totals or {}).get(part), note=note)
            progress.update(tasks[part], advance=steps, note=note)

        yield advance
