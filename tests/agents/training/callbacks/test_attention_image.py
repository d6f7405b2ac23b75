"""The picture for TensorBoard: of any environment, and never in the way of a training."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.callbacks import attention_image
from attention_agents.agents.training.train import train


def trained(folder: Path, env: str, eval_freq: int = 32) -> RunFolder:
    return RunFolder.open(
        train(
            TrainConfig(
                env=env,
                algo="ppo",
                n_timesteps=64,
                log_folder=str(folder),
                device="cpu",
                layers=1,
                encoder="pooled",
                width=8,
                heads=2,
                n_envs=1,
                eval_freq=eval_freq,
                eval_episodes=1,
                save_freq=0,
                max_episode_steps=20,
                hyperparams={"n_steps": 32, "batch_size": 32, "n_epochs": 1, "net_arch": [7]},
                progress=False,
            )
        )
    )


def pictures(run: RunFolder) -> int:
    events = EventAccumulator(str(run.logs))
    events.Reload()
    tags = events.Tags()["images"]
    return len(events.Images("attention/picture")) if "attention/picture" in tags else 0


@pytest.mark.parametrize("env", ["FrozenLake-v1", "CliffWalking-v1"])
def test_an_environment_that_counts_its_states_is_pictured(env: str, tmp_path: Path) -> None:
    assert pictures(trained(tmp_path, env)) > 0


def test_without_pygame_the_observation_is_pictured(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    assert pictures(trained(tmp_path, "CartPole-v1")) > 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("no frames of CartPole-v1, its observations are drawn instead: ")
    assert line.endswith('pip install "attention-agents[classic]"')


def test_a_picture_that_fails_ends_no_training(tmp_path: Path, monkeypatch, capsys) -> None:
    calls = []

    def broken(*args, **options):
        calls.append(args)
        raise OSError("no space left")

    monkeypatch.setattr(attention_image, "compose", broken)
    run = trained(tmp_path, "CartPole-v1")
    assert run.final.is_dir()
    assert pictures(run) == 0
    assert len(calls) == 1
    assert capsys.readouterr().err == "no pictures of the attention in TensorBoard: no space left\n"


def test_a_run_without_evaluations_plays_nothing_for_pictures(tmp_path: Path) -> None:
    assert pictures(trained(tmp_path, "CartPole-v1", eval_freq=0)) == 0
