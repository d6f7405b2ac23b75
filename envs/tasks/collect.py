"""A ring of fruit and mines, to be picked one by one in the right order."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tasks.drawing import (
    DARK,
    FLOOR,
    HUES,
    blank_frame,
    fill_disk,
    mix_colors,
)
from attention_agents.envs.token_places import GroupPlaces
from attention_agents.envs.tokens.layout import TokenGroup, TokenPlaces
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Entities

COLUMNS = ("presence", "fruit", "mine", "ripeness", "x", "y")
SIDE = 256
"""Height and width of a frame, in pixels."""
RADIUS = 20
"""Of a fruit or mine as drawn, in pixels."""
UNRIPE, RIPE = (90, 170, 60), (230, 50, 50)
EMPTY_STAND = np.zeros(len(COLUMNS), np.float32)


class Collect(GroupPlaces, gym.Env):
    """Pick the ripest of the fruit that is left, again and again, and never a mine.

    Task:
        A ring of stands. Each holds a fruit, a mine or nothing; how many there are varies from
        episode to episode, from a single fruit to all stands full. Which pick is right depends on
        all fruit that is left: it must be compared.

    Observation:
        (stands, 6) float32, a row per stand: presence (0 where the stand is empty, and all else is
        0 too), fruit, mine, ripeness (0.1 to 1 for fruit, all different; 0 for mines), and where
        the stand is, x and y from -1 to 1. Rows are entities, with `position`.

    Actions:
        Action i picks what is on stand i. `action_masks()` says which stands are not empty; picking
        from an empty one changes nothing but the time.

    Reward:
        1 / n for picking the ripest fruit that is left, n being the number of fruit at the start;
        0 for any other fruit, which is gone too; -1 for a mine. The best policy scores 1. For the
        defaults, picking at random among what is there scores -0.30; with mines=0, 0.67.

    Termination:
        A mine was picked, or no fruit is left. `info["is_success"]` says whether every pick was
        right.

    Truncation:
        After 4 * stands steps.

    Every `info` holds `target`, the stand of the ripest fruit that is left, -1 when there is none.

    Source: of this project. Comparing the members of a set is the task of attention over entities
        in Zambaldi et al. 2018, Relational deep reinforcement learning,
        https://arxiv.org/abs/1806.01830.

    Args:
        fruit: most fruit in an episode, 1 to 10.
        mines: most mines in an episode.
        stands: places in the ring, at least fruit + mines; None for just so many. With more, an
            agent can meet more fruit later than it was trained with.

    Raises:
        ValueError: `fruit` is not 1 to 10, `mines` is below 0, or they do not fit on the stands.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 3}

    def __init__(
        self,
        fruit: int = 5,
        mines: int = 3,
        stands: int | None = None,
        render_mode: str | None = None,
    ):
        if not 1 <= fruit <= 10:
            raise ValueError(f"fruit must be 1 to 10, got {fruit}")
        if mines < 0:
            raise ValueError(f"mines must be at least 0, got {mines}")
        if stands is not None and stands < fruit + mines:
            raise ValueError(
                f"stands must be at least fruit + mines = {fruit + mines}, got {stands}"
            )
        self.fruit, self.mines, self.stands = fruit, mines, stands or fruit + mines
        self.render_mode = render_mode
        angles = 2 * np.pi * np.arange(self.stands) / self.stands
        self._positions = np.stack((np.sin(angles), -np.cos(angles)), 1).astype(np.float32)
        low = np.array((0, 0, 0, 0, -1, -1), np.float32)
        shape = (self.stands, len(COLUMNS))
        tokens = Entities(self.stands, COLUMNS, presence=0, label="stand", position=(4, 5))
        self.observation_space = TokenBox(np.tile(low, (self.stands, 1)), 1, shape, tokens=tokens)
        self.action_space = spaces.Discrete(self.stands)
        self.table = np.zeros(shape, np.float32)
        """The observation: what is on the stands."""
        self._queue: list[int] = []
        self._pick_reward, self._steps, self._all_right = 0.0, 0, True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        rng = self.np_random
        fruit, mines = int(rng.integers(1, self.fruit + 1)), int(rng.integers(self.mines + 1))
        stands = rng.permutation(self.stands)
        fruit_stands, mine_stands = stands[:fruit], stands[fruit : fruit + mines]
        ripeness = rng.permutation(10)[:fruit]
        table = np.zeros_like(self.table)
        table[fruit_stands, 1], table[mine_stands, 2] = 1, 1
        table[fruit_stands, 3] = (ripeness + 1) / 10
        full = stands[: fruit + mines]
        table[full, 0] = 1
        table[full, 4:] = self._positions[full]
        self.table = table
        self._queue = fruit_stands[ripeness.argsort()].tolist()  # the ripest is the last
        self._pick_reward, self._steps, self._all_right = 1 / fruit, 0, True
        return table.copy(), self._step_info()

    def step(self, action: Any):
        self._steps += 1
        stand, reward, exploded = int(action), 0.0, False
        if stand in self._queue:
            right = stand == self._queue[-1]
            reward, self._all_right = (
                (self._pick_reward, self._all_right) if right else (0.0, False)
            )
            self._queue.remove(stand)
        elif self.table[stand, 2]:
            reward, exploded, self._all_right = -1.0, True, False
        self.table[stand] = EMPTY_STAND
        terminated = exploded or not self._queue
        truncated = not terminated and self._steps >= 4 * self.stands
        info = self._step_info()
        if terminated or truncated:
            info["is_success"] = terminated and self._all_right
        return self.table.copy(), reward, terminated, truncated, info

    @property
    def target(self) -> int:
        """The stand of the ripest fruit that is left, -1 when there is none."""
        return self._queue[-1] if self._queue else -1

    def action_masks(self) -> np.ndarray:
        """Return (stands,) bool, True where there is something to pick."""
        return self.table[:, 0] > 0

    def render(self):
        if self.render_mode != "rgb_array":
            return None
        frame = blank_frame(SIDE, SIDE)
        for row, (x, y) in zip(self.table, self._stand_centers(), strict=True):
            fill_disk(frame, x, y, RADIUS, FLOOR)
            if row[1]:
                ripeness = float(row[3])  # by size and by color
                radius = RADIUS * (0.3 + 0.6 * ripeness)
                fill_disk(frame, x, y, radius, mix_colors(UNRIPE, RIPE, ripeness))
            elif row[2]:
                fill_disk(frame, x, y, RADIUS * 0.8, DARK)
                fill_disk(frame, x, y, RADIUS * 0.3, HUES[2])
        return frame

    def group_places(self, group: TokenGroup, frame_shape: tuple[int, ...]) -> TokenPlaces | None:
        """Return the box of each stand that is not empty, and the stand as its identity."""
        if group.kind != "entities" or len(group) != self.stands:
            return None
        scale = np.array((frame_shape[1], frame_shape[0]) * 2) / SIDE
        centers, full = self._stand_centers(), self.action_masks()
        boxes = np.concatenate((centers - RADIUS, centers + RADIUS), 1) * scale
        places = TokenPlaces.unknown(self.stands)
        places.boxes[full], places.ids[full] = boxes[full], np.flatnonzero(full)
        return places

    def _stand_centers(self) -> np.ndarray:
        return SIDE / 2 + self._positions * (SIDE / 2 - RADIUS - 8)

    def _step_info(self) -> dict[str, Any]:
        return {"target": self.target}
