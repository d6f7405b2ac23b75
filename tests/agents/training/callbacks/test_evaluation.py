"""How much a run evaluates itself: at most about its share of the steps trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from attention_agents.agents.config.run_config import RunConfig, TrainConfig
from attention_agents.agents.rollouts.episodes import PlayedEpisode
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.callbacks.evaluation import EvaluationCallback, read_rows
from attention_agents.agents.training.train import train


class Logger:
    def record(self, *_: object) -> None:
        pass


class Model:
    logger = Logger()


def evaluated(monkeypatch, tmp_path: Path, length: int, share: float | None) -> list[int]:
    """Return when a run of 1000 steps is evaluated, whose episodes have that length."""
    episodes = [PlayedEpisode(seed, 0.0, length, None) for seed in range(3)]
    name = "attention_agents.agents.training.callbacks.evaluation"
    monkeypatch.setattr(f"{name}.play_episodes", lambda *_: episodes)
    monkeypatch.setattr(f"{name}.greedy_actor", lambda model: None)
    monkeypatch.setattr(f"{name}.save_checkpoint", lambda *_: None)
    config = RunConfig(
        "CartPole-v1", "ppo", 1000, 1, 1, eval_freq=50, eval_episodes=3, eval_share=share
    )
    callback = EvaluationCallback(config, RunFolder(tmp_path))
    callback.model = Model()  # type: ignore[assignment]
    for callback.num_timesteps in range(50, 1001, 50):
        callback.on_interval()
    return [row.step for row in read_rows(tmp_path / "evaluations.csv")]


def test_without_a_share_every_one_takes_place(monkeypatch, tmp_path):
    assert evaluated(monkeypatch, tmp_path, 1000, None) == list(range(50, 1001, 50))


def test_short_episodes_are_all_affordable(monkeypatch, tmp_path):
    assert evaluated(monkeypatch, tmp_path, 3, 0.2) == list(range(50, 1001, 50))


def test_long_ones_wait_until_those_before_are_a_fifth_of_the_steps(monkeypatch, tmp_path):
    # each takes 60 steps: 60 are a fifth of 300, 120 of 600, 180 of 900; the last is never left out
    assert evaluated(monkeypatch, tmp_path, 20, 0.2) == [50, 300, 600, 900, 1000]


def test_however_long_they_are_the_last_policy_is_judged(monkeypatch, tmp_path):
    assert evaluated(monkeypatch, tmp_path, 5000, 0.2) == [50, 1000]


@pytest.mark.parametrize(("asked", "steps"), [(None, [100, 200, 400]), (100, [100, 200, 300, 400])])
def test_only_a_frequency_that_nobody_asked_for_is_stretched(asked, steps, tmp_path, monkeypatch):
    monkeypatch.setattr("attention_agents.agents.config.presets.LEAST_FREQUENCY", 100)
    run = RunFolder.open(
        train(
            TrainConfig(
                env="Pendulum-v1",
                algo="a2c",
                n_timesteps=400,
                n_envs=5,
                eval_freq=asked,
                max_episode_steps=40,
                eval_episodes=1,
                save_freq=0,
                encoder="pooled",
                width=4,
                heads=1,
                layers=1,
                device="cpu",
                log_folder=str(tmp_path),
                progress=False,
                hyperparams={"n_steps": 20, "net_arch": [3]},
            )
        )
    )
    assert run.config().eval_share == (0.2 if asked is None else None)
    rows = read_rows(run.evaluations_file)
    assert all(row.mean_length == 40 for row in rows)
    assert [row.step for row in rows] == steps


@pytest.mark.parametrize(
    ("returns", "saved"), [([1.0, 1.0, 0.5, 1.0], [100, 200, 400]), ([2.0, 1.0], [100])]
)
def test_of_equals_the_later_one_is_best(returns, saved, monkeypatch, tmp_path):
    module = "attention_agents.agents.training.callbacks.evaluation"
    left, steps = list(returns), []
    monkeypatch.setattr(
        f"{module}.play_episodes", lambda *_: [PlayedEpisode(7, left.pop(0), 3, None)]
    )
    monkeypatch.setattr(f"{module}.greedy_actor", lambda model: None)
    config = RunConfig("CartPole-v1", "ppo", 1000, 1, 1, eval_freq=100, eval_episodes=1)
    callback = EvaluationCallback(config, RunFolder(tmp_path))
    monkeypatch.setattr(
        f"{module}.save_checkpoint", lambda *_: steps.append(callback.num_timesteps)
    )
    callback.model = Model()  # type: ignore[assignment]
    for callback.num_timesteps in range(100, 100 * len(returns) + 1, 100):
        callback.on_interval()
    assert steps == saved
