"""The parts of the benchmarks: the control network is a fair one, the table says what was seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_agents.agents.algorithms.build import build_model, make_vec_env
from attention_agents.agents.config.presets import resolve_config
from attention_agents.agents.config.run_config import RunConfig, TrainConfig
from attention_agents.agents.evaluation.statistics import bootstrap_interval
from attention_agents.envs.families import family_name
from benchmarks.learning import append, evaluate_model, read
from benchmarks.rows import ROWS
from benchmarks.small_cnn import SmallCNN, build_control, parameters
from benchmarks.table import bootstrap_means, difference_interval, seeds_interval, table


@pytest.mark.parametrize("env_id", ["MinAtar/Breakout-v1", "MinAtar/Seaquest-v1"])
def test_the_control_differs_in_its_network_alone(env_id: str) -> None:
    config = resolve_config(TrainConfig(env=env_id, n_envs=2, device="cpu"), family_name(env_id))
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


CONFIG = RunConfig("Some-v0", "ppo", 1000, 0, 2)


def line(row: str, seed: int, returns: list[float], **more: Any) -> dict[str, Any]:
    figures = {"mean": float(np.mean(returns)), "returns": returns}
    return {
        "row": row,
        "seed": seed,
        "n_timesteps": ROWS[row].steps,
        "parameters": 53,
        "train_seconds": 20.0,
        "evaluations": dict.fromkeys(ROWS[row].checkpoints, figures),
        "command": f"python benchmarks/learning.py --row {row} --seed {seed}",
        "config": replace(CONFIG, seed=seed).to_json(),
        "machine": {"cpu": "abacus", "cores": 2},
        "created": "2020-02-03T04:05:06+00:00",
        **more,
    }


def cells(page: str, row: str, heading: str = "## Scores") -> list[list[str]]:
    """Return what stands in the lines of a row, in the table below a heading."""
    part = page.partition(f"{heading}\n")[2].partition("\n## ")[0]
    lines = ([cell.strip() for cell in text.strip("|").split("|")] for text in part.splitlines())
    return [line for line in lines if line[0] == row]


def met(lines: list[dict[str, Any]]) -> str:
    return cells(table(lines), lines[-1]["row"])[0][8]


def three(row: str, value: float, **more: Any) -> list[dict[str, Any]]:
    return [line(row, seed, [value - 1.0, value + 1.0] * 50, **more) for seed in (0, 1, 2)]


def test_the_page_is_made_from_the_lines_and_hides_none(tmp_path: Path) -> None:
    path = tmp_path / "results" / "learning.jsonl"
    for one in (
        line("cartpole-ppo", 0, [1.0, 3.0]),
        line("cartpole-ppo", 1, [470.0, 480.0], train_seconds=60.0),
        line("cartpole-ppo", 0, [480.0, 500.0]),
        line("breakout-cnn", 0, [7.0]),
    ):
        append(path, one)
    assert len(path.read_text().splitlines()) == 4
    page = table(read(path))
    best, final = cells(page, "cartpole-ppo")
    assert best[:6] == [
        *("cartpole-ppo", "CartPole-v1", "ppo, attention", "100k", "best"),
        "0: 490.0, 1: 475.0",
    ]
    assert best[6].startswith("482.5 (")
    assert best[7:10] == ["at least 475", "incomplete: not seeds 0 1 2", "1"]
    assert final[4] == "final" and final[7:9] == ["", ""]
    assert cells(page, "cartpole-ppo", "## Cost") == [
        ["cartpole-ppo", "100k", "2", "53", "0.7", "2,500"]
    ]
    assert "- cartpole-ppo, seed 0, 100k steps, 2020-02-03 04:05: best 2.00, final 2.00" in page
    assert page.count("python benchmarks/learning.py --row cartpole-ppo --seed 0") == 1
    assert "abacus, 2 cores" in page


def test_a_bar_is_met_or_not_only_with_all_that_it_asks_for() -> None:
    good = three("cartpole-ppo", 476.0)
    assert met(good) == "yes"
    assert met(three("cartpole-ppo", 474.0)) == "no"
    assert met(good[:2]) == "incomplete: not seeds 0 1 2"
    assert met([*good, line("cartpole-ppo", 3, [500.0] * 100)]) == "incomplete: not seeds 0 1 2"
    assert met([*good[:2], line("cartpole-ppo", 2, [500.0])]) == "incomplete: not 100 episodes"
    other = replace(CONFIG, seed=2, hyperparams={"gamma": 0.9}).to_json()
    assert met([*good[:2], good[2] | {"config": other}]) == "incomplete: settings differ"
    longer = three("cartpole-ppo", 476.0, n_timesteps=200_000)
    assert met(longer) == "incomplete: not 100k steps"
    final = [one | {"evaluations": {"final": one["evaluations"]["final"]}} for one in good]
    assert [row[4] for row in cells(table(final), "cartpole-ppo")] == ["final"]


def test_a_row_is_held_against_its_control_by_the_interval_of_the_difference() -> None:
    attention, control = three("breakout-ppo", 9.0), three("breakout-cnn", 7.0)
    assert met([*control, *attention]) == "yes"
    assert met([*three("breakout-cnn", 11.0), *attention]) == "no"
    assert met(attention) == "incomplete: no breakout-cnn"
    assert met([*control[:2], *attention]) == "incomplete: not seeds 0 1 2"
    other = [one | {"config": one["config"] | {"n_envs": 3}} for one in control]
    assert met([*other, *attention]) == "incomplete: settings differ"
    assert "- breakout-ppo minus breakout-cnn, 1M steps, final: 2.00 (1.8" in table(
        [*control, *attention]
    )


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
    assert seeds_interval([one]) == pytest.approx(bootstrap_interval(one), abs=0.15)


def test_the_interval_of_a_difference_is_that_of_two_independent_means() -> None:
    rng = np.random.default_rng(3)
    left, right = rng.normal(5.0, 3.0, 400), rng.normal(1.0, 4.0, 100)
    half = 1.96 * np.hypot(3.0 / 20, 4.0 / 10)
    middle = left.mean() - right.mean()
    low, high = difference_interval([left], [right])
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.15)


def test_means_of_one_seed_and_one_episode_do_not_vary() -> None:
    means = bootstrap_means([np.array([3.0])], 11, np.random.default_rng(0))
    assert means.tolist() == [3.0] * 11


def test_every_result_is_a_line_of_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "learning.jsonl"
    append(path, line("doorkey-ppo", 2, [0.5]))
    assert json.loads(path.read_text())["row"] == "doorkey-ppo"
    with pytest.raises(ValueError, match="not JSON compliant"):
        append(path, line("doorkey-ppo", 2, [float("nan")]))
    assert len(path.read_text().splitlines()) == 1


def test_a_model_in_memory_is_evaluated_with_its_normalization() -> None:
    config = RunConfig("CartPole-v1", "ppo", 8, 0, n_envs=1, normalize_obs=True, device="cpu")
    env = make_vec_env(config)
    model, seen = build_model(config, env), []
    env.obs_rms.mean[:] = 1000.0

    class Looking:
        get_vec_normalize_env = model.get_vec_normalize_env

        def predict(self, observations: np.ndarray, deterministic: bool) -> Any:
            seen.append(observations)
            return model.predict(observations, deterministic=deterministic)

    assert len(evaluate_model(Looking(), config, episodes=2).episodes) == 2
    assert all((each == -10.0).all() for each in seen), "clipped, as in training"
    env.close()
