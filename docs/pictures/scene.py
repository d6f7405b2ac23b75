"""A little task that asks where something is, and the observation that is drawn.

Whoever solves it has to look there. Observations are those of a random agent under fixed seeds, no
two alike; the first ones are drawn, and never learned from.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.envs.tokens.spaces import build_layout, choose_specs

DRAWN, LEARNED = 4, 1000
"""Seed of the first episode to draw from, and of the first one to learn from."""
PATIENCE = 50_000
"""Steps in which there must be one that is good to draw."""
TRIES = 20
"""Steps that are looked at for each observation, until there are enough."""

Observations = Tensor | dict[str, Tensor]


@dataclass(frozen=True)
class Scene:
    """A task with its observations, and the picture of the first one."""

    space: spaces.Space
    observations: Observations
    """(M, ...), as the environment gives them."""
    answers: Tensor
    """(M, K) float32 in `unit`, or (M,) int64: which of several."""
    unit: str
    frames: tuple[np.ndarray, ...]
    """(height, width, 3) uint8; of a history all of its frames, oldest first."""
    boxes: np.ndarray
    """(N, 4), where each token stands on its frame, in pixels; NaN for those that stand nowhere."""
    asker: int
    """The token whose row is drawn where several ask."""
    drawn: int
    """How many observations are drawn, from the first."""

    @property
    def layout(self) -> TokenLayout:
        return build_layout(choose_specs(self.space))

    @property
    def on_frame(self) -> np.ndarray:
        """(N,) int, on which of the frames each token stands."""
        ages = [group.offsets or (0,) * len(group) for group in self.layout.groups]
        return np.concatenate(ages) + len(self.frames) - 1

    @property
    def judged(self) -> int:
        """How many observations judge, from the first; the others are learned from."""
        return max(self.drawn, len(self.answers) // 8)

    @property
    def outputs(self) -> int:
        """How many numbers answer."""
        choices = not self.answers.is_floating_point()
        return int(self.answers.max()) + 1 if choices else self.answers.shape[1]

    @property
    def spread(self) -> Float[Tensor, "K"]:
        return self.answers.std(0)

    def batch(self, rows: Any) -> Observations:
        """Return some of the observations."""
        if isinstance(self.observations, Tensor):
            return self.observations[rows]
        return {key: each[rows] for key, each in self.observations.items()}

    def loss(self, said: Float[Tensor, "B ..."], rows: Any) -> Float[Tensor, ""]:
        """Return how far answers are off, for learning; of tokens that each answer the mean."""
        if not self.answers.is_floating_point():
            return F.cross_entropy(said, self.answers[rows])
        return (said - self._wanted(said, rows)).square().mean()

    @torch.no_grad()
    def error(self, said: Float[Tensor, "B ..."], rows: Any) -> float:
        """Return how far answers are off: root mean square in `unit`, or the share of wrong."""
        if not self.answers.is_floating_point():
            return (said.argmax(-1) != self.answers[rows]).float().mean().item()
        off = (said - self._wanted(said, rows)) * self.spread
        return off.square().mean().sqrt().item()

    def blind(self) -> float:
        """Return the error of whoever always gives the same, best answer."""
        own = self.answers[: self.judged]
        if not own.is_floating_point():
            return 1 - own.bincount().max().item() / len(own)
        return (own - self.answers.mean(0)).square().mean().sqrt().item()

    def _wanted(self, said: Tensor, rows: Any) -> Tensor:
        """Return the answers around 0 and of spread 1, for each token where each answers."""
        wanted = (self.answers[rows] - self.answers.mean(0)) / self.spread
        return wanted if said.dim() == 2 else wanted[:, None]


class Found(NamedTuple):
    """A step at which the answer is known."""

    obs: Any
    answer: Any
    frames: tuple[np.ndarray, ...]
    """The last frames rendered, the present one last; empty where nothing is."""


@dataclass(frozen=True)
class Task:
    """What is asked, and where the observations come from."""

    make: Callable[..., gym.Env]
    """Takes `render_mode`."""
    find: Callable[[Any, Any, dict[str, Any]], Any]
    """From environment, observation and info to the answer; None where there is none."""
    good: Callable[[Any, Found], bool]
    """Whether a step of an environment is good to draw."""
    unit: str = ""
    asker: Callable[[Any, Found], int] = lambda env, found: 0
    """The token whose row is drawn where several ask."""
    also: Callable[[Found], Found] | None = None
    """From the drawn step to another one to draw beside it."""
    times: int = 1
    """Frames to draw."""
    ago: int = 0
    """The answer is that of so many steps ago."""
    longest: int = 24
    """Steps of an episode."""

    def scene(self, samples: int) -> Scene:
        """Play, and return the task with up to so many observations beside those drawn."""
        env = self.make(render_mode="rgb_array")
        found = itertools.islice(self.played(env, DRAWN), PATIENCE)
        first = next((each for each in found if self.good(env, each)), None)
        if first is None:
            raise ValueError(f"nothing good to draw in {PATIENCE} steps of {env}")
        drawn = [first] if self.also is None else [first, self.also(first)]
        layout = build_layout(choose_specs(env.observation_space))
        boxes, asker = _boxes(env, layout, first.frames[-1]), self.asker(env, first)
        learned = different(self.played(self.make(render_mode=None), LEARNED), samples, drawn)
        every = [*drawn, *learned]
        answers = torch.from_numpy(np.stack([np.asarray(found.answer) for found in every]))
        return Scene(
            space=env.observation_space,
            observations=_stacked([found.obs for found in every]),
            answers=answers,
            unit=self.unit,
            frames=first.frames,
            boxes=boxes,
            asker=asker,
            drawn=len(drawn),
        )

    def played(self, env: gym.Env, seed: int) -> Iterator[Found]:
        """Play for ever at random, and give the steps at which the answer is known.

        Args:
            seed: of the agent and of the first episode.
        """
        rng = np.random.default_rng(seed)
        assert isinstance(env.action_space, spaces.Discrete)
        for episode in itertools.count(seed):
            obs, info = env.reset(seed=episode)
            frames: deque[np.ndarray] = deque(maxlen=self.times)
            answers: deque[Any] = deque(maxlen=self.ago + 1)
            for _ in range(self.longest):
                answers.append(self.find(env, obs, info))
                if env.render_mode is not None:
                    frames.append(np.asarray(env.render()))
                if len(answers) > self.ago and answers[0] is not None:
                    yield Found(obs, answers[0], tuple(frames))
                obs, _, terminated, truncated, info = env.step(
                    int(rng.integers(env.action_space.n))
                )
                if terminated or truncated:
                    break


def different(found: Iterator[Found], count: int, known: Sequence[Found]) -> list[Found]:
    """Take up to `count` observations, none twice and none that is known."""
    seen, taken = {_bytes(each.obs) for each in known}, []
    for one in itertools.islice(found, TRIES * count):
        own = _bytes(one.obs)
        if own not in seen:
            seen.add(own)
            taken.append(one)
        if len(taken) == count:
            break
    return taken


def _boxes(env: gym.Env, layout: TokenLayout, frame: np.ndarray) -> np.ndarray:
    """Return where each token stands on its own frame; the present one was just rendered."""
    height, width = frame.shape[:2]
    boxes = get_token_places(env, layout, frame.shape).boxes
    for group, where in zip(layout.groups, layout.slices, strict=True):
        seen = group.key == layout.groups[0].key and np.isnan(boxes[where]).all()
        if seen and group.boxes is not None and group.picture is not None:
            rows, cols = group.picture
            boxes[where] = np.array(group.boxes) * ((width / cols, height / rows) * 2)
        elif group.kind == "history":  # a step stands for its whole frame
            boxes[where] = (0, 0, width, height)
    return boxes


def _bytes(obs: Any) -> bytes:
    parts = obs.values() if isinstance(obs, dict) else (obs,)
    return b"".join(np.asarray(part).tobytes() for part in parts)


def _stacked(observations: list[Any]) -> Any:
    if isinstance(observations[0], dict):
        return {key: _stacked([obs[key] for obs in observations]) for key in observations[0]}
    return torch.from_numpy(np.stack([np.asarray(obs) for obs in observations]))
