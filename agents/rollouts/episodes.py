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
from attention_agents.envs.random_streams import derive_seed
from attention_agents.envs.success import SuccessRule

BATCH_SIZE = 8
"""Observations that a policy answers at a time."""


class PlayedEpisode(NamedTuple):
    """The result of one episode."""

    seed: int
    episode_return: float
    """Sum of the rewards, undiscounted."""
    length: int
    """Steps."""
    success: bool | None
    """None where the environment knows no success."""


class EnvState(NamedTuple):
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

    def act(self, env_states: Sequence[EnvState]) -> Sequence[Any]:
        """Return one action per environment."""
        ...


class PolicyActor:
    """Calls a policy, and carries its recurrent state from step to step of an episode.

    Args:
        policy: see `agents.rollouts.policy_calls`.
    """

    def __init__(self, policy: Policy):
        self._policy, self._recurrent_states = policy, RecurrentStates()

    def _choose_actions(self, env_states: Sequence[EnvState]) -> np.ndarray:
        seeds, begins = [state.seed for state in env_states], [state.begins for state in env_states]
        masks = [state.valid for state in env_states if state.valid is not None]
        inputs = PolicyInput(
            observation=stack_observations([state.observation for state in env_states]),
            begins=np.array(begins),
            memory=self._recurrent_states.gather_batch(seeds, begins),
            valid=np.stack(masks) if len(masks) == len(env_states) else None,
        )
        actions, memory = self._policy(inputs)
        self._recurrent_states.store_batch(seeds, memory)
        return actions


class GreedyActor(PolicyActor):
    """The policy's most likely actions (`predict(..., deterministic=True)`)."""

    def act(self, env_states: Sequence[EnvState]) -> Sequence[Any]:
        actions: list[Any] = []
        for start in range(0, len(env_states), BATCH_SIZE):
            batch = list(env_states[start : start + BATCH_SIZE])
            padding = batch[-1:] * (BATCH_SIZE - len(batch))
            actions.extend(self._choose_actions(batch + padding)[: len(batch)])
        return actions


class SamplingActor(PolicyActor):
    """Actions drawn from the policy's distribution, each episode from its own random stream.

    Args:
        policy: draws from torch's and numpy's streams.
    """

    def __init__(self, policy: Policy):
        super().__init__(policy)
        self._streams: dict[int, _RandomStreams] = {}

    def act(self, env_states: Sequence[EnvState]) -> Sequence[Any]:
        actions = []
        for state in env_states:
            if state.begins:
                self._streams[state.seed] = _RandomStreams(state.seed)
            with self._streams[state.seed].activate():
                actions.append(self._choose_actions([state])[0])
        return actions


class RandomActor:
    """Actions drawn evenly among the valid ones, each episode from its own random stream."""

    def __init__(self, space: gym.Space):
        self.space = space
        self._spaces: dict[int, gym.Space] = {}

    def act(self, env_states: Sequence[EnvState]) -> Sequence[Any]:
        return [self._sample_action(state) for state in env_states]

    def _sample_action(self, state: EnvState) -> Any:
        if state.begins:
            self._spaces[state.seed] = deepcopy(self.space)
            self._spaces[state.seed].seed(derive_seed(state.seed, "random policy"))
        space = self._spaces[state.seed]
        return space.sample() if state.valid is None else sample_valid_action(space, state.valid)


class _RandomStreams:
    """The states of torch's and numpy's global generators, kept apart for one episode."""

    def __init__(self, seed: int):
        generator = torch.Generator().manual_seed(derive_seed(seed, "sampled actions, torch"))
        self.torch = generator.get_state()
        numpy_seed = derive_seed(seed, "sampled actions, numpy")
        self.numpy = np.random.RandomState(numpy_seed).get_state()

    @contextmanager
    def activate(self) -> Iterator[None]:
        outer = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
        torch.set_rng_state(self.torch)
        np.random.set_state(self.numpy)  # noqa: NPY002
        try:
            yield
            self.torch, self.numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
        finally:
            torch.set_rng_state(outer[0])
            np.random.set_state(outer[1])  # noqa: NPY002


def play_episodes(
    envs: Sequence[gym.Env],
    actor: Actor,
    seeds: Sequence[int],
    is_success: SuccessRule = lambda info, episode_return: None,
    on_end: Callable[[PlayedEpisode], None] = lambda episode: None,
) -> list[PlayedEpisode]:
    """Play one episode per seed; an environment that is done takes the next seed.

    Args:
        envs: K >= 1 environments of one kind; they are stepped in turn and not closed.
        actor: chooses the actions.
        seeds: of the episodes, all different.
        is_success: decides whether an ended episode succeeded.
        on_end: called with every episode as it ends.

    Returns:
        The episodes in the order of `seeds`.
    """
    waiting = deque(seeds)
    running = [_RunningEpisode(env, waiting.popleft()) for env in envs[: len(seeds)]]
    ended: dict[int, PlayedEpisode] = {}
    while running:
        actions = actor.act([episode.env_state() for episode in running])
        still_running = []
        for episode, action in zip(running, actions, strict=True):
            info = episode.step(action)
            if info is None:
                still_running.append(episode)
                continue
            ended[episode.seed] = episode.finish(is_success(info, episode.episode_return))
            on_end(ended[episode.seed])
            if waiting:
                still_running.append(_RunningEpisode(episode.env, waiting.popleft()))
        running = still_running
    return [ended[seed] for seed in seeds]


class _RunningEpisode:
    """One environment in the middle of one episode."""

    def __init__(self, env: gym.Env, seed: int):
        self.env, self.seed = env, seed
        self.observation, _ = env.reset(seed=seed)
        self.episode_return, self.length = 0.0, 0

    def env_state(self) -> EnvState:
        """Return what an actor chooses an action from."""
        return EnvState(self.observation, self.seed, self.length == 0, valid_actions(self.env))

    def step(self, action: Any) -> dict[str, Any] | None:
        """Take one step; return the info when it was the last."""
        self.observation, reward, terminated, truncated, info = self.env.step(action)
        self.episode_return += float(reward)
        self.length += 1
        return info if terminated or truncated else None

    def finish(self, success: bool | None) -> PlayedEpisode:
        """Return the result."""
        return PlayedEpisode(self.seed, self.episode_return, self.length, success)


def stack_observations(
    observations: Sequence[Observation], stack: Callable[..., np.ndarray] = np.stack
) -> Observation:
    """Return observations as one batch, key by key where they are dicts.

    Args:
        observations: at least one.
        stack: `np.stack` for single observations, `np.concatenate` for batches of them.
    """
    first = observations[0]
    if not isinstance(first, dict):
        return stack(observations)
    return {key: stack([obs[key] for obs in observations]) for key in first}  # type: ignore[index]
