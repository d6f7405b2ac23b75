"""What the tests of the page record: a road, a memory, scores, and names that mean harm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from attention_agents.envs.tokens.specs import History
from attention_agents.recording.header import Header
from attention_agents.recording.leave_one_out import (
    LeaveOneOut,
    write_faithfulness,
    write_leave_one_out,
)
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.reader import Recording, open_recording
from attention_agents.recording.step import Step
from attention_agents.recording.writer import RecordingWriter

H, A, CELLS, CARS = 3, 5, 6, 3
N = CELLS + CARS + 2
FRAME = (40, 60)
SQUARES = (
    MapSpec("actor/0", "actor", 0, H, "tokens"),
    MapSpec("actor/1", "actor", 1, H, "tokens", mechanism="top-k 4", soft=True),
)
READOUT = MapSpec(
    "actor/2", "actor", 2, H, "readout", query_source="ego", extra_keys=("CLS",), head_weights=True
)
ODD = (
    MapSpec("actor/3/slots", "actor", 3, H, "slots", "queries", query_count=2, part="slots"),
    MapSpec(
        "actor/4", "actor", 4, 1, "pooled", "none", keys="channels", key_count=7, query_count=1
    ),
    MapSpec("critic/0", "critic", 0, H, "tokens", "none"),
)


def scene_header(odd: bool = False) -> Header:
    """Six cells and three cars on the frame, and two numbers that have no place on it."""
    boxes = tuple((float(c), float(r), c + 1.0, r + 1.0) for r in range(2) for c in range(3))
    cells = tuple(f"row {r} col {c}" for r in range(2) for c in range(3))
    cars = ("ego car", "car 1", "car 2")
    layout = TokenLayout(
        (
            TokenGroup("cells", cells, "view", grid=(2, 3), boxes=boxes, picture=(2, 3)),
            TokenGroup("entities", cars, "cars", ego=0),
            TokenGroup("features", ("speed", "fuel"), "dash"),
        )
    )
    return Header(
        env_id="Road-v0",
        layout=layout,
        maps=(*SQUARES, READOUT, *(ODD if odd else ())),
        observation_keys=("view", "cars", "dash"),
        action_kind="discrete",
        action_sizes=(A,),
        distribution="probabilities",
        action_names=("left", "idle", "right", "faster", "slower"),
        algo="ppo",
        run="runs/road",
        versions={"numpy": "2"},
    )


def scene_step(header: Header, t: int, **changes: Any) -> Step:
    """A step like no other: places, presence, actions and maps change with t."""
    rng = np.random.default_rng(t)
    present = np.ones(N, bool)
    present[CELLS + 1 + t % 2] = t % 5 != 4
    boxes = np.full((N, 4), np.nan, np.float32)
    boxes[:CELLS] = [(20 * c, 20 * r, 20 * c + 20, 20 * r + 20) for r in range(2) for c in range(3)]
    boxes[CELLS : CELLS + CARS] = [(x, x / 2, x + 8, x / 2 + 5) for x in (5 + t % 7, 25, 45)]
    ids = np.full(N, -1)
    ids[CELLS : CELLS + CARS] = (0, 11 + t % 2, 12 - t % 2)  # the two cars change places
    maps, soft, heads = {}, {}, {}
    for spec in header.maps:
        shape = header.map_shape(spec)
        rows = rng.dirichlet(np.full(shape[-1], 0.4), shape[:2]).astype(np.float32)
        if spec.keys == "tokens":
            rows[..., :N] *= present
        if spec.soft:
            soft[spec.name] = rows
            rows = np.where(rows >= np.sort(rows, -1)[..., [-4]], rows, np.float32(0))
        if spec.normalized_over == "queries":
            rows = rows / np.maximum(rows.sum(1, keepdims=True), 1e-9)
        elif spec.normalized_over == "none":
            rows = 3 * rows - 0.1 * (rows > 0)
        else:
            rows = rows / np.maximum(rows.sum(-1, keepdims=True), 1e-9)
        maps[spec.name] = rows.astype(np.float32)
        if spec.head_weights:
            heads[spec.name] = np.array([0.5, 0.7, 1.8], np.float32)
    values: dict[str, Any] = dict(
        observation={
            "view": rng.integers(0, 5, (2, 3)),
            "cars": rng.normal(size=(CARS, 2)),
            "dash": rng.normal(size=2),
        },
        action=np.int64(t // 3 % A),
        maps=maps,
        soft=soft,
        heads=heads,
        frame=rng.integers(0, 256, (*FRAME, 3), dtype=np.uint8),
        distribution=rng.dirichlet(np.ones(A)).astype("f"),
        value=0.5 * t,
        reward=float(t % 7 == 6),
        mask=present,
        places=TokenPlaces(boxes, ids),
    )
    return Step(**(values | changes))


def record(folder: Path, header: Header, steps: int, episodes: int = 1, **changes: Any) -> Path:
    """Write episodes of `steps` steps; the second is one step shorter, and so on."""
    with RecordingWriter(folder, header) as writer:
        for episode in range(episodes):
            writer.begin_episode(episode + 3)
            for t in range(steps - episode):
                last = t == steps - episode - 1
                step = scene_step(header, t + 100 * episode, terminated=last, **changes)
                writer.add_step(step)
            end = scene_step(header, 999)
            writer.end_episode(end.observation, end.frame if header.picture == "frame" else None)
    return folder


HOSTILE = (
    "<script>window.hurt = 1</script>",
    "</script><script>window.hurt = 1</script>",
    "</SCRIPT ><img src=x onerror='window.hurt = 1'>",
    "<!--<script>",
    "--></script>",
    "<img src=x onerror=window.hurt=1>",
    "<svg/onload=window.hurt=1>",
    '" onmouseover="window.hurt = 1',
    "' autofocus onfocus='window.hurt = 1",
    "javascript:window.hurt=1",
    "&lt;script&gt;&#60;b&#62;",
    "{{SCRIPT}}{{DATA}}",
    "${window.hurt = 1}`);window.hurt = 1;(`",
    "\u2028window.hurt = 1;\u2029\x00\x1b\u202e",
    "\ud800 lone \\u003cb\\u003e \\",
)


def hostile_header(text: str) -> Header:
    """A header with a string wherever one may stand."""
    header = scene_header()
    groups = [replace(g, names=(f"{text} 1", *g.names[1:])) for g in header.layout.groups]
    word = "".join(c for c in text if c.isprintable())[:40] or "x"
    maps = (
        *header.maps[:2],
        replace(READOUT, query_source=word, extra_keys=(word,), mechanism=word),
    )
    return replace(
        header,
        env_id=text,
        layout=TokenLayout(tuple(groups)),
        maps=maps,
        action_names=(text, *header.action_names[1:]) if header.action_names else None,
        algo=text,
        run=text,
        value_unit=text,
        created=text,
        versions={text: text},
    )


def hostile_recording(folder: Path, text: str) -> Recording:
    """Three steps with a string wherever one may stand."""
    header = hostile_header(text)
    if text.isprintable():
        return open_recording(record(folder / "seen", header, 3))
    # the disk takes no lone surrogate; the page must, from whoever makes a header
    recording = open_recording(record(folder / "seen", scene_header(), 3))
    recording.header = header
    for episode in recording.episodes:
        episode.header = header
    return recording


SCORED = (0, 1, 2, 5, 6, 11)
MATTERS = {
    0: (),
    1: (CELLS + 1,),
    2: (4,),
    5: (3, CELLS, N - 1),
    6: (N - 2,),
    11: tuple(range(N)),
}
"""Which tokens the environment says matter, by scored step."""
VERDICT = "The map actor/2 does not explain the policy."


def score(folder: Path) -> Path:
    """Score some steps of the first episode of a recording; numbers follow from step and token."""
    recording = open_recording(folder)
    episode, S = recording.episodes[0], len(SCORED)
    rng = np.random.default_rng(0)
    present = np.stack([episode[t].present for t in SCORED])
    scores = LeaveOneOut(
        steps=np.array(SCORED),
        causal=np.where(present, rng.random((S, N)), 0).astype("f"),
        distribution=rng.dirichlet(np.ones(A), (S, N)).astype(np.float16),
        action=(np.arange(S)[:, None] + np.arange(N)) % A,
        value=(np.arange(S)[:, None] + np.arange(N) / 100).astype("f"),
        unit="KL, nats",
        ground_truth=np.array([np.isin(np.arange(N), MATTERS[t]) for t in SCORED]),
    )
    write_leave_one_out(episode.folder, scores)
    write_faithfulness(folder, {"verdict": VERDICT, "unit": "KL, nats", "maps": []})
    return folder


LAGS = 5


def record_memory(folder: Path, steps: int) -> Path:
    """An agent that remembers its last steps and judges its actions by Q values."""
    header = Header(
        env_id="Memory-v0",
        layout=TokenLayout(History(LAGS, 1).token_groups("")),
        maps=(MapSpec("online/0", "online", 0, H, "readout", query_source="learned query"),),
        observation_keys=("",),
        action_kind="discrete",
        action_sizes=(A,),
        distribution="q_values",
        algo="dqn",
    )
    with RecordingWriter(folder, header) as writer:
        writer.begin_episode(7)
        for t in range(steps):
            rng = np.random.default_rng(t)
            mask = np.arange(LAGS) >= LAGS - 1 - t
            rows = rng.dirichlet(np.ones(LAGS), (H, 1)) * mask
            step = Step(
                observation={"": rng.normal(size=(LAGS, 2)).astype("f")},
                action=np.int64(t % A),
                maps={"online/0": (rows / rows.sum(-1, keepdims=True)).astype("f")},
                frame=np.full((*FRAME, 3), 10 * t, np.uint8),
                distribution=np.arange(A, dtype="f") - t,
                value=float(A - 1 - t),
                reward=1.0,
                mask=mask,
                terminated=t == steps - 1,
            )
            writer.add_step(step)
        writer.end_episode({"": np.zeros((LAGS, 2), "f")}, np.full((*FRAME, 3), 255, np.uint8))
    return folder
