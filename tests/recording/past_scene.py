"""A recording of cars and of where they were: they change rows, and one is new at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from attention_agents.envs.tokens.layout import TokenLayout, TokenPlaces
from attention_agents.envs.tokens.specs import Entities, Frames
from attention_agents.recording.header import Header
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.observation_images import GroupSlice, group_slices
from attention_agents.recording.step import Step
from attention_agents.recording.writer import RecordingWriter

T, CARS = 3, 4
N = T * CARS
FRAME = (40, 60)
SPEC = Frames(T, Entities(CARS, ("presence", "x"), presence=0, ego=0, label="car"))
GOAL = Entities(1, ("presence", "x"), presence=0, label="goal")


def cars_at(t: int) -> list[int]:
    """Who is in each row at a step: the agent, then two who change places, then one of its time."""
    return [0, 11 + t % 2, 12 - t % 2, 20 + t]


def strangers_at(t: int) -> list[int]:
    """The agent, and three whom nobody sees twice."""
    return [0, *range(100 + 3 * t, 103 + 3 * t)]


def unknown_at(t: int) -> list[int]:
    """Nobody knows who is in row 1; row 2 holds object 1."""
    return [0, -1, 1, 20 + t]


@dataclass(frozen=True)
class Road:
    """Cars at the last `steps` steps, and, where there is a goal, a second table with one row."""

    steps: int = T
    who: Callable[[int], list[int]] = cars_at
    """Identities of the cars at a step, by row; -1 where nobody knows."""
    goal: bool = False

    @property
    def header(self) -> Header:
        groups = replace(SPEC, steps=self.steps).token_groups("cars")
        groups += Frames(self.steps, GOAL).token_groups("goal") if self.goal else ()
        return Header(
            env_id="Road-v0",
            layout=TokenLayout(groups),
            maps=(MapSpec("actor/0", "actor", 0, 1, "readout", query_source="ego"),),
            observation_keys=("cars", "goal") if self.goal else ("cars",),
            action_kind="discrete",
            action_sizes=(2,),
            distribution="probabilities",
            algo="ppo",
        )

    @property
    def parts(self) -> list[GroupSlice]:
        return group_slices(self.header.layout)

    def step(self, t: int, weights: np.ndarray | None = None) -> Step:
        """All cars of all steps since 0 are there, each with a weight of its own."""
        ids, mask = np.full((self.steps, CARS), -1), np.zeros((self.steps, CARS), bool)
        for row in range(self.steps):
            then = t + row + 1 - self.steps
            if then >= 0:
                ids[row], mask[row] = self.who(then), True
        goal = mask[:, 0] if self.goal else mask[:0, 0]
        present, count = np.append(mask, goal), ids.size
        own = np.arange(1, len(present) + 1) * present if weights is None else weights
        boxes = np.full((len(present), 4), np.nan, np.float32)
        boxes[count - CARS : count] = [(12 * row, 10, 12 * row + 8, 16) for row in range(CARS)]
        sizes = {"cars": 1 + 2 * CARS, "goal": 1 + 2}
        return Step(
            observation={
                key: np.zeros((self.steps, sizes[key]), np.float32)
                for key in self.header.observation_keys
            },
            action=np.array(t % 2),
            maps={"actor/0": (own / own.sum()).astype(np.float32).reshape(1, 1, -1)},
            frame=np.full((*FRAME, 3), 10 * t, np.uint8),
            distribution=np.array([0.25, 0.75], "f"),
            mask=present,
            places=TokenPlaces(boxes, np.append(ids, np.full(len(goal), -1))),
        )

    def record(self, folder: Path, steps: int, header: Header | None = None) -> Path:
        with RecordingWriter(folder, header or self.header) as writer:
            writer.begin_episode(5)
            for t in range(steps):
                writer.add_step(self.step(t))
            end = self.step(steps)
            writer.end_episode(end.observation, end.frame)
        return folder


ROAD = Road()
PARTS = ROAD.parts


def past_header() -> Header:
    return ROAD.header


def past_step(t: int, weights: np.ndarray | None = None) -> Step:
    return ROAD.step(t, weights)


def older(header: Header) -> Header:
    """Return a header as it was written once: "-1 steps"."""
    groups = [
        replace(group, names=tuple(name.replace("-1 step", "-1 steps") for name in group.names))
        for group in header.layout.groups
    ]
    return replace(header, layout=TokenLayout(tuple(groups)))
