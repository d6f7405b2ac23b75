"""A new algorithm is one entry of the catalogue: it is trained, evaluated, recorded and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from stable_baselines3 import DQN, PPO

from attention_agents.agents.config.algorithms import ALGORITHMS, Algorithm, algorithms_with
from attention_agents.agents.config.presets import resolve_config
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.evaluation.evaluate import evaluate
from attention_agents.agents.runs.checkpoint import load_checkpoint
from attention_agents.agents.runs.record_run import record_run
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.train import train
from attention_agents.recording.reader import open_recording


class HalfStepPPO(PPO):
    """PPO that clips twice as hard."""

    def train(self) -> None:
        self.clip_range = lambda _: 0.1
        super().train()


ENTRIES = (
    Algorithm(
        "ppo_half",
        f"{__name__}:HalfStepPPO",
        actions=("Discrete", "Box"),
        options=("share_features_extractor",),
        policy_heads=("mlp", "pointer"),
        n_steps=2048,
        adam_eps=True,
        presets_of="ppo",
    ),
    Algorithm(
        "q_learning",
        "stable_baselines3:DQN",
        actions=("Discrete",),
        learning_starts=100,
        presets_of="dqn",
    ),
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_one_entry_is_enough(entry: Algorithm, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(ALGORITHMS, entry.name, entry)
    config = TrainConfig(
        env="CartPole-v1",
        algo=entry.name,
        n_timesteps=64,
        n_envs=2 if entry.n_steps else 1,
        encoder="pooled",
        width=8,
        heads=2,
        eval_episodes=2,
        device="cpu",
        log_folder=str(tmp_path),
        progress=False,
    )
    run = RunFolder.open(train(config))
    assert run.config().algo == entry.name
    assert run.path.parent.name == entry.name

    model = load_checkpoint(run.final, "cpu").model
    assert type(model) is (HalfStepPPO if entry.name == "ppo_half" else DQN)
    assert model.num_timesteps >= 64
    report = evaluate(run.path, episodes=2, device="cpu", random_policy=False)
    assert report.algo == entry.name
    assert len(report.agent.episodes) == 2
    assert len(open_recording(record_run(run.path, device="cpu")).episodes) == 1


def test_its_traits_are_in_the_words_of_the_errors(monkeypatch) -> None:
    monkeypatch.setitem(ALGORITHMS, "ppo_half", ENTRIES[0])
    assert algorithms_with("pointer")[-1] == "ppo_half"
    with pytest.raises(ValueError, match="did you mean 'ppo_half'"):
        resolve_config(TrainConfig(env="CartPole-v1", algo="ppo_hal"), "classic")
