"""MiniGrid and BabyAI: the cells of the agent's own view, at their tiles on the rendered grid.

Source: Chevalier-Boisvert et al. 2023, Minigrid and Miniworld, https://arxiv.org/abs/2306.13831.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401  (importing it registers its environments)
import numpy as np
from gymnasium import spaces
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX
from minigrid.minigrid_env import MiniGridEnv

from envs.adapters.adapter import Adapter
from envs.adapters.missions import MissionWords
from envs.layout import TokenGroup, TokenLayout, TokenPlaces
from envs.places import places_by_group, without_ids
from envs.spaces import TokenBox
from envs.specs import Cells

CATEGORIES = (len(OBJECT_TO_IDX), len(COLOR_TO_IDX), len(STATE_TO_IDX))


class ViewTokens(gym.Wrapper):
    """Observe the agent's view as a table of cells.

    Observation: a Dict of
        view: (S * S, 3) uint8, object, colour and state of each cell, as a person sees the view:
            row by row from the top, the agent in the middle of the last row, looking up.
            A cell that the agent cannot see is of category 0 and remains a token.
        direction: where the agent looks on the grid: 0 right, 1 down, 2 left, 3 up.
        mission: (W, 1) word indices, only where missions vary.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        world: Any = env.unwrapped
        self._grid: MiniGridEnv = world
        side, channels = self._grid.agent_view_size, len(CATEGORIES)
        self._shape = (side * side, channels)
        high = np.broadcast_to(np.array(CATEGORIES, np.uint8) - 1, self._shape)
        view = TokenBox(
            np.zeros_like(high), high, self._shape, np.uint8, tokens=Cells(side, side, CATEGORIES)
        )
        self._words = MissionWords.of(self._grid)
        self._mission, self._mission_words = "", np.empty(0)
        members = [("view", view), ("direction", spaces.Discrete(4))]
        if self._words is not None:
            members.append(("mission", self._words.space))
        self.observation_space = spaces.Dict(members)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        obs, info = self.env.reset(seed=seed, options=options)
        return self._tokens(obs), info

    def step(self, action: Any):
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._tokens(obs), reward, terminated, truncated, info

    def token_places(self, layout: TokenLayout, frame_shape: tuple[int, ...]) -> TokenPlaces:
        """Return the tile of each cell of the view; cells beyond the grid have no place."""
        side = self._grid.agent_view_size

        def place(group: TokenGroup) -> TokenPlaces | None:
            if group.key != "view" or group.grid != (side, side):
                return None
            return without_ids(self._tiles(frame_shape))

        return places_by_group(layout, place)

    def _tokens(self, obs: dict[str, Any]) -> dict[str, Any]:
        image = obs["image"]  # (x, y, channel): columns come first
        tokens = {
            "view": image.transpose(1, 0, 2).reshape(self._shape),
            "direction": obs["direction"],
        }
        if self._words is not None:
            if obs["mission"] != self._mission:
                self._mission = obs["mission"]
                self._mission_words = self._words.indices(self._mission)
            tokens["mission"] = self._mission_words
        return tokens

    def _tiles(self, frame_shape: tuple[int, ...]) -> np.ndarray:
        grid = self._grid
        side = grid.agent_view_size
        rows, cols = np.divmod(np.arange(side * side), side)
        width, height = (side, side) if grid.agent_pov else (grid.width, grid.height)
        if not grid.agent_pov:
            ahead, right = grid.dir_vec, grid.right_vec
            spots = (
                np.array(grid.agent_pos)
                + np.outer(side - 1 - rows, ahead)
                + np.outer(cols - side // 2, right)
            )
            cols, rows = spots.T
        across, down = frame_shape[1] / width, frame_shape[0] / height
        tiles = np.stack((cols * across, rows * down, (cols + 1) * across, (rows + 1) * down), 1)
        inside = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
        return np.where(inside[:, None], tiles, np.nan)


class MiniGridAdapter(Adapter):
    """Observation: the view's cells, the direction, and the mission's words where they vary."""

    def adapt(self, env: gym.Env, training: bool) -> gym.Env:
        return ViewTokens(env)

    def action_names(self, env: gym.Env) -> tuple[str, ...]:
        return tuple(action.name for action in env.get_wrapper_attr("actions"))


ADAPTER = MiniGridAdapter()
