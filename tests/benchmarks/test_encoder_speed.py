"""Speeds are taken in turns, and the ratio is that of each turn."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.encoder_speed import CASES, Case, EncoderSpeedConfig, RandomPixels, case_row, main
from benchmarks.training_run import build, make_envs


@pytest.mark.parametrize("name", CASES)
def test_every_case_builds_its_baseline_and_the_gate(name: str) -> None:
    case = CASES[name]
    env = make_envs(case.task, seed=0, n_envs=2)
    models = [build(case.task, encoder, env, seed=0) for encoder in (case.baseline, "gate")]
    assert models[0].gamma == models[1].gamma
    assert f"{models[0].policy}" != f"{models[1].policy}"
    env.close()


def test_a_line_of_the_table() -> None:
    case = Case(CASES["cartpole"].task, 256)
    line = case_row("cartpole", case, EncoderSpeedConfig(repeats=3))
    assert line[:3] == ("cartpole", "ppo", "stock")
    stock, gate = (float(cell.replace(",", "")) for cell in line[3:5])
    low, high = (float(each) for each in line[5].partition("(")[2].rstrip(")").split(" to "))
    assert min(stock, gate) > 0
    assert low <= float(line[5].split()[0]) <= high


def test_random_pixels_are_pictures_of_bytes() -> None:
    env = RandomPixels()
    obs, _ = env.reset(seed=0)
    following = env.step(0)[0]
    assert env.observation_space.contains(obs)
    assert (obs != following).mean() > 0.9
    assert obs.dtype == np.uint8


def test_what_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="unknown case 'pong'"):
        main(EncoderSpeedConfig(cases="pong"))
    with pytest.raises(ValueError, match="at least 1"):
        main(EncoderSpeedConfig(repeats=0))
