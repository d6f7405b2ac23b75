"""Comparing encoders: both sides are SB3 with the same settings; a run is made once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor

from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.policies.sb3.gated_extractor import GatedExtractor
from benchmarks.compare import CompareConfig, main, planned, read_results, seed_range
from benchmarks.compared_tasks import TASKS, find_task
from benchmarks.comparison import comparisons, report
from benchmarks.encoders import encoder_kwargs
from benchmarks.learning_curves import return_at, seconds_to
from benchmarks.training_run import build, make_envs, settings, train_run, write_result


def made(encoder: str, seed: int, other: dict[str, Any]) -> dict[str, Any]:
    """Return a result as `train_run` returns it."""
    return {
        **settings("cartpole", TASKS["cartpole"], encoder, seed, 300),
        "mean": float(seed),
        "returns": [float(seed)],
        "parameters": 53,
        "train_steps": 300,
        "cpu_seconds": 2.0,
        "wall_seconds": 3.0,
        "curve": [{"steps": 300, "cpu_seconds": 2.0, "return": 1.0, "episodes": 1}],
        "commit": "abc",
        "cpu": "abacus",
        "versions": {},
        **other,
    }


def describe(model: BaseAlgorithm) -> str:
    """Return the network and the sizes of all that a model learns."""
    return f"{model.policy}"


@pytest.mark.parametrize("name", TASKS)
def test_every_task_builds_every_encoder_with_the_same_settings(name: str) -> None:
    task = TASKS[name]
    env = make_envs(task, seed=0, n_envs=2)
    models = [build(task, encoder, env, seed=0) for encoder in task.encoders]
    assert len({describe(model) for model in models}) == len(models)
    for key in ("gamma", "n_steps", "batch_size", "n_epochs", "ent_coef", "learning_starts"):
        assert len({getattr(model, key, None) for model in models}) == 1, key
    assert task.algo in ALGORITHMS
    env.close()


def test_stock_is_what_sb3_makes_of_no_word_at_all() -> None:
    env = make_envs(TASKS["cartpole"], seed=0, n_envs=1)
    model = build(TASKS["cartpole"], "stock", env, seed=0)
    assert type(model.policy.features_extractor) is FlattenExtractor
    gate = build(TASKS["cartpole"], "gate:floor=0.5", env, seed=0)
    assert isinstance(gate.policy.features_extractor, GatedExtractor)
    assert gate.policy.features_extractor.gate.config.floor == 0.5


def test_a_gate_takes_words_of_the_catalogue_and_blocks() -> None:
    env = make_envs(TASKS["cartpole"], seed=0, n_envs=1)
    words = "gate:heads=2:normalizer=sparsemax:layers=3:width=16:block=gtrxl:sparsity=0.01"
    extractor = build(TASKS["cartpole"], words, env, seed=0).policy.features_extractor
    assert extractor.layers == 3
    gate = extractor.gate.gate
    assert (gate.config.heads, gate.config.sparsity) == (2, 0.01)
    assert gate.weighting.weighting.config.normalizer == "sparsemax"


def test_the_ungated_network_is_the_gated_one_at_its_start() -> None:
    task = TASKS["doorkey"]
    env = make_envs(task, seed=0, n_envs=2)
    obs = env.reset()
    gate, ungated = (build(task, name, env, seed=0).policy for name in ("gate", "ungated"))
    names = [name for name, _ in ungated.named_parameters()]
    assert not [name for name in names if "gate" in name]
    logits = [
        p.get_distribution(p.obs_to_tensor(obs)[0]).distribution.logits for p in (gate, ungated)
    ]
    torch.testing.assert_close(*logits, atol=1e-6, rtol=0)


def test_a_run_is_made_once_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config = CompareConfig(env="cartpole", seeds="3", n_timesteps=300, out=str(tmp_path))
    main(config)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*.json")}
    assert len(first) == 7
    page = capsys.readouterr().out
    row = next(line for line in page.splitlines() if line.startswith("| cartpole | 300 |"))
    assert row.split(" | ")[3:5] == ["gate", "3"]
    main(config)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*.json")} == first
    assert capsys.readouterr().out == page
    (comparison,) = comparisons(read_results(tmp_path))
    assert comparison.baseline.name == "stock"
    main(replace(config, env=None, report=True))
    assert (tmp_path / "curves.png").exists() or (tmp_path / "curves.csv").exists()


def test_a_run_with_other_settings_is_not_taken_for_the_asked_one(tmp_path: Path) -> None:
    config = CompareConfig(env="cartpole", seeds="1", n_timesteps=300, out=str(tmp_path))
    main(config)
    path = tmp_path / "cartpole" / "gate-300-0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_envs": 3}))
    with pytest.raises(ValueError, match="made with another n_envs; choose another --out"):
        main(config)


def test_the_same_seed_gives_the_same_run() -> None:
    runs = [train_run("cartpole", TASKS["cartpole"], "gate", 3, 300) for _ in range(2)]
    assert runs[0]["returns"] == runs[1]["returns"]
    assert [p["return"] for p in runs[0]["curve"]] == [p["return"] for p in runs[1]["curve"]]


def test_a_curve_is_read_by_time() -> None:
    run: dict[str, Any] = {
        "curve": [
            {"steps": 10 * i, "cpu_seconds": float(i), "return": 10.0 * i, "episodes": 1}
            for i in range(1, 6)
        ]
    }
    assert return_at(run, 3.5) == 20.0
    assert return_at(run, 0.5) == 10.0
    assert seconds_to(run, 35.0) == 5.0
    assert seconds_to(run, 50.0) is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "name tasks"),
        ({"env": "CartPole-v1", "algo": "nope"}, "unknown algorithm 'nope'"),
        ({"env": "cartpole", "algo": "dqn"}, "is of ppo"),
        ({"env": "cartpole", "encoders": "gat"}, "unknown encoder 'gat'"),
        ({"env": "cartpole", "encoders": "gate:floor=2.5"}, "below 1"),
        ({"env": "cartpole", "encoders": "gate:flor=1"}, "unknown gate setting 'flor'"),
        ({"env": "cartpole", "encoders": "stock:floor=1"}, "has no settings"),
        ({"env": "cartpole", "seeds": "x"}, "--seeds is a number"),
        ({"env": "cartpole", "jobs": 0}, "--jobs must be at least 1"),
    ],
)
def test_what_cannot_be_compared(tmp_path: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        main(CompareConfig(**asked, out=str(tmp_path)))


def test_runs_with_different_settings_have_no_verdict(tmp_path: Path) -> None:
    for encoder in ("gate", "stock"):
        for seed in range(3):
            other = {"n_envs": 8 if encoder == "gate" else 4}
            write_result(
                tmp_path / "cartpole" / f"{encoder}-{seed}.json", made(encoder, seed, other)
            )
    write_result(tmp_path / "cartpole" / "random.json", made("random", 0, {}))
    page = report(read_results(tmp_path), None)
    row = next(line for line in page.splitlines() if "| stock |" in line)
    assert row.endswith("| settings differ |")


def test_a_panel_goes_seed_by_seed() -> None:
    runs = planned(CompareConfig(panel=True, seeds="2"), ["cartpole", "acrobot"])
    assert [(run.name, run.encoder, run.seed) for run in runs] == [
        ("cartpole", "random", 0),
        ("acrobot", "random", 0),
        *(
            (name, encoder, seed)
            for seed in (0, 1)
            for name in ("cartpole", "acrobot")
            for encoder in ("gate", "stock")
        ),
    ]


def test_seeds() -> None:
    assert list(seed_range("3-4")) == [3, 4]
    assert list(seed_range("2")) == [0, 1]


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no finished runs"):
        report(read_results(tmp_path), None)


def test_other_environments_have_sb3s_defaults() -> None:
    task = find_task("MountainCar-v0", "a2c")
    assert (task.algo, task.hyperparameters) == ("a2c", {})
    assert encoder_kwargs("stock", "a2c", task.make().observation_space) == {}
