"""MiniGrid and BabyAI: the cells of the agent's own view, at their tiles on the rendered grid.

Source: Chevalier-Boisvert et al. 2023, Minigrid and Miniworld, https://arxiv.org/abs/2306.13831.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401  (importing it registers its environments)
import numpy as np
from gymnasium import spaces
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX
from minigrid.core.world_object import WorldObj
from minigrid.minigrid_env import MiniGridEnv

from attention_agents.envs.adapters.adapter import Adapter
from attention_agents.envs.adapters.missions import MissionWords
from attention_agents.envs.ground_truth import present_groups
from attention_agents.envs.token_places import boxes_to_places, join_group_places
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Cells

WORDS = tuple(
    tuple(sorted(indices, key=indices.__getitem__))
    for indices in (OBJECT_TO_IDX, COLOR_TO_IDX, STATE_TO_IDX)
)
CATEGORIES = tuple(len(words) for words in WORDS)


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
        tokens = Cells(side, side, CATEGORIES, words=WORDS)
        view = TokenBox(np.zeros_like(high), high, self._shape, np.uint8, tokens=tokens)
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
            return boxes_to_places(self._tiles(frame_shape))

        return join_group_places(layout, place)

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

    def ground_truth_indices(self, env: gym.Env, layout: TokenLayout) -> Sequence[int] | None:
        """Return the cell of what comes next: the key until it is carried, the door until it is
        open, then the goal. None where there is no goal, or more than one of a kind."""
        world: Any = env.unwrapped
        starts = [start for start, group in present_groups(layout) if group.key == "view"]
        goal_known, spot = next_thing(world)
        if not goal_known or len(starts) != 1:
            return None
        cell = None if spot is None else seen_cell(world, spot)
        return () if cell is None else (starts[0] + cell,)


def next_thing(world: MiniGridEnv) -> tuple[bool, tuple[int, int] | None]:
    """Return whether it is known what comes next on the way to the goal, and where it lies."""
    things: dict[str, list[tuple[WorldObj, tuple[int, int]]]] = {"key": [], "door": [], "goal": []}
    for index, thing in enumerate(world.grid.grid):
        if thing is not None and thing.type in things:
            row, col = divmod(index, world.grid.width)
            things[thing.type].append((thing, (col, row)))
    keys, doors, goals = things.values()
    if len(goals) != 1 or len(doors) > 1 or len(keys) > 1:
        return False, None
    door: Any = doors[0][0] if doors else None
    if door is None or door.is_open:
        return True, goals[0][1]
    carried = world.carrying is not None and world.carrying.type == "key"
    if door.is_locked and not carried:
        return (True, keys[0][1]) if keys else (False, None)
    return True, doors[0][1]


def seen_cell(world: MiniGridEnv, spot: tuple[int, int]) -> int | None:
    """Return the cell of the view that shows a spot of the grid; None where it is not seen."""
    thing: Any = world.grid.get(*spot)
    across, down = world.get_view_coords(*spot)
    side = world.agent_view_size
    if not (0 <= across < side and 0 <= down < side):
        return None
    image = world.gen_obs()["image"]  # (x, y, channel)
    seen = image[across, down, 0] == OBJECT_TO_IDX[thing.type]
    return int(down * side + across) if seen else None


ADAPTER = MiniGridAdapter()
