"""Playing whole episodes: episode i always runs on its own seed and gives the same result.

It does not matter how many environments run side by side. Two things make that so: a policy always
answers in batches of one fixed size (matrix kernels round differently for other sizes), and
whatever is drawn at random is drawn from a stream of the episode's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
import torch
from jaxtyping import Bool

from attention_agents.agents.rollouts.policy_calls import (
    Observation,
    Policy,
    PolicyInput,
    RecurrentStates,
)
from attention_agents.envs.action_masks import sample_valid_action, valid_actions

BATCH = 8
"""Observations that a policy answers at a time."""

Succeeded = Callable[[dict[str, Any], float], bool | None]
"""From the last info and the return of an episode: whether it succeeded, None if unknown."""


class Episode(NamedTuple):
    """What one episode came to."""

    seed: int
    score: float
    """Sum of the rewards, undiscounted."""
    length: int
    """Steps."""
    success: bool | None
    """None where the environment knows no success."""


class Turn(NamedTuple):
    """One environment that waits for an action."""

    observation: Observation
    seed: int
    """Names the episode."""
    begins: bool
    """Whether this is the episode's first action."""
    valid: Bool[np.ndarray, "choices"] | None
    """True where an action is valid; None where the environment does not say."""


class Actor(Protocol):
    """Chooses actions for environments that run side by side."""

    def act(self, turns: Sequence[Turn]) -> Sequence[Any]:
        """Return one action per turn."""
        ...


class PolicyActor:
    """Asks a policy, and carries what it remembers from step to step of an episode.

    Args:
        policy: see `agents.rollouts.policy_calls`.
    """

    def __init__(self, policy: Policy):
        self._policy, self._recurrent_states = policy, RecurrentStates()

    def _ask(self, turns: Sequence[Turn]) -> np.ndarray:
        seeds, begins = [turn.seed for turn in turns], [turn.begins for turn in turns]
        masks = [turn.valid for turn in turns if turn.valid is not None]
        inputs = PolicyInput(
            observation=joined([turn.observation for turn in turns]),
            begins=np.array(begins),
            memory=self._recurrent_states.gather_batch(seeds, begins),
            valid=np.stack(masks) if len(masks) == len(turns) else None,
        )
        actions, memory = self._policy(inputs)
        self._recurrent_states.store_batch(seeds, memory)
        return actions


class GreedyActor(PolicyActor):
    """The policy's most likely actions (`predict(..., deterministic=True)`)."""

    def act(self, turns: Sequence[Turn]) -> Sequence[Any]:
        actions: list[Any] = []
        for start in range(0, len(turns), BATCH):
            some = list(turns[start : start + BATCH])
            full = some + some[-1:] * (BATCH - len(some))
            actions.extend(self._ask(full)[: len(some)])
        return actions


class SamplingActor(PolicyActor):
    """Actions drawn from the policy's distribution, each episode from its own random stream.

    Args:
        policy: draws from torch's and numpy's streams.
    """

    def __init__(self, policy: Policy):
        super().__init__(policy)
        self._streams: dict[int, _Stream] = {}

    def act(self, turns: Sequence[Turn]) -> Sequence[Any]:
        actions = []
        for turn in turns:
            if turn.begins:
                self._streams[turn.seed] = _Stream(turn.seed)
            with self._streams[turn.seed].drawn_from():
                actions.append(self._ask([turn])[0])
        return actions


class RandomActor:
    """Actions drawn evenly among the valid ones, each episode from its own random stream."""

    def __init__(self, space: gym.Space):
        self.space = space
        self._spaces: dict[int, gym.Space] = {}

    def act(self, turns: Sequence[Turn]) -> Sequence[Any]:
        return [self._sample(turn) for turn in turns]

    def _sample(self, turn: Turn) -> Any:
        if turn.begins:
            self._spaces[turn.seed] = deepcopy(self.space)
            self._spaces[turn.seed].seed(turn.seed)
        space = self._spaces[turn.seed]
        return space.sample() if turn.valid is None else sample_valid_action(space, turn.valid)


class _Stream:
    """The states of torch's and numpy's global generators, kept apart for one episode."""

    def __init__(self, seed: int):
        self.torch = torch.Generator().manual_seed(seed).get_state()
        self.numpy = np.random.RandomState(seed).get_state()

    @contextmanager
    def drawn_from(self) -> Iterator[None]:
        outer = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
        torch.set_rng_state(self.torch)
        np.random.set_state(self.numpy)  # noqa: NPY002
        try:
            yield
            self.torch, self.numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
        finally:
            torch.set_rng_state(outer[0])
            np.random.set_state(outer[1])  # noqa: NPY002


def play(
    envs: Sequence[gym.Env],
    actor: Actor,
    seeds: Sequence[int],
    succeeded: Succeeded,
    on_end: Callable[[Episode], None] = lambda episode: None,
) -> list[Episode]:
    """Play one episode per seed; an environment that is done takes the next seed.

    Args:
        envs: K >= 1 environments of one kind; they are stepped in turn and not closed.
        actor: chooses the actions.
        seeds: of the episodes, all different.
        succeeded: says of an ended episode whether it succeeded.
        on_end: called with every episode as it ends.

    Returns:
        The episodes in the order of `seeds`.
    """
    waiting = deque(seeds)
    running = [_Running(env, waiting.popleft()) for env in envs[: len(seeds)]]
    ended: dict[int, Episode] = {}
    while running:
        actions = actor.act([one.turn() for one in running])
        going = []
        for one, action in zip(running, actions, strict=True):
            info = one.step(action)
            if info is None:
                going.append(one)
                continue
            episode = Episode(one.seed, one.score, one.length, succeeded(info, one.score))
            ended[one.seed] = episode
            on_end(episode)
            if waiting:
                going.append(_Running(one.env, waiting.popleft()))
        running = going
    return [ended[seed] for seed in seeds]


class _Running:
    """One environment in the middle of one episode."""

    def __init__(self, env: gym.Env, seed: int):
        self.env, self.seed = env, seed
        self.observation, _ = env.reset(seed=seed)
        self.score, self.length = 0.0, 0

    def turn(self) -> Turn:
        """Return what an actor is told before it chooses."""
        return Turn(self.observation, self.seed, self.length == 0, valid_actions(self.env))

    def step(self, action: Any) -> dict[str, Any] | None:
        """Take one step; return the info when it was the last."""
        self.observation, reward, terminated, truncated, info = self.env.step(action)
        self.score += float(reward)
        self.length += 1
        return info if terminated or truncated else None


def joined(
    observations: Sequence[Observation], by: Callable[..., np.ndarray] = np.stack
) -> Observation:
    """Return observations as one batch, key by key where they are dicts.

    Args:
        observations: at least one.
        by: `np.stack` for single observations, `np.concatenate` for batches of them.
    """
    first = observations[0]
    if isinstance(first, dict):
        return {key: by([one[key] for one in observations]) for key in first}  # type: ignore[index]
    return by(observations)
