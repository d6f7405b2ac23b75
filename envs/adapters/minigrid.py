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
from minigrid.minigrid_env import MiniGridEnv
from minigrid.wrappers import FullyObsWrapper

from attention_agents.envs.adapters.adapter import Adapter
from attention_agents.envs.adapters.missions import MissionEncoder
from attention_agents.envs.ground_truth import find_present_tokens
from attention_agents.envs.token_places import GroupPlaces, boxes_to_places
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Cells

WORDS = tuple(
    tuple(sorted(indices, key=indices.__getitem__))
    for indices in (OBJECT_TO_IDX, COLOR_TO_IDX, STATE_TO_IDX)
)
GRID_WORDS = (*WORDS[:2], ("open or right", "closed or down", "locked or left", "up"))
"""Of a fully observed grid: in its own cell, the state of the agent is where it looks."""


class ViewTokens(GroupPlaces, gym.ObservationWrapper):
    """Observe the agent's view as a table of cells.

    Observation: a Dict of
        view: (S * S, 3) uint8, object, color and state of each cell, as a person sees the view:
            row by row from the top, the agent in the middle of the last row, looking up.
            A cell that the agent cannot see is of category 0 and remains a token.
            Of a fully observed environment, all cells of the grid, row by row.
        direction: where the agent looks on the grid: 0 right, 1 down, 2 left, 3 up.
        mission: (W, 1) word indices, only where missions vary.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        world: Any = env.unwrapped
        self._world: MiniGridEnv = world
        self._cols, self._rows = _image_size(env)
        self._whole_grid = _shows_whole_grid(env)
        words = GRID_WORDS if self._whole_grid else WORDS
        categories = tuple(len(names) for names in words)
        high = np.tile(np.array(categories, np.uint8) - 1, (self._rows * self._cols, 1))
        tokens = Cells(self._rows, self._cols, categories, words=words)
        view = TokenBox(np.zeros_like(high), high, high.shape, np.uint8, tokens=tokens)
        self._missions = MissionEncoder(self._world)
        members = {"view": view, "direction": spaces.Discrete(4), **self._missions.spaces}
        self.observation_space = spaces.Dict(list(members.items()))

    def observation(self, observation: Any) -> dict[str, Any]:
        image = observation["image"].transpose(1, 0, 2)  # from (x, y, channel): rows come first
        return {
            "view": image.reshape(-1, len(WORDS)),
            "direction": observation["direction"],
            **self._missions.encode(observation["mission"]),
        }

    def group_places(self, group: TokenGroup, frame_shape: tuple[int, ...]) -> TokenPlaces | None:
        """Return the tile of each cell; cells of the view that lie beyond the grid have no place.

        A picture of the agent's own view shows the cells of that view alone.
        """
        world = self._world
        if group.key != "view" or group.grid != (self._rows, self._cols):
            return None
        if self._whole_grid and world.agent_pov:
            return None
        rows, cols = np.divmod(np.arange(self._rows * self._cols), self._cols)
        width, height = (world.width, world.height)
        if world.agent_pov:
            width, height = self._cols, self._rows
        elif not self._whole_grid:
            ahead, right = self._rows - 1 - rows, cols - self._cols // 2  # cells from the agent
            positions = (
                np.array(world.agent_pos)
                + np.outer(ahead, world.dir_vec)
                + np.outer(right, world.right_vec)
            )
            cols, rows = positions.T  # of the whole grid, (side * side,) each
        across, down = frame_shape[1] / width, frame_shape[0] / height
        tiles = np.stack((cols * across, rows * down, (cols + 1) * across, (rows + 1) * down), 1)
        inside = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
        return boxes_to_places(np.where(inside[:, None], tiles, np.nan))


class MissionTokens(gym.ObservationWrapper):
    """Observe the mission as word indices, where missions vary, and all else as it is."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._missions = MissionEncoder(env.unwrapped)  # type: ignore[arg-type]
        assert isinstance(env.observation_space, spaces.Dict)
        members = {**env.observation_space.spaces, "mission": None, **self._missions.spaces}
        self.observation_space = spaces.Dict(
            [(key, space) for key, space in members.items() if space is not None]
        )

    def observation(self, observation: Any) -> dict[str, Any]:
        parts = {key: part for key, part in observation.items() if key != "mission"}
        return parts | self._missions.encode(observation["mission"])


class MiniGridAdapter(Adapter):
    """Observation: the view's cells, the direction, and the mission's words where they vary.

    Environments that are registered with a wrapper that observes something else keep that.
    """

    def wrap_env(self, env: gym.Env, training: bool) -> gym.Env:
        space = env.observation_space
        if not isinstance(space, spaces.Dict) or "mission" not in space.spaces:
            return env
        if {"image", "direction"} <= space.keys() and (_shows_view(env) or _shows_whole_grid(env)):
            return ViewTokens(env)
        return MissionTokens(env)

    def action_names(self, env: gym.Env) -> tuple[str, ...]:
        return tuple(action.name for action in env.get_wrapper_attr("actions"))

    def ground_truth_indices(self, env: gym.Env, layout: TokenLayout) -> Sequence[int] | None:
        """Return the cell of what comes next: the key until it is carried, the door until it is
        open, then the goal. None where there is no goal, or more than one of a kind."""
        world: Any = env.unwrapped
        side = world.agent_view_size
        view = find_present_tokens(layout, lambda group: group.key == "view")
        target = next_target(world)
        if target is None or view is None or layout.groups[0].grid != (side, side):
            return None
        cell = visible_cell(world, target)
        return () if cell is None else (view.start + cell,)


def _shows_view(env: gym.Env) -> bool:
    """Return whether the image has a number for each cell of the agent's view."""
    side = env.get_wrapper_attr("agent_view_size")
    return _image_size(env) == (side, side) and not _shows_whole_grid(env)


def _shows_whole_grid(env: gym.Env) -> bool:
    """Return whether the image has a number for each cell of the grid."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, FullyObsWrapper):
            return True
        env = env.env
    return False


def _image_size(env: gym.Env) -> tuple[int, int]:
    """Return how many columns and rows an observed image has."""
    space: Any = env.observation_space
    cols, rows, _ = space["image"].shape
    return cols, rows


def next_target(world: MiniGridEnv) -> tuple[int, int] | None:
    """Return the (column, row) of what comes next on the way to the goal; None if unknown."""
    positions: dict[str, list[tuple[int, int]]] = {"key": [], "door": [], "goal": []}
    for index, obj in enumerate(world.grid.grid):
        if obj is not None and obj.type in positions:
            row, col = divmod(index, world.grid.width)
            positions[obj.type].append((col, row))
    keys, doors, goals = positions.values()
    if len(goals) != 1 or len(doors) > 1 or len(keys) > 1:
        return None
    door: Any = world.grid.get(*doors[0]) if doors else None
    if door is None or door.is_open:
        return goals[0]
    has_key = world.carrying is not None and world.carrying.type == "key"
    if door.is_locked and not has_key:
        return keys[0] if keys else None
    return doors[0]


def visible_cell(world: MiniGridEnv, position: tuple[int, int]) -> int | None:
    """Return the cell of the view that shows a position of the grid; None where none does."""
    obj: Any = world.grid.get(*position)
    x, y = world.get_view_coords(*position)
    side = world.agent_view_size
    if not (0 <= x < side and 0 <= y < side):
        return None
    image = world.gen_obs()["image"]  # (x, y, channel)
    return int(y * side + x) if image[x, y, 0] == OBJECT_TO_IDX[obj.type] else None


ADAPTER = MiniGridAdapter()
