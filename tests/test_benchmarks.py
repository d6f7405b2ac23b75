"""The parts of the benchmarks: the control network is a fair one, the table says what was seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.build import build_model, make_vec_env
from agents.config import TrainConfig
from agents.presets import settle
from agents.statistics import interval
from benchmarks.learning import append, read, seeds_interval, table
from benchmarks.rows import ROWS
from benchmarks.small_cnn import SmallCNN, build_control, parameters
from envs.families import family_of


@pytest.mark.parametrize("env_id", ["MinAtar/Breakout-v1", "MinAtar/Seaquest-v1"])
def test_the_control_differs_in_its_network_alone(env_id: str) -> None:
    config = settle(TrainConfig(env=env_id, n_envs=2, device="cpu"), family_of(env_id))
    env = make_vec_env(config)
    attention, control = build_model(config, env), build_control(config, env)
    assert isinstance(control.policy.features_extractor, SmallCNN)
    assert parameters(control) == pytest.approx(parameters(attention), rel=0.03)
    for name in ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "ent_coef", "seed"):
        assert getattr(control, name) == getattr(attention, name), name
    for name in ("learning_rate", "clip_range"):
        ours, theirs = (getattr(model, name) for model in (attention, control))
        assert (ours(0.3) if callable(ours) else ours) == (
            theirs(0.3) if callable(theirs) else theirs
        )
    assert control.policy.net_arch == attention.policy.net_arch
    assert control.policy.optimizer.defaults["eps"] == attention.policy.optimizer.defaults["eps"]
    env.close()


def line(row: str, seed: int, returns: list[float], **more: Any) -> dict[str, Any]:
    figures = {"mean": float(np.mean(returns)), "returns": returns}
    return {
        "row": row,
        "seed": seed,
        "n_timesteps": 1000,
        "parameters": 53,
        "train_seconds": 20.0,
        "evaluations": dict.fromkeys(ROWS[row].checkpoints, figures),
        "command": f"python benchmarks/learning.py --row {row} --seed {seed}",
        "machine": {"cpu": "abacus", "cores": 2},
        **more,
    }


def test_the_table_is_made_from_the_latest_lines(tmp_path: Path) -> None:
    path = tmp_path / "results" / "learning.jsonl"
    for one in (
        line("cartpole-ppo", 0, [1.0, 3.0]),
        line("cartpole-ppo", 1, [470.0, 480.0], train_seconds=60.0),
        line("cartpole-ppo", 0, [480.0, 500.0]),
        line("breakout-cnn", 0, [7.0]),
    ):
        append(path, one)
    assert len(path.read_text().splitlines()) == 4
    lines = table(read(path)).splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[:4] == ["cartpole-ppo", "CartPole-v1", "ppo, attention", "1,000"]
    assert cells[4:10] == ["0 1", "53", "0.7", "25", "best", "490.0 475.0"]
    assert cells[10].startswith("482.5 (")
    assert cells[12:] == [">= 475", "yes"]
    assert [text.split("|")[1].strip() for text in lines[2:5]] == [
        "cartpole-ppo",
        "cartpole-ppo",
        "breakout-cnn",
    ]
    assert "    python benchmarks/learning.py --row breakout-cnn --seed 0" in lines
    assert lines[-1] == "Machine: abacus, 2 cores"


def test_a_row_below_its_bar_says_so() -> None:
    cells = table([line("cartpole-ppo", 0, [474.0])]).splitlines()[2].split("|")
    assert cells[-2].strip() == "no"


def test_no_results_yet(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no results"):
        read(tmp_path / "none.jsonl")


def test_the_interval_counts_what_varies_between_seeds() -> None:
    rng = np.random.default_rng(3)
    apart = [rng.normal(mean, 1.0, 50) for mean in (0.0, 10.0, 20.0)]
    low, high = seeds_interval(apart, resamples=2000)
    assert low < 3
    assert high > 17
    one = np.arange(7.0)
    assert seeds_interval([one], resamples=500) == interval(one, resamples=500)


def test_every_result_is_a_line_of_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "learning.jsonl"
    append(path, line("doorkey-ppo", 2, [0.5]))
    assert json.loads(path.read_text())["row"] == "doorkey-ppo"
    with pytest.raises(ValueError, match="not JSON compliant"):
        append(path, line("doorkey-ppo", 2, [float("nan")]))
    assert len(path.read_text().splitlines()) == 1
