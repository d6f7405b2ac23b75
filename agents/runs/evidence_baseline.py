"""What evidence is compared with: the tokens' means over states that the policy itself leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import TimeLimit

from attention_agents.agents.rollouts.episodes import Actor, EnvState, play_episodes
from attention_agents.envs.success import SuccessRule
from attention_agents.policies.inspect.token_capture import TokenCapture, TokenMeans
from attention_agents.recording.live.step_evidence import EvidenceBaseline

STATES, MAX_EPISODES = 300, 30
"""States that the means are taken over, where so many episodes hold them."""
FIRST_SEED = 5_000_000
"""Seed of the first of these episodes: not one that a person records."""


def measure_baseline(
    policy: Any, env: gym.Env, actor: Actor, is_success: SuccessRule, states: int = STATES
) -> EvidenceBaseline | None:
    """Return each token's mean over some hundred states of episodes that the policy plays.

    Args:
        policy: of Stable-Baselines3 or sb3-contrib.
        env: that is played in, and stays open; not the one that is recorded.
        actor: calls the policy.
        is_success: of the environment.
        states: how many are enough.

    Returns:
        None where it is not known where the policy's tokens stand.
    """
    try:
        capture = TokenCapture(policy)
    except ValueError:
        return None
    means = TokenMeans()
    with capture:
        collector = _MeansCollector(actor, capture, means)
        for episode in range(MAX_EPISODES):
            short = TimeLimit(env, states - means.states)
            play_episodes([short], collector, [FIRST_SEED + episode], is_success)
            if means.states >= states:
                break
    source = f"{means.states} states of episodes from seed {FIRST_SEED}"
    return EvidenceBaseline("mean", means, source)


class _MeansCollector:
    """An actor that adds the tokens of what it sees to their means."""

    def __init__(self, actor: Actor, capture: TokenCapture, means: TokenMeans):
        self._actor, self._capture, self._means = actor, capture, means

    def act(self, env_states: Sequence[EnvState]) -> Sequence[Any]:
        actions = self._actor.act(env_states)
        passed = self._capture.take()
        assert passed is not None, "the policy acted, and its tokens were not seen"
        seen = passed.select_states(slice(0, len(env_states)))  # the rest fills the batch
        self._means.update(seen.tokens[self._capture.role])
        return actions
