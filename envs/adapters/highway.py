"""highway-env: the vehicles really observed, by identity, where the viewer draws them.

Source: Leurent 2018, An environment for autonomous driving decision-making,
    https://github.com/Farama-Foundation/HighwayEnv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import highway_env
import numpy as np
from highway_env.envs.common.action import ContinuousAction, DiscreteAction, DiscreteMetaAction
from highway_env.envs.common.graphics import EnvViewer
from highway_env.envs.common.observation import ExitObservation, KinematicObservation
from highway_env.road.graphics import WorldSurface
from highway_env.vehicle.kinematics import Vehicle
from highway_env.vehicle.objects import RoadObject

from attention_agents.envs.adapters.adapter import Adapter
from attention_agents.envs.ground_truth import find_present_tokens
from attention_agents.envs.token_places import GroupPlaces
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Entities

UPRIGHT = np.deg2rad(2)
"""Headings below this are drawn straight (highway_env.vehicle.graphics)."""
TIRE = 1.0
"""Meters that a drawn vehicle's own surface reaches beyond it, at each end."""


class FixedSpaces(gym.Wrapper):
    """Keep the first spaces: highway-env makes others at every reset, which forget their seed."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self.action_space = env.action_space
        self.observation_space = env.observation_space


class VehicleTokens(GroupPlaces, gym.Wrapper):
    """Know which vehicle each row of a kinematic observation is.

    Observation: (V, F) float32, a row per vehicle, the agent's own first, the nearest next; rows
    of zeros where fewer are near.

    The vehicles are recorded when the observation is made, by the very query that makes it: what
    enters or leaves the road after that does not change them, and no random number is drawn. They
    are not recorded where nothing is rendered, since they have no place there.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._world: Any = env.unwrapped
        kind: KinematicObservation = self._world.observation_type
        if kind.order != "sorted":
            raise ValueError(
                "vehicles must be observed in a known order, got "
                f'order="{kind.order}"; use order="sorted"'
            )
        features = tuple(kind.features)
        placed = "x" in features and "y" in features
        tokens = Entities(
            kind.vehicles_count,
            features,
            presence=features.index("presence") if "presence" in features else None,
            ego=0,
            label="vehicle",
            position=(features.index("x"), features.index("y")) if placed else None,
        )
        shape = (kind.vehicles_count, len(features))
        self.observation_space = TokenBox(-np.inf, np.inf, shape, np.float32, tokens=tokens)
        self.observed_vehicles: list[RoadObject] = []
        self._ids: dict[RoadObject, int] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        obs, info = self.env.reset(seed=seed, options=options)
        self._ids.clear()
        if self.render_mode is None:
            return obs, info
        self._record_vehicles()
        kind = self._world.observation_type  # a fresh one after every reset
        observe = kind.observe

        def record_and_observe() -> np.ndarray:
            self._record_vehicles()
            return observe()

        kind.observe = record_and_observe
        return obs, info

    def group_places(self, group: TokenGroup, frame_shape: tuple[int, ...]) -> TokenPlaces | None:
        """Return the box of each observed vehicle in the viewer's picture, as last rendered.

        Vehicles that are off the picture, or have left the road since, have an identity but no box.
        """
        if group.kind != "entities":
            return None
        places = TokenPlaces.unknown(len(group))
        road, viewer = self._world.road, self._world.viewer
        drawn = {*road.vehicles, *road.objects}
        for row, vehicle in enumerate(self.observed_vehicles[: len(group)]):
            places.ids[row] = self._ids.setdefault(vehicle, len(self._ids))
            if viewer is not None and vehicle in drawn:
                places.boxes[row] = vehicle_box(viewer.sim_surface, vehicle, frame_shape)
        return places

    def _record_vehicles(self) -> None:
        kind = self._world.observation_type
        near = self._world.road.close_objects_to(
            kind.observer_vehicle,
            self._world.PERCEPTION_DISTANCE,
            count=kind.vehicles_count - 1,
            see_behind=kind.see_behind,
            sort=True,
            vehicles_only=isinstance(kind, ExitObservation) or not kind.include_obstacles,
        )
        self.observed_vehicles = [kind.observer_vehicle, *near]

    def render(self):
        if self.render_mode != "rgb_array":
            return self.env.render()
        if self._world.viewer is None:
            self._world.viewer = EnvViewer(self._world)
        self._world.viewer.enabled = True  # it takes SDL's dummy screen for "draw nothing"
        frame = self.env.render()
        self._world.enable_auto_render = False  # no frames between steps, which would not be shown
        return frame


def vehicle_box(
    surface: WorldSurface, vehicle: RoadObject, frame_shape: tuple[int, ...]
) -> np.ndarray:
    """Return the (4,) box of a drawn vehicle or obstacle in frame pixels; NaN when it is off frame.

    Follows highway_env's own drawing step by step, its rounding included.
    """
    border = TIRE if isinstance(vehicle, Vehicle) else 0.0
    side = surface.pix(vehicle.LENGTH + 2 * border)
    x0, y0 = surface.pix(border), surface.pix((vehicle.LENGTH - vehicle.WIDTH) / 2 + border)
    x1, y1 = x0 + surface.pix(vehicle.LENGTH), y0 + surface.pix(vehicle.WIDTH)
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) - side / 2
    heading = vehicle.heading if abs(vehicle.heading) > UPRIGHT else 0.0
    c, s = np.cos(heading), np.sin(heading)
    extent = side * (abs(c) + abs(s))  # of the turned square, drawn as one image
    center = np.trunc(np.array(surface.vec2pix(vehicle.position)) - extent / 2) + int(extent) / 2
    corners = corners @ np.array([(c, s), (-s, c)]) + center  # (4, 2) in surface pixels
    box = np.round(np.concatenate((corners.min(0), corners.max(0))))
    width, height = surface.get_size()
    box = np.clip(box, 0, (width, height, width, height))
    if box[0] >= box[2] or box[1] >= box[3]:
        return np.full(4, np.nan)
    across, down = frame_shape[1] / width, frame_shape[0] / height
    return box * (across, down, across, down)


class HighwayAdapter(Adapter):
    """Observation: vehicles as entities, where they are observed by their kinematics."""

    def register_envs(self) -> None:
        gym.register_envs(highway_env)

    def make_kwargs(self, env_kwargs: dict[str, Any]) -> dict[str, Any]:
        """Let `observation_shape` be a list, as on a command line: highway-env adds to a tuple."""
        config: Any = env_kwargs.get("config") or {}
        observation: Any = config.get("observation") or {}
        shape = observation.get("observation_shape")
        if not isinstance(shape, list):
            return {}
        return {
            "config": {**config, "observation": {**observation, "observation_shape": tuple(shape)}}
        }

    def wrap_env(self, env: gym.Env, training: bool) -> gym.Env:
        kind = env.get_wrapper_attr("observation_type")
        rows = type(kind) in (KinematicObservation, ExitObservation)  # not their many subclasses
        env = FixedSpaces(env)
        return VehicleTokens(env) if rows else env

    def action_names(self, env: gym.Env) -> tuple[str, ...] | None:
        kind = env.get_wrapper_attr("action_type")
        if isinstance(kind, DiscreteMetaAction):
            names: Any = kind.actions
            return tuple(names[i] for i in range(len(names)))
        if isinstance(kind, ContinuousAction) and not isinstance(kind, DiscreteAction):
            both = (("acceleration", kind.longitudinal), ("steering", kind.lateral))
            return tuple(name for name, used in both if used)
        return None

    def ground_truth_indices(self, env: gym.Env, layout: TokenLayout) -> Sequence[int] | None:
        """Return the vehicle that the agent would hit first if both went on in its lane, if any.

        It needs the observed vehicles, which are recorded where the environment renders.
        """
        vehicles = find_present_tokens(layout, lambda group: group.kind == "entities")
        if vehicles is None or env.render_mode is None:
            return None
        row = first_collision(env.get_wrapper_attr("observed_vehicles"))
        return () if row is None else (vehicles.start + row,)


def first_collision(vehicles: Sequence[RoadObject]) -> int | None:
    """Return which vehicle in front, in the lane of the first one, has the smallest time to
    collision, `gap / closing speed`; None where the first closes in on none."""
    ego: Any = vehicles[0]
    start = ego.lane.local_coordinates(ego.position)[0]
    times = {}
    for row, vehicle in enumerate(vehicles[1:], start=1):
        along = ego.lane.local_coordinates(vehicle.position)[0]
        gap = along - start - (ego.LENGTH + vehicle.LENGTH) / 2
        heading = ego.lane.heading_at(along)
        closing_speed = ego.speed - vehicle.speed * np.cos(vehicle.heading - heading)
        if along > start and ego.lane.on_lane(vehicle.position) and closing_speed > 0:
            times[row] = max(gap, 0.0) / closing_speed
    return min(times, key=lambda row: times[row]) if times else None


ADAPTER = HighwayAdapter()
