"""Which episodes a policy is judged by: an episode is known by its seed."""

from attention_agents.envs.random_streams import BOUND

SEED = 10_000
"""Seed of the first episode where none is named: not one that training starts from."""


def episode_seeds(first: int, episodes: int) -> range:
    """Return the seeds of episodes that a person asks for: `first + i`.

    Raises:
        ValueError: a number is out of range.
    """
    for name, value, least in (("episodes", episodes, 1), ("seed", first, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if first + episodes > BOUND:
        raise ValueError(f"seed must be at most {BOUND - episodes}, got {first}")
    return range(first, first + episodes)


def periodic_seeds(run_seed: int, episodes: int) -> range:
    """Return the seeds of the episodes that judge a run while it trains, always the same."""
    first = 1_000_000 * (run_seed + 1) % (BOUND // 2)
    return range(first, first + episodes)
