"""A recording of cars and of where they were: they change rows, and one is new at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from envs.layout import TokenLayout, TokenPlaces
from envs.specs import Entities, Frames
from recording import Header, MapSpec, RecordingWriter, Step
from recording.observed import parts_of

T, CARS = 3, 4
N = T * CARS
FRAME = (40, 60)
SPEC = Frames(T, Entities(CARS, ("presence", "x"), presence=0, ego=0, label="car"))


def past_header() -> Header:
    return Header(
        env_id="Road-v0",
        layout=TokenLayout(SPEC.groups("cars")),
        maps=(MapSpec("actor/0", "actor", 0, 1, "readout", asker="ego"),),
        observation_keys=("cars",),
        action_kind="discrete",
        action_sizes=(2,),
        distribution="probabilities",
        algo="ppo",
    )


PARTS = parts_of(past_header().layout)


def cars_at(t: int) -> list[int]:
    """Who is in each row at a step: the agent, then two who change places, then one of its time."""
    return [0, 11 + t % 2, 12 - t % 2, 20 + t]


def past_step(t: int, weights: np.ndarray | None = None) -> Step:
    """A step at which all cars of all steps since 0 are there, each with a weight of its own."""
    ids, mask = np.full((T, CARS), -1), np.zeros((T, CARS), bool)
    for row in range(T):
        then = t + row + 1 - T
        if then >= 0:
            ids[row], mask[row] = cars_at(then), True
    own = np.arange(1, N + 1) * mask.ravel() if weights is None else weights
    boxes = np.full((N, 4), np.nan, np.float32)
    boxes[-CARS:] = [(12 * row, 10, 12 * row + 8, 16) for row in range(CARS)]
    return Step(
        observation={"cars": np.zeros((T, 1 + 2 * CARS), np.float32)},
        action=np.array(t % 2),
        maps={"actor/0": (own / own.sum()).astype(np.float32).reshape(1, 1, N)},
        frame=np.full((*FRAME, 3), 10 * t, np.uint8),
        distribution=np.array([0.25, 0.75], "f"),
        mask=mask.ravel(),
        places=TokenPlaces(boxes, ids.ravel()),
    )


def record_past(folder: Path, steps: int) -> Path:
    header = past_header()
    with RecordingWriter(folder, header) as writer:
        writer.begin_episode(5)
        for t in range(steps):
            writer.add(past_step(t))
        end = past_step(steps)
        writer.end_episode(end.observation, end.frame)
    return folder
