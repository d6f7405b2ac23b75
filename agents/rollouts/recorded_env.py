"""Recorded episodes as a world: it shows what was seen, whatever is done in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from attention_agents.envs.tokens.layout import TokenLayout, TokenPlaces
from attention_agents.recording.reader import Episode


class RecordedEnv(gym.Env):
    """Play recorded episodes to a policy, one after the other, and ignore what it would do.

    Observation:
        Those of the recording, in their order.

    Actions:
        Heard, and without effect.

    Reward:
        That of the recording.

    Termination, Truncation:
        As recorded; where the recording is cut short, it is truncated.

    Args:
        episodes: recorded ones; every reset goes on to the next.
        observation_space, action_space: of the policy that looks on.
    """

    def __init__(
        self, episodes: Sequence[Episode], observation_space: gym.Space, action_space: gym.Space
    ) -> None:
        self._episodes, self._number = episodes, -1
        self.observation_space, self.action_space = observation_space, action_space
        self.render_mode = "rgb_array" if episodes[0].header.picture == "frame" else None
        self._t = 0

    @property
    def episode(self) -> Episode:
        """The one that is played."""
        return self._episodes[self._number]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._t = 0
        self._number = (self._number + 1) % len(self._episodes)
        return self._observe(), {}

    def step(self, action: Any):
        step = self.episode[self._t]
        self._t += 1
        cut = self._t == len(self.episode) and not step.terminated
        return self._observe(), step.reward, step.terminated, step.truncated or cut, {}

    def render(self):
        if self._t < len(self.episode):
            return self.episode.frame(self._t)
        final = self.episode.final
        return self.episode.frame(-1) if final is None else final.frame

    def token_places(self, layout: TokenLayout, frame_shape: tuple[int, ...]) -> TokenPlaces:
        """Return the recorded places; nobody knows those after the last action."""
        step = self.episode[self._t] if self._t < len(self.episode) else None
        if step is None or step.places is None:
            return TokenPlaces.unknown(len(layout))
        return step.places

    def action_masks(self) -> np.ndarray:
        """Return which actions had a probability; all where the policy did not say."""
        step = self.episode[min(self._t, len(self.episode) - 1)]
        header, probabilities = self.episode.header, step.distribution
        if header.distribution != "probabilities" or probabilities is None:
            return np.ones(gym.spaces.flatdim(self.action_space), bool)
        if header.action_kind == "multi_binary":
            return np.stack([probabilities < 1, probabilities > 0], 1).ravel()
        return probabilities > 0

    def _observe(self) -> Any:
        final = self.episode.final
        if self._t < len(self.episode):
            observation = self.episode[self._t].observation
        else:
            observation = (final or self.episode[-1]).observation
        return observation[""] if self.episode.header.observation_keys == ("",) else observation
