"""The table of what runs reached says what was seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.evaluation.statistics import bootstrap_interval
from benchmarks.learning import append, read
from benchmarks.rows import ROWS
from benchmarks.table import bootstrap_means, seeds_interval, table

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
        line("breakout-ppo", 0, [7.0]),
    ):
        append(path, one)
    assert len(path.read_text().splitlines()) == 4
    page = table(read(path))
    best, final = cells(page, "cartpole-ppo")
    assert best[:6] == [
        *("cartpole-ppo", "CartPole-v1", "ppo", "100k", "best"),
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
