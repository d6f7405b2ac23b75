"""One environment of every family: trained for a moment, evaluated and replayed."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.evaluation.evaluate import evaluate
from attention_agents.agents.replay.replay import replay
from attention_agents.agents.training.train import train
from attention_agents.envs.families import MissingExtraError
from attention_agents.envs.make import make_env
from attention_agents.recording.reader import open_recording

STEPS = 7
"""Of an episode, at most."""
OFF_POLICY = {"learning_starts": 40, "batch_size": 8, "train_freq": 8, "gradient_steps": 1}
ON_POLICY = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}

IDS = (
    *("CartPole-v1", "Acrobot-v1", "Pendulum-v1"),
    *("LunarLander-v3", "LunarLanderContinuous-v3", "CarRacing-v3"),
    *("MiniGrid-DoorKey-5x5-v0", "MinAtar/Breakout-v1", "ALE/Pong-v5", "highway-fast-v0"),
    *("HalfCheetah-v5", "FrozenLake-v1", "CliffWalking-v1", "Blackjack-v1"),
    *("attention/CueRecall-v0", "attention/Collect-v0"),
    "world_of_mine:Mine-v0",
)
ALGOS = {"Acrobot-v1": "dqn", "Pendulum-v1": "sac"}
"""All others learn with ppo."""

WORLD_OF_MINE = """
import gymnasium as gym
from gymnasium import spaces


class Mine(gym.Env):
    def __init__(self):
        ore, shaft = spaces.Box(-1, 1, (3,)), spaces.MultiDiscrete([2, 5])
        self.observation_space = spaces.Dict({"ore": ore, "shaft": shaft})
        self.action_space = spaces.MultiDiscrete([3, 2])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return self.observation_space.sample(), float(action[0]), False, False, {}


gym.register("Mine-v0", Mine)
"""


@pytest.fixture(scope="module", autouse=True)
def world_of_mine(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("module")
    (folder / "world_of_mine.py").write_text(WORLD_OF_MINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        importlib.invalidate_caches()
        yield


def trained(env_id: str, algo: str, log_folder: Path) -> Path:
    return train(
        TrainConfig(
            env=env_id,
            algo=algo,
            n_timesteps=64,
            seed=1,
            n_envs=1,
            log_folder=str(log_folder),
            device="cpu",
            layers=1,
            heads=2,
            encoder="pooled",
            width=8,
            eval_freq=0,
            save_freq=0,
            max_episode_steps=STEPS,
            hyperparams={"net_arch": [7], **(ON_POLICY if algo == "ppo" else OFF_POLICY)},
            progress=False,
        )
    )


@pytest.mark.parametrize("env_id", IDS)
def test_it_trains_and_is_evaluated_and_replayed(env_id: str, tmp_path: Path) -> None:
    try:
        make_env(env_id).close()
    except MissingExtraError as error:
        pytest.skip(str(error))
    algo = ALGOS.get(env_id, "ppo")
    run = trained(env_id, algo, tmp_path)

    report = evaluate(run, env=env_id, episodes=2, seed=5, device="cpu")
    assert (report.env, report.algo, report.checkpoint) == (env_id, algo, "final")
    assert (report.trained_steps, report.max_episode_steps) == (64, STEPS)
    assert report.random is not None
    for episode in (*report.agent.episodes, *report.random.episodes):
        assert 1 <= episode.length <= STEPS
        assert np.isfinite(episode.episode_return)

    replayed = replay(run, env=env_id, episodes=1, seed=6, device="cpu")
    (episode,) = open_recording(replayed.recording).episodes
    played = report.agent.episodes[1]
    assert (episode.seed, len(episode)) == (6, played.length)
    assert float(episode.rewards.sum()) == pytest.approx(played.episode_return)
    for step in episode:
        for weights in step.maps.values():
            np.testing.assert_allclose(weights.sum(-1), 1, atol=0.05)
    (drawn,) = replayed.episodes
    for file in (*drawn.files, *replayed.files):
        assert file.stat().st_size > 0


def test_a_module_is_imported_only_when_the_caller_names_it(tmp_path: Path) -> None:
    run = trained("world_of_mine:Mine-v0", "ppo", tmp_path)
    for verb in (evaluate, replay):
        with pytest.raises(ValueError, match=r"add --env world_of_mine:Mine-v0$"):
            verb(run, episodes=1)
    assert not (run / "recordings").exists()
