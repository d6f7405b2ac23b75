"""A recording made by hand: five entities and three features, two layers, three heads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from attention_agents.recording.header import Header
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.step import Step

H, N, A = 3, 8, 4
FRAME = (20, 30)


@pytest.fixture(scope="session")
def header() -> Header:
    layout = TokenLayout(
        (
            TokenGroup("entities", ("ego car", "car 1", "car 2", "car 3", "car 4"), "cars", ego=0),
            TokenGroup("features", ("speed", "heading", "fuel"), "dash"),
        )
    )
    return Header(
        env_id="Road-v0",
        layout=layout,
        maps=(
            MapSpec("actor/0", "actor", 0, H, "tokens", derived="mean over queries"),
            MapSpec("actor/1", "actor", 1, H, "readout", query_source="ego"),
        ),
        observation_keys=("cars", "dash"),
        action_kind="discrete",
        action_sizes=(A,),
        distribution="probabilities",
        action_names=("left", "right", "faster", "slower"),
        algo="ppo",
        versions={"numpy": "2"},
    )


@pytest.fixture(scope="session")
def make_step() -> Callable[..., Step]:
    def make(t: int, **changes: object) -> Step:
        rng = np.random.default_rng(t)
        boxes = np.full((N, 4), np.nan, np.float32)
        boxes[:5] = [(3 * i, 2 * i, 3 * i + 3, 2 * i + 2) for i in range(5)]
        weights = {f"actor/{i}": rng.dirichlet(np.ones(N), (H, 1)).astype("f") for i in (0, 1)}
        values: dict = dict(
            observation={"cars": rng.normal(size=(5, 2)), "dash": rng.normal(size=3)},
            action=np.int64(t % A),
            maps=weights,
            frame=rng.integers(0, 256, (*FRAME, 3), dtype=np.uint8),
            distribution=rng.dirichlet(np.ones(A)).astype("f"),
            value=0.5 * t,
            reward=0.1 * t,
            mask=np.array([True, True, True, True, False, True, True, True]),
            places=TokenPlaces(boxes, np.array([0, 11, 12, 13, -1, -1, -1, -1])),
        )
        return Step(**(values | changes))

    return make
