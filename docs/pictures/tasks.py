"""The little tasks, by name.

| name | asks | in |
|---|---|---|
| doorkey | where are the key and the door in view? | MiniGrid-DoorKey-8x8-v0 |
| pong | how far right is the ball? | ALE/Pong-v5 |
| doorkey frames, pong frames | where were they in the oldest of four frames? | the same |
| doors | where is the door of the mission's color? | MiniGrid-GoToDoor-5x5-v0 |
| road | where is the nearest vehicle ahead? | highway-fast-v0 |
| recall | which color did the first step show? | attention/CueRecall-v0 |
| fruit | which fruit is the ripest? | attention/Collect-v0 |
"""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX
from pictures.scene import Found, Task

from attention_agents.envs.make import make_env
from attention_agents.envs.tokens.layout import Conv
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Frames, Patches

TIMES, STEPS = 4, 8
"""Frames of the tasks that have several; steps of the history of numbers."""

VIEW, KINDS = 7, 3
"""Rows and columns of MiniGrid's view, in cells, and numbers per cell."""
POV = {"agent_pov": True}
"""MiniGrid's picture is the view, so that every cell stands on it."""
MISSION = ("blue", "door", "go", "green", "grey", "purple", "red", "the", "to", "yellow")
"""The words of "go to the red door", by their number from 2 on."""
COLOUR = 3
"""Which word of the mission is the color."""

SIDE, PATCH = 42, 6
"""Height and width of Pong's picture, halved, and of a patch, in pixels."""
FINE = Patches(SIDE, SIDE, 1, (Conv(16, 3, 3), Conv(32, 2, 2)))
"""7 x 7 patches side by side."""
FIELD, NOISE, BRIGHT = 87, 8, 8.0
"""Gray of Pong's field, how far from it counts as drawn, and what that is painted with."""
BLUR = 0.1
"""Noise on the numbers of the corridor, to each side."""
BALL_X, BALL_Y, PADDLE_Y = 49, 54, 51
"""Where Pong's memory holds them, in pixels of the console; no ball is at y = 0."""


class SmallPong(gym.ObservationWrapper):
    """Observe Pong in black and white and half as large, which is quick to learn.

    Args:
        env: gives four gray frames of 84 x 84 pixels.
        frames: observe all of them, as a history; else the newest alone.
    """

    def __init__(self, env: gym.Env, frames: bool):
        super().__init__(env)
        self._frames = frames
        shape = (TIMES, 1 + SIDE**2) if frames else (1, SIDE, SIDE)
        tokens = Frames(TIMES, FINE) if frames else FINE
        self.observation_space = TokenBox(0, BRIGHT, shape, tokens=tokens)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        drawn = np.abs(observation.astype(np.int64) - FIELD) > NOISE
        halves = BRIGHT * drawn.reshape(TIMES, SIDE, 2, SIDE, 2).mean((2, 4), dtype=np.float32)
        if not self._frames:
            return halves[-1:]
        return np.pad(halves.reshape(TIMES, -1), ((0, 0), (1, 0)), constant_values=1)

    def render(self) -> Any:
        """Return the frame in gray, as it is observed."""
        frame = self.env.render()
        if frame is None:
            return None
        gray = np.asarray(frame, np.float32) @ (0.299, 0.587, 0.114)
        return np.repeat(gray[..., None], 3, -1).astype(np.uint8)


def key_and_door(env: Any, obs: dict[str, Any], info: dict[str, Any]) -> np.ndarray | None:
    """Return row and column of the key, then of the door, in cells of the view."""
    kinds = _view(obs)[:, 0]
    places = [np.flatnonzero(kinds == OBJECT_TO_IDX[name]) for name in ("key", "door")]
    if not all(map(len, places)):
        return None
    return np.concatenate([divmod(each[0], VIEW) for each in places]).astype(np.float32)


def wanted_door(env: Any, obs: dict[str, Any], info: dict[str, Any]) -> np.ndarray | None:
    """Return row and column of the door that the mission names, in cells of the view."""
    return door_of(obs, MISSION[obs["mission"][COLOUR, 0] - 2])


def door_of(obs: dict[str, Any], color: str) -> np.ndarray | None:
    """Return row and column of the door of a color; None where it is out of view."""
    wanted = (OBJECT_TO_IDX["door"], COLOR_TO_IDX.get(color, -1))
    cells = np.flatnonzero((_view(obs)[:, :2] == wanted).all(1))
    return np.array(divmod(cells[0], VIEW), np.float32) if len(cells) else None


def other_mission(found: Found) -> Found:
    """Return the same view with a mission that names another door of it."""
    own = found.obs["mission"][COLOUR, 0]
    for word, name in enumerate(MISSION, start=2):
        answer = door_of(found.obs, name)
        if word != own and answer is not None:
            mission = found.obs["mission"].copy()
            mission[COLOUR] = word
            return Found({**found.obs, "mission": mission}, answer, found.frames)
    raise ValueError("there is no other door in view")


def ball(env: Any, obs: np.ndarray, info: dict[str, Any]) -> np.ndarray | None:
    """Return how far right the ball is, in pixels of the observed picture."""
    return _spot(env)[:1] if _memory(env, BALL_Y) else None


def nearest_ahead(env: Any, obs: np.ndarray, info: dict[str, Any]) -> np.ndarray | None:
    """Return how far ahead and to the right the nearest vehicle ahead is, in metres."""
    others = obs[1:]
    ahead = others[(others[:, 0] > 0) & (others[:, 1] > 0)]
    if not len(ahead):
        return None
    return ahead[ahead[:, 1].argmin(), 1:3] * np.array((200, 12), np.float32)


def cue(env: Any, obs: np.ndarray, info: dict[str, Any]) -> int | None:
    """Return the color that the first observation showed, once that is past."""
    return env.unwrapped.cue if info["step"] else None


def ripest(env: Any, obs: np.ndarray, info: dict[str, Any]) -> int | None:
    """Return the stand of the ripest fruit that is left."""
    return info["target"] if info["target"] >= 0 else None


def _view(obs: dict[str, Any]) -> np.ndarray:
    """Return the cells of the present view, (49, 3)."""
    return np.ravel(obs["view"])[-KINDS * VIEW**2 :].reshape(VIEW**2, KINDS)


def _memory(env: Any, byte: int) -> int:
    return int(env.unwrapped.ale.getRAM()[byte])


def _clear(env: Any, found: Found) -> bool:
    """Whether much of the view is seen, and key and door stand apart and ahead."""
    row, col, door_row, door_col = found.answer
    apart = abs(row - door_row) + abs(col - door_col) > 3
    return bool(apart and row < VIEW - 1 and (_view(found.obs)[:, 0] > 0).sum() > 30)


def _moving(env: Any, found: Found) -> bool:
    """Whether no two views that follow each other are alike."""
    views = found.obs["view"]
    return _clear(env, found) and bool((views[1:] != views[:-1]).any(1).all())


def _spot(env: Any) -> np.ndarray:
    """Return x and y of Pong's ball, in pixels of the observed picture."""
    x, y = (_memory(env, byte) for byte in (BALL_X, BALL_Y))
    return np.array(((x - 48.5) * SIDE / 160, (y - 13) * SIDE / 210), np.float32)


def _before_the_paddle(env: Any, found: Found) -> bool:
    """Whether the ball is in the middle of a patch, and not far from the own paddle."""
    x, y = spot = _spot(env)
    middle = np.abs(spot % PATCH - PATCH / 2).max() < 1
    paddle = _paddle(env, found) // (SIDE // PATCH)
    return bool(middle and 3 * PATCH < x < 6 * PATCH and 0 < abs(paddle - y // PATCH) < 3)


def _paddle(env: Any, found: Found) -> int:
    """Return the patch in which the middle of the own paddle is."""
    row = (_memory(env, PADDLE_Y) - 5) * SIDE / 210 // PATCH
    return int(row * (SIDE // PATCH) + SIDE // PATCH - 1)


def _last_but_one(token: int) -> int:
    """Return a token of the present frame, as one of the frame before it."""
    return (TIMES - 2) * (SIDE // PATCH) ** 2 + token


def _cell(answer: np.ndarray) -> int:
    return int(answer[0] * VIEW + answer[1])


def _patch(spot: np.ndarray) -> int:
    x, y = (spot // PATCH).astype(int)
    return int(y * (SIDE // PATCH) + x)


def _doorkey(**options: Any) -> gym.Env:
    return make_env("MiniGrid-DoorKey-8x8-v0", env_kwargs=POV, **options)


def _doors(**options: Any) -> gym.Env:
    return make_env("MiniGrid-GoToDoor-5x5-v0", env_kwargs=POV, **options)


def _pong(frames: bool, **options: Any) -> gym.Env:
    return SmallPong(make_env("ALE/Pong-v5", **options), frames)


def _recall(**options: Any) -> gym.Env:
    own = {"length": STEPS - 1, "cues": 4}
    env = make_env("attention/CueRecall-v0", history=STEPS, env_kwargs=own, **options)
    dice = np.random.default_rng(0)

    def blurred(obs: np.ndarray) -> np.ndarray:
        """Add noise, without which there are no more windows than steps and cues."""
        numbers = obs[:, 1:] + dice.uniform(-BLUR, BLUR, obs[:, 1:].shape)
        return np.concatenate([obs[:, :1], numbers.clip(0, 1)], 1).astype(np.float32)

    return gym.wrappers.TransformObservation(env, blurred, env.observation_space)


TASKS: dict[str, Task] = {
    "doorkey": Task(
        _doorkey,
        key_and_door,
        _clear,
        "cells",
        asker=lambda env, found: VIEW**2 - VIEW // 2 - 1,  # the agent's own cell
    ),
    "pong": Task(
        partial(_pong, False),
        ball,
        _before_the_paddle,
        "pixels",
        asker=_paddle,
        longest=10_000,
    ),
    "doorkey frames": Task(
        partial(_doorkey, history=TIMES),
        key_and_door,
        _moving,
        "cells",
        asker=lambda env, found: _last_but_one(_cell(found.answer)),
        times=TIMES,
        ago=TIMES - 1,
    ),
    "pong frames": Task(
        partial(_pong, True),
        ball,
        _before_the_paddle,
        "pixels",
        asker=lambda env, found: _last_but_one(_patch(_spot(env))),
        times=TIMES,
        ago=TIMES - 1,
        longest=10_000,
    ),
    "doors": Task(
        _doors,
        wanted_door,
        lambda env, found: sum(door_of(found.obs, name) is not None for name in MISSION) > 2,
        "cells",
        asker=lambda env, found: COLOUR,  # the words ask
        also=other_mission,
    ),
    "road": Task(
        partial(make_env, "highway-fast-v0"),
        nearest_ahead,
        lambda env, found: bool((found.obs[:, 0] > 0).all()),
        "metres",
        longest=12,
    ),
    "recall": Task(
        _recall,
        cue,
        lambda env, found: len(found.frames) == STEPS,
        times=STEPS,
    ),
    "fruit": Task(
        partial(make_env, "attention/Collect-v0"),
        ripest,
        lambda env, found: found.obs[:, 1].sum() > 3 and found.obs[:, 2].sum() > 1,
    ),
}
