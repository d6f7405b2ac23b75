"""How far a training run is: a bar on a terminal, a line now and then elsewhere. On stderr."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

import numpy as np
from rich.console import Console
from stable_baselines3.common.callbacks import BaseCallback

from attention_agents.agents.progress_bar import progress_bars

SECONDS_PER_LINE = 10.0
"""Between lines where there is no terminal."""
SECONDS_PER_UPDATE = 0.2
"""Between two updates of the bar."""


class ProgressCallback(BaseCallback):
    """Show steps, steps per second, time left and the mean return of the latest episodes.

    Args:
        title: what is being trained.
    """

    def __init__(self, title: str):
        super().__init__()
        self.title = title
        self.on_terminal = Console(stderr=True).is_terminal
        self._bars = ExitStack()

    def _on_training_start(self) -> None:
        self.start_time = self.shown_time = time.monotonic()
        self.start_step = self.shown_step = self.num_timesteps
        self.total = self.model._total_timesteps
        totals = {self.title: self.total - self.num_timesteps}
        self._advance = self._bars.enter_context(progress_bars(self.on_terminal, totals))

    def _on_step(self) -> bool:
        interval = SECONDS_PER_UPDATE if self.on_terminal else SECONDS_PER_LINE
        if time.monotonic() - self.shown_time >= interval:
            self._show()
        return True

    def _on_training_end(self) -> None:
        self._show()
        self._bars.close()

    def _show(self) -> None:
        self.shown_time = time.monotonic()
        if self.on_terminal:
            done = min(self.num_timesteps, self.total)
            self._advance(self.title, done - self.shown_step, self.describe_speed())
            self.shown_step = done
        else:
            counts = f"{self.num_timesteps:,}/{self.total:,} steps"
            print(f"{self.title}: {counts}  {self.describe_speed()}", file=sys.stderr, flush=True)

    def describe_speed(self) -> str:
        """Return steps per second, time left and the mean return of the latest episodes."""
        elapsed = max(time.monotonic() - self.start_time, 1e-9)
        rate = (self.num_timesteps - self.start_step) / elapsed
        left = max(self.total - self.num_timesteps, 0) / rate if rate else float("inf")
        words = f"{rate:,.0f}/s  {format_duration(left)} left"
        if episodes := self.model.ep_info_buffer:
            words += f"  reward {np.mean([episode['r'] for episode in episodes]):.2f}"
        return words


def format_duration(seconds: float) -> str:
    """Return a time as people read it.

    >>> format_duration(3725), format_duration(65), format_duration(float("inf"))
    ('1:02:05', '1:05', '?')
    """
    if seconds == float("inf"):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
