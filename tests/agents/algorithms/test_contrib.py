"""Every algorithm of sb3-contrib: trained, evaluated, replayed, and refused where it cannot be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attention_agents.agents.algorithms.classes import algorithm_class
from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.evaluation.evaluate import evaluate
from attention_agents.agents.rollouts.policy_calls import PolicyInput
from attention_agents.agents.runs.checkpoint import load_checkpoint
from attention_agents.agents.runs.record_run import record_run
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.callbacks.evaluation import read_rows
from attention_agents.agents.training.train import train
from attention_agents.envs.families import MissingExtraError
from attention_agents.envs.make import make_env
from attention_agents.policies.inspect.attention_modules import attention_extractors
from attention_agents.recording.reader import open_recording

LANES = "tests.agents.worlds:Lanes-v0"
ROLLOUTS = {"n_steps": 16, "batch_size": 16}
BUFFER = {"learning_starts": 16, "batch_size": 8, "buffer_size": 64}
BUFFER |= {"train_freq": 4, "gradient_steps": 2}
RUNS: dict[str, dict[str, Any]] = {
    "qrdqn": {"env": "CartPole-v1", "hyperparams": BUFFER | {"n_quantiles": 11}},
    "trpo": {"env": "CartPole-v1", "hyperparams": ROLLOUTS | {"n_critic_updates": 2}},
    "ppo_mask": {"env": LANES, "hyperparams": ROLLOUTS | {"n_epochs": 2}},
    "ppo_lstm": {"env": "CartPole-v1", "hyperparams": ROLLOUTS | {"lstm_hidden_size": 5}},
    "tqc": {"env": "Pendulum-v1", "max_episode_steps": 9, "hyperparams": BUFFER},
    "crossq": {"env": "Pendulum-v1", "max_episode_steps": 9, "hyperparams": BUFFER},
}
ROLES = {
    "qrdqn": {"online"},
    "trpo": {"actor"},
    "ppo_mask": {"actor"},
    "ppo_lstm": {"actor"},
    "tqc": {"actor", "critic"},
    "crossq": {"actor", "critic"},
}


def asked(algo: str, folder: Path, **changes: Any) -> TrainConfig:
    small = {"layers": 2, "heads": 3, "width": 12, "n_envs": 2, "device": "cpu", "progress": False}
    small |= {"encoder": "pooled"}
    values = {"algo": algo, "n_timesteps": 96, "seed": 1, "eval_freq": 48, "save_freq": 0}
    values |= {"eval_episodes": 2, "log_folder": str(folder), **small, **RUNS[algo], **changes}
    values["hyperparams"] = {"net_arch": [7], **values["hyperparams"]}
    return TrainConfig(**values)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunFolder]:
    folder = tmp_path_factory.mktemp("runs")
    return cache(lambda algo: RunFolder.open(train(asked(algo, folder))))


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest, trained: Callable[[str], RunFolder]) -> RunFolder:
    return trained(request.param)


def test_all_of_them_are_tried_here():
    assert set(RUNS) == {each.name for each in ALGORITHMS.values() if each.contrib}


def test_it_trains_and_is_evaluated_while_it_does(run):
    config = run.config()
    rows = read_rows(run.evaluations_file)
    assert [row.step for row in rows] == [48, 96]
    model = load_checkpoint(run.final).model
    assert type(model) is algorithm_class(config.algo)
    assert model.num_timesteps == 96 and model._n_updates > 0
    assert all(bool(torch.isfinite(each).all()) for each in model.policy.parameters())


def test_its_encoders_are_found_with_their_roles(run):
    policy = load_checkpoint(run.final).model.policy
    assert set(attention_extractors(policy)) == ROLES[run.config().algo]


@pytest.mark.parametrize("stochastic", [False, True])
def test_an_episode_is_the_same_bit_for_bit_whatever_runs_beside_it(run, stochastic):
    def episodes(count: int, seed: int, n_envs: int):
        options = dict(n_envs=n_envs, stochastic=stochastic, device="cpu", env=run.config().env)
        report = evaluate(run.path, episodes=count, seed=seed, **options)
        assert report.random is not None
        return report.agent.episodes, report.random.episodes

    agent, chance = episodes(7, 50, 1)
    assert episodes(7, 50, 3) == (agent, chance)
    assert episodes(3, 52, 2) == (agent[2:5], chance[2:5])


@pytest.mark.parametrize("stochastic", [False, True])
def test_a_replay_shows_the_episodes_of_the_evaluation(run, stochastic, tmp_path):
    options = dict(episodes=2, seed=20, stochastic=stochastic, env=run.config().env, device="cpu")
    folder = record_run(run.path, out=tmp_path / "seen", **options)
    report = evaluate(run.path, random_policy=False, **options)
    recording = open_recording(folder)
    played = [(e.seed, len(e), sum(step.reward for step in e)) for e in recording.episodes]
    assert played == [(e.seed, e.length, e.episode_return) for e in report.agent.episodes]
    explores = stochastic and run.config().algo == "qrdqn"  # now and then without its network
    for episode in recording.episodes:
        asked = [step for step in episode if step.attended]
        assert len(asked) >= len(episode) * (0.5 if explores else 1)
        for step in asked:
            assert np.isfinite(step.value)
            assert step.distribution is not None and np.isfinite(step.distribution).all()


def test_a_policy_with_memory_is_asked_with_what_it_remembers(trained):
    loaded = load_checkpoint(trained("ppo_lstm").final, "cpu")
    env = make_env("CartPole-v1")
    obs, _ = env.reset(seed=3)
    first = loaded.compute_actions(PolicyInput(obs[None], np.ones(1, bool)))
    assert first.memory is not None
    assert [part.shape for part in first.memory] == [(1, 1, 5)] * 2
    second = loaded.compute_actions(PolicyInput(obs[None], np.zeros(1, bool), first.memory))
    again = loaded.compute_actions(PolicyInput(obs[None], np.ones(1, bool), first.memory))
    assert not np.array_equal(second.memory, first.memory)
    assert np.array_equal(again.memory, first.memory)


@pytest.mark.parametrize(("kind", "vec_env"), [("multi", "dummy"), ("bits", "subproc")])
def test_masks_of_actions_with_parts(kind, vec_env, tmp_path):
    changes = {"env_kwargs": {"actions": kind}, "vec_env": vec_env, "normalize": True}
    run = RunFolder.open(train(asked("ppo_mask", tmp_path, **changes)))
    report = evaluate(run.path, env=LANES, episodes=5, seed=3, device="cpu")
    assert report.random is not None  # neither has taken an action that is not valid
    folder = record_run(run.path, env=LANES, episodes=2, seed=3, device="cpu")
    played = [len(episode) for episode in open_recording(folder).episodes]
    assert played == [episode.length for episode in report.agent.episodes[:2]]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"algo": "ppo_mask", "env": "CartPole-v1"},
            r"ppo_mask needs an environment with action_masks\(\), which CartPole-v1 has not; "
            "use --algo ppo$",
        ),
        (
            {"algo": "ppo_mask", "env": "tests.agents.worlds:Short-v0"},
            "must give 5 booleans, one per choice of",
        ),
        (
            {"algo": "qrdqn", "env": "Pendulum-v1"},
            r"qrdqn cannot act in Box.* of Pendulum-v1; use --algo ppo or a2c or sac or td3 or "
            "trpo or ppo_lstm or tqc or crossq$",
        ),
        (
            {"algo": "crossq", "env": "CartPole-v1"},
            r"crossq cannot act in Discrete\(2\) of CartPole-v1; use --algo ppo or a2c or dqn or "
            "qrdqn or trpo or ppo_lstm$",
        ),
        (
            {"algo": "tqc", "env": LANES},
            r"tqc cannot act in Discrete\(5\) of .*; use --algo .* or ppo_mask or ",
        ),
        (
            {"algo": "crossq", "env": "parking-v0"},
            "crossq cannot read Dict observations, which parking-v0 has; use --algo sac or tqc",
        ),
        (
            {"hyperparams": {"n_critic_update": 3}},
            "unknown argument of trpo 'n_critic_update'; did you mean 'n_critic_updates'",
        ),
        (
            {"hyperparams": {"n_critic_updates": 0}},
            "n_critic_updates must be at least 1, got 0",
        ),
        (
            {"hyperparams": {"lstm_hidden_size": 7}},
            "lstm_hidden_size is for ppo_lstm, got algo=trpo",
        ),
        (
            {"algo": "ppo_lstm", "hyperparams": {"lstm_hidden_size": 0}},
            "lstm_hidden_size must be a whole number of at least 1, got 0",
        ),
        (
            {"algo": "ppo_lstm", "hyperparams": {"n_steps": 16, "batch_size": 31}},
            r"ppo_lstm needs batches of at least 2, and n_envs \* n_steps = 32 in batches of 31 "
            "leaves one of 1; use another batch_size",
        ),
        (
            {"algo": "tqc", "hyperparams": {"top_quantiles_to_drop_per_net": 25}},
            "top_quantiles_to_drop_per_net must be at least 0 and below n_quantiles=25, got 25",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_and_leaves_no_folder(changes, text, tmp_path):
    algo = changes.pop("algo", "trpo")
    if changes.get("env") == "parking-v0":
        pytest.importorskip("highway_env")
    with pytest.raises(ValueError, match=text):
        train(asked(algo, tmp_path / "runs", **changes))
    assert not (tmp_path / "runs").exists()


INSTALL = r'needs sb3-contrib, which cannot be imported .*pip install "attention-agents\[contrib\]"'


@pytest.mark.parametrize("algo", RUNS)
def test_without_sb3_contrib_the_install_line_is_told(algo, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(MissingExtraError, match=f"{algo} {INSTALL}"):
        train(asked(algo, tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_without_sb3_contrib_its_checkpoints_say_so_and_ppo_trains(trained, tmp_path, monkeypatch):
    folder = trained("qrdqn").final
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(MissingExtraError, match=INSTALL):
        load_checkpoint(folder)
    train(
        TrainConfig(
            env="CartPole-v1",
            n_timesteps=16,
            log_folder=str(tmp_path),
            device="cpu",
            encoder="pooled",
            width=8,
            eval_freq=0,
            save_freq=0,
            progress=False,
        )
    )
