"""Episodes side by side: the seed decides, not the company."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from attention_agents.agents.rollouts.episodes import (
    BATCH_SIZE,
    Actor,
    EnvState,
    GreedyActor,
    Observation,
    PlayedEpisode,
    RandomActor,
    SamplingActor,
    play_episodes,
    stack_observations,
)
from attention_agents.agents.rollouts.policy_calls import PolicyInput, PolicyOutput


class Walk(gym.Env):
    """A walk whose start and length come from the seed; a step to the right pays 1."""

    observation_space = spaces.Dict(
        {"place": spaces.Box(-50, 50, (3,)), "side": spaces.Discrete(2)}
    )
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(3, 12))
        self.place = self.np_random.normal(size=3).astype(np.float32)
        return self._observe(), {}

    def step(self, action: Any):
        self.left -= 1
        self.place = self.place + np.float32(0.37 if action else -0.61)
        done = self.left == 0
        info = {"is_success": bool(self.place[0] > 0)} if done else {}
        return self._observe(), float(action), done, False, info

    def _observe(self) -> Observation:
        return {"place": self.place, "side": np.int64(self.place[1] > 0)}  # type: ignore[dict-item]


torch.manual_seed(3)
NETWORK = torch.nn.Sequential(torch.nn.Linear(4, 29), torch.nn.Tanh(), torch.nn.Linear(29, 2))


def logits(observation: Observation) -> torch.Tensor:
    assert isinstance(observation, dict)
    columns = np.column_stack([observation["place"], observation["side"]])
    with torch.no_grad():
        return NETWORK(torch.as_tensor(columns, dtype=torch.float32))


def greedy(asked: PolicyInput) -> PolicyOutput:
    return PolicyOutput(logits(asked.observation).argmax(1).numpy())


def sampled(asked: PolicyInput) -> PolicyOutput:
    return PolicyOutput(
        torch.distributions.Categorical(logits=logits(asked.observation)).sample().numpy()
    )


def success(info: dict[str, Any], score: float) -> bool | None:
    return info["is_success"]


ACTORS = {
    "greedy": lambda: GreedyActor(greedy),
    "sampling": lambda: SamplingActor(sampled),
    "random": lambda: RandomActor(Walk.action_space),
}


@pytest.mark.parametrize("kind", ACTORS)
@pytest.mark.parametrize("n_envs", [2, 5, 11, 40])
def test_an_episode_does_not_depend_on_how_many_run_beside_it(kind: str, n_envs: int) -> None:
    seeds = range(100, 123)

    def played(count: int) -> list[PlayedEpisode]:
        return play_episodes([Walk() for _ in range(count)], ACTORS[kind](), seeds, success)

    alone = played(1)
    assert [episode.seed for episode in alone] == list(seeds)
    assert len({episode.length for episode in alone}) > 3
    assert played(n_envs) == alone


@pytest.mark.parametrize("kind", ACTORS)
def test_an_episode_does_not_depend_on_those_before_it(kind: str) -> None:
    actor = ACTORS[kind]()
    many = play_episodes([Walk()], actor, range(7), success)
    one = play_episodes([Walk()], ACTORS[kind](), [5], success)
    assert many[5] == one[0]
    assert play_episodes([Walk()], actor, [5], success) == one, "the actor goes on where it stopped"


@pytest.mark.parametrize("kind", ["sampling", "random"])
def test_playing_leaves_the_global_random_streams_alone(kind: str) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    play_episodes([Walk(), Walk()], ACTORS[kind](), range(5), success)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_episodes_are_counted_by_hand() -> None:
    class Right:
        def act(self, env_states: Sequence[EnvState]) -> list[int]:
            return [1] * len(env_states)

    actor: Actor = Right()
    ended: list[PlayedEpisode] = []
    episodes = play_episodes([Walk(), Walk()], actor, [4, 9, 2], success, ended.append)
    for episode in episodes:
        rng = np.random.Generator(np.random.PCG64(episode.seed))
        length = int(rng.integers(3, 12))
        start = rng.normal(size=3).astype(np.float32)[0]
        assert episode[1:] == (float(length), length, bool(start + 0.37 * length > 0))
    assert sorted(ended) == sorted(episodes)


def test_the_policy_always_answers_batches_of_one_size() -> None:
    sizes = []

    def policy(asked: PolicyInput) -> PolicyOutput:
        assert isinstance(asked.observation, dict)
        sizes.append(len(asked.observation["place"]))
        return greedy(asked)

    play_episodes(
        [Walk() for _ in range(BATCH_SIZE + 3)], GreedyActor(policy), range(BATCH_SIZE + 5), success
    )
    assert set(sizes) == {BATCH_SIZE}


def test_observations_are_joined_key_by_key() -> None:
    batch = stack_observations(
        [{"a": np.zeros(3), "b": np.int64(5)}, {"a": np.ones(3), "b": np.int64(7)}]
    )  # type: ignore[list-item]
    assert isinstance(batch, dict)
    assert batch["a"].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert batch["b"].tolist() == [5, 7]
    assert np.shape(stack_observations([np.zeros((2, 3)), np.zeros((5, 3))], np.concatenate)) == (
        7,
        3,
    )


class Coin(gym.Env):
    """A step pays 1 where the action names the coin that is thrown next; chance is one half."""

    observation_space = spaces.Box(0, 1, (1,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.left = 50
        return np.zeros(1, np.float32), {}

    def step(self, action: Any):
        self.left -= 1
        hit = int(self.np_random.integers(2)) == action
        return np.zeros(1, np.float32), float(hit), self.left == 0, False, {}


def test_random_actions_do_not_replay_the_dice_of_the_environment() -> None:
    episodes = play_episodes([Coin()], RandomActor(Coin.action_space), range(40))
    mean = np.mean([episode.episode_return for episode in episodes])
    assert 22 < mean < 28  # 25 by chance, give or take five standard deviations
