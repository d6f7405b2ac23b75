"""A corridor in which only the first observation tells where to turn at the end."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.spaces import TokenBox
from envs.specs import Features
from envs.tasks.drawing import AGENT, BACKGROUND, FLOOR, HUES, canvas, fill_box, fill_disk

TILE = 32
"""Frame pixels per cell."""


class CueRecall(gym.Env):
    """Remember a cue while walking down a corridor.

    Task:
        The agent starts at cell 0, where it sees one of `cues` colours for a single step. It walks
        `length` cells to the junction, and must leave by the exit of that colour. Without memory
        every exit is as good as another, so that no policy of the present observation alone has
        an expected return above 1 / cues. A window of length + 1 steps (`history=length + 1`)
        holds the cue until the junction is reached without detours, and lets a policy score 1.

    Observation:
        (cues + 2,) float32, each from 0 to 1: the cue one-hot, in the first observation of an
        episode only; the position along the corridor; 1 at the junction, else 0.

    Actions:
        0 walks on; 1 + i leaves by exit i. Leaving is possible at the junction only, and walking
        everywhere else; an action that is not possible changes nothing but the time.

    Reward:
        1 for leaving by the exit of the cue's colour, else 0. The best policy scores 1 after
        length + 1 steps, one that acts at random 1 / cues, to 1e-3.

    Termination:
        The agent has left. `info["is_success"]` says whether by the right exit.

    Truncation:
        After 4 * (cues + 1) * (length + 1) steps: enough for one that acts at random to arrive.

    Every `info` holds `cue_step`, the step of the episode whose observation held the cue (0), and
    `step`, that of the observation it comes with: the present is `step - cue_step` steps later.

    Source: Bakker 2001, Reinforcement learning with long short-term memory, section 4,
        https://papers.nips.cc/paper/1953 (the T-maze). Differs: any number of exits; the
        observation has no noise.

    Args:
        length: cells from the start to the junction.
        cues: colours, 2 to 8.

    Raises:
        ValueError: `length` is below 1, or `cues` is not 2 to 8.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}

    def __init__(self, length: int = 7, cues: int = 2, render_mode: str | None = None):
        if length < 1:
            raise ValueError(f"a corridor needs a length of at least 1, got {length}")
        if not 2 <= cues <= len(HUES):
            raise ValueError(f"cues must be 2 to {len(HUES)}, got {cues}")
        self.length, self.cues, self.render_mode = length, cues, render_mode
        self.limit = 4 * (cues + 1) * (length + 1)
        """Steps after which an episode is truncated."""
        names = (*(f"cue {i}" for i in range(cues)), "position", "junction")
        self.observation_space = TokenBox(0, 1, (len(names),), tokens=Features(names))
        self.action_space = spaces.Discrete(1 + cues)
        self.cue = self.position = self.steps = 0
        self._left = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.cue = int(self.np_random.integers(self.cues))
        self.position = self.steps = 0
        self._left = -1
        return self._observe(), self._info()

    def step(self, action: Any):
        self.steps += 1
        left, success = False, False
        if self.position < self.length:
            self.position += int(action == 0)
        elif action > 0:
            self._left = int(action) - 1
            left, success = True, self._left == self.cue
        truncated = not left and self.steps >= self.limit
        info = self._info()
        if left or truncated:
            info["is_success"] = success
        return self._observe(), float(success), left, truncated, info

    def render(self):
        if self.render_mode != "rgb_array":
            return None
        rows = max(self.cues, 3)
        middle = TILE * rows // 2
        frame = canvas(TILE * rows, TILE * (self.length + 3))
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
        if self._left >= 0:
            x, y = junction + 2.5 * TILE, start + TILE * (self._left + 0.5)
        fill_disk(frame, x, y, TILE * 0.36, BACKGROUND)
        fill_disk(frame, x, y, TILE * 0.3, AGENT)
        return frame

    def _observe(self) -> np.ndarray:
        seen = np.zeros(self.cues + 2, np.float32)
        if self.steps == 0:
            seen[self.cue] = 1
        seen[-2] = self.position / self.length
        seen[-1] = self.position == self.length
        return seen

    def _info(self) -> dict[str, Any]:
        return {"cue_step": 0, "step": self.steps}
