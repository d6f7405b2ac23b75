"""How fast an episode is shown."""

from __future__ import annotations

from attention_agents.recording.reader import Episode

MIN_DURATION = 6.0
"""Seconds that a short episode is stretched to by showing fewer steps per second."""
MAX_FPS, MIN_FPS = 60.0, 2.0


def film_rate(episode: Episode) -> float:
    """Return at how many steps per second to show an episode: the environment's own rate, slowed
    down where the episode would be over in less than `MIN_DURATION` seconds."""
    return min(max(min(episode.header.fps, len(episode) / MIN_DURATION), MIN_FPS), MAX_FPS)
