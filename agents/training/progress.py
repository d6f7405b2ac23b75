"""How far a training run is: a bar on a terminal, a line now and then elsewhere. On stderr."""

from __future__ import annotations

import sys
import time

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from stable_baselines3.common.callbacks import BaseCallback

LINE_EVERY = 10.0
"""Seconds between lines where there is no terminal."""
BAR_EVERY = 0.2
"""Seconds between two updates of the bar."""


class ProgressCallback(BaseCallback):
    """Show steps, steps per second, time left and the mean score of the latest episodes.

    Args:
        title: what is being trained.
    """

    def __init__(self, title: str):
        super().__init__()
        self.title = title
        self.console = Console(stderr=True)
        self.bar: Progress | None = None

    def _on_training_start(self) -> None:
        self.start = self.shown = time.monotonic()
        self.first = self.num_timesteps
        self.total = self.model._total_timesteps
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[words]}"),
                console=self.console,
                auto_refresh=False,
            )
            self.task = self.bar.add_task(self.title, total=self.total, words="")
            self.bar.start()

    def _on_step(self) -> bool:
        if time.monotonic() - self.shown >= (LINE_EVERY if self.bar is None else BAR_EVERY):
            self._show()
        return True

    def _on_training_end(self) -> None:
        self._show()
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _show(self) -> None:
        self.shown = time.monotonic()
        if self.bar is None:
            print(f"{self.title}: {self.words()}", file=sys.stderr, flush=True)
        else:
            done = min(self.num_timesteps, self.total)
            self.bar.update(self.task, completed=done, words=self.words(), refresh=True)

    def words(self) -> str:
        """Return the numbers as one line."""
        rate = (self.num_timesteps - self.first) / max(time.monotonic() - self.start, 1e-9)
        left = max(self.total - self.num_timesteps, 0) / rate if rate else float("inf")
        words = f"{self.num_timesteps:,}/{self.total:,} steps  {rate:,.0f}/s  {clock(left)} left"
        episodes = self.model.ep_info_buffer
        if episodes:
            words += f"  reward {np.mean([episode['r'] for episode in episodes]):.2f}"
        return words


def clock(seconds: float) -> str:
    """Return a time as people read it.

    >>> clock(3725), clock(65), clock(float("inf"))
    ('1:02:05', '1:05', '?')
    """
    if seconds == float("inf"):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
