"""What a policy remembers is kept apart by episode, and handed back to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from attention_agents.agents.rollouts.episodes import (
    BATCH_SIZE,
    GreedyActor,
    SamplingActor,
    play_episodes,
)
from attention_agents.agents.rollouts.policy_calls import (
    PolicyInput,
    PolicyOutput,
    RecurrentStates,
    policy_function,
)
from tests.agents.rollouts.test_episodes import Walk
from tests.agents.worlds import Lanes

L, K = 2, 5


def memory(*values: float) -> tuple[np.ndarray, np.ndarray]:
    """Hidden and cell states for as many rows, each filled with its value."""
    hidden = np.stack([np.full((L, K), value) for value in values], axis=1)  # (L, B, K)
    return hidden, hidden + 0.5


def test_memories_come_back_in_the_order_of_the_question():
    recurrent_states = RecurrentStates()
    assert recurrent_states.gather_batch([3, 4], [False, False]) is None
    recurrent_states.store_batch([3, 7, 9], memory(30, 70, 90))
    hidden, cell = recurrent_states.gather_batch([9, 3, 8, 7], [False, False, False, True])
    assert hidden.shape == cell.shape == (L, 4, K)
    assert hidden[0, :, 0].tolist() == [90, 30, 0, 0]
    assert cell[1, :, 4].tolist() == [90.5, 30.5, 0, 0]


def test_a_policy_without_memory_leaves_none():
    recurrent_states = RecurrentStates()
    recurrent_states.store_batch([3], None)
    assert recurrent_states.gather_batch([3], [False]) is None


class Counting:
    """A policy whose memory counts the steps of an episode, and which tells what it was asked."""

    def __init__(self) -> None:
        self.asked: list[PolicyInput] = []

    def __call__(self, asked: PolicyInput) -> PolicyOutput:
        self.asked.append(asked)
        assert isinstance(asked.observation, dict)
        B = len(asked.observation["place"])
        hidden, cell = memory(*[0.0] * B) if asked.memory is None else asked.memory
        assert (hidden[:, asked.begins] == 0).all()
        return PolicyOutput(hidden[0, :, 0].astype(int) % 2, (hidden + 1, cell))


@pytest.mark.parametrize("kind", [GreedyActor, SamplingActor])
@pytest.mark.parametrize("n_envs", [2, 11])
def test_memory_starts_anew_with_every_episode_and_with_every_play(kind: Any, n_envs: int) -> None:
    actor = kind(Counting())
    seeds = range(100, 117)
    success = lambda info, score: None  # noqa: E731
    alone = play_episodes([Walk()], actor, seeds, success)
    # steps 0, 1, 2, ... of an episode choose 0, 1, 0, ..., and a step to the right pays 1
    assert [episode.episode_return for episode in alone] == [
        episode.length // 2 for episode in alone
    ]
    assert play_episodes([Walk() for _ in range(n_envs)], actor, seeds, success) == alone


def test_the_question_says_what_begins_and_what_is_valid():
    policy = Counting()
    play_episodes([Walk(), Walk()], GreedyActor(policy), [1, 2])
    assert [bool(asked.begins.any()) for asked in policy.asked] == [
        True,
        *[False] * (len(policy.asked) - 1),
    ]
    assert all(len(asked.begins) == BATCH_SIZE and asked.valid is None for asked in policy.asked)

    masks = []

    def first_valid(asked: PolicyInput) -> PolicyOutput:
        masks.append(asked.valid)
        assert asked.valid is not None
        return PolicyOutput(asked.valid.argmax(1))

    play_episodes([Lanes()], GreedyActor(first_valid), [1])
    assert {mask.shape for mask in masks} == {(BATCH_SIZE, 5)}


class Model:
    """As much of an SB3 algorithm as is asked."""

    action_space = spaces.Discrete(2)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.said = (observation, state, episode_start, deterministic)
        return np.zeros(len(observation)), state


class Masked(Model):
    def predict(
        self, observation, state=None, episode_start=None, deterministic=False, action_masks=None
    ):
        self.masks = action_masks
        return super().predict(observation, state, episode_start, deterministic)


def test_masks_are_handed_only_to_a_policy_that_heeds_them():
    valid = np.ones((3, 2), bool)
    asked = PolicyInput(np.zeros((3, 4)), np.array([True, False, True]), memory(1, 2, 3), valid)
    for model in (Model(), Masked()):
        answer = policy_function(model, lambda observation: observation + 7, False)(asked)  # type: ignore[arg-type]
        observation, state, starts, deterministic = model.said
        assert (observation == 7).all() and state is asked.memory and starts is asked.begins
        assert deterministic is False and answer.memory is asked.memory
    assert model.masks is valid
