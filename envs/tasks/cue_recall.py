"""A corridor in which only the first observation tells where to turn at the end."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tasks.drawing import (
    AGENT,
    BACKGROUND,
    FLOOR,
    HUES,
    blank_frame,
    fill_box,
    fill_disk,
)
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Features

TILE = 32
"""Frame pixels per cell."""


class CueRecall(gym.Env):
    """Remember a cue while walking down a corridor.

    Task:
        The agent starts at cell 0, where it sees one of `cues` colors for a single step. It walks
        one cell a step, whatever it does, and at the junction, `length` cells on, leaves by the
        exit that it names. Without memory every exit is as good as another, so that no policy of
        the present observation alone has an expected return above 1 / cues. A window of length + 1
        steps (`history=length + 1`) still holds the cue at the junction, and lets a policy score 1.

    Observation:
        (cues + 2,) float32, each from 0 to 1: the cue one-hot, in the first observation of an
        episode only; the position along the corridor; 1 at the junction, else 0.

    Actions:
        i leaves by exit i at the junction, and means nothing before it.

    Reward:
        1 for leaving by the exit of the cue's color, else 0. The best policy scores 1, one that
        acts at random 1 / cues.

    Termination:
        The agent has left, after length + 1 steps. `info["is_success"]` says whether by the right
        exit.

    Truncation:
        Never.

    Every `info` holds `cue_step`, the step of the episode whose observation held the cue (0), and
    `step`, that of the observation it comes with: the present is `step - cue_step` steps later.

    Source: Osband et al. 2020, Behaviour suite for reinforcement learning, memory length,
        https://arxiv.org/abs/1908.03568, in the corridor of Bakker 2001, Reinforcement learning
        with long short-term memory, section 4, https://papers.nips.cc/paper/1953. Differs: any
        number of exits; walking is no choice, so that only memory is tested; no noise.

    Args:
        length: cells from the start to the junction.
        cues: colors, 2 to 8.

    Raises:
        ValueError: `length` is below 1, or `cues` is not 2 to 8.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}
    cue_step = 0
    """The step of the episode whose observation holds the cue."""

    def __init__(self, length: int = 7, cues: int = 2, render_mode: str | None = None):
        if length < 1:
            raise ValueError(f"a corridor needs a length of at least 1, got {length}")
        if not 2 <= cues <= len(HUES):
            raise ValueError(f"cues must be 2 to {len(HUES)}, got {cues}")
        self.length, self.cues, self.render_mode = length, cues, render_mode
        names = (*(f"cue {i}" for i in range(cues)), "position", "junction")
        self.observation_space = TokenBox(0, 1, (len(names),), tokens=Features(names))
        self.action_space = spaces.Discrete(cues)
        self.cue = self.steps = 0
        self._exit = -1

    @property
    def position(self) -> int:
        """Cells from the start."""
        return min(self.steps, self.length)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.cue = int(self.np_random.integers(self.cues))
        self.steps = 0
        self._exit = -1
        return self._make_observation(), self._step_info()

    def step(self, action: Any):
        leaves = self.position == self.length
        self.steps += 1
        info = self._step_info()
        if not leaves:
            return self._make_observation(), 0.0, False, False, info
        self._exit = int(action)
        info["is_success"] = self._exit == self.cue
        return self._make_observation(), float(info["is_success"]), True, False, info

    def render(self):
        if self.render_mode != "rgb_array":
            return None
        rows = max(self.cues, 3)
        middle = TILE * rows // 2
        frame = blank_frame(TILE * rows, TILE * (self.length + 3))
        junction = TILE * self.length
        fill_box(frame, 0, middle - TILE // 2, junction, TILE, FLOOR)
        fill_box(frame, junction, 0, 2 * TILE, TILE * rows, FLOOR)
        start = (TILE * rows - TILE * self.cues) // 2
        for i in range(self.cues):
            fill_box(frame, junction + TILE, start + TILE * i, 2 * TILE, TILE, FLOOR)
            fill_box(frame, junction + 2 * TILE, start + TILE * i + 4, TILE, TILE - 8, HUES[i])
        if self.steps == 0:
            fill_box(frame, 0, middle - TILE // 2, TILE, TILE, HUES[self.cue])
        x, y = TILE * self.position + TILE / 2, float(middle)
        if self._exit >= 0:
            x, y = junction + 2.5 * TILE, start + TILE * (self._exit + 0.5)
        fill_disk(frame, x, y, TILE * 0.36, BACKGROUND)
        fill_disk(frame, x, y, TILE * 0.3, AGENT)
        return frame

    def _make_observation(self) -> np.ndarray:
        obs = np.zeros(self.cues + 2, np.float32)
        if self.steps == 0:
            obs[self.cue] = 1
        obs[-2] = self.position / self.length
        obs[-1] = self.position == self.length
        return obs

    def _step_info(self) -> dict[str, Any]:
        return {"cue_step": self.cue_step, "step": self.steps}
