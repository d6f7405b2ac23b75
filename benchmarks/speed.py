"""What recording costs, and how fast each attention mechanism trains, paired in one run.

    python benchmarks/speed.py
    python benchmarks/speed.py --mechanisms

What is compared takes turns, in one process and one thread, so that a machine that slows down
midway slows down all alike. Medians over the turns; ratios of each turn to the first column's of
the same turn.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tyro
from stable_baselines3.common.base_class import BaseAlgorithm

from attention_agents.agents.algorithms.build import (
    build_model,
    make_vec_env,
)
from attention_agents.agents.cli.command import run_script
from attention_agents.agents.config.presets import resolve_config
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.training.train import torch_settings
from attention_agents.envs.families import family_name
from attention_agents.envs.make import make_env
from attention_agents.recording.live.recorder import RecordAttention
from benchmarks.learning import machine
from benchmarks.rows import DOORKEY, MECHANISMS

PLAYED = ("CartPole-v1", "MinAtar/Breakout-v1")


@dataclass(frozen=True)
class SpeedConfig:
    """Measure what recording costs, or the speed of each mechanism."""

    repeats: int = 5
    """Turns of each."""
    train_steps: int = 4096
    """Environment steps per turn of training, rounded up to whole rollouts."""
    record_steps: int = 1000
    """Environment steps per turn of playing."""
    mechanisms: tyro.conf.FlagCreatePairsOff[bool] = False
    """Measure training with each mechanism of the table instead."""


def main(config: SpeedConfig) -> None:
    if min(config.repeats, config.train_steps, config.record_steps) < 1:
        raise ValueError(f"all counts must be at least 1, got {config}")
    seen = machine()
    print(f"{seen['cpu']}, {seen['cores']} cores, one thread; medians of {config.repeats} turns\n")
    with torch_settings(threads=1):
        if config.mechanisms:
            print(f"Training, {DOORKEY}, environment steps per second\n")
            print(table(mechanism_speeds(config)))
            return
        for env_id in PLAYED:
            print(f"Playing, {env_id}, environment steps per second\n")
            print(table(recording_speeds(env_id, config)), end="\n\n")


def mechanism_speeds(config: SpeedConfig) -> dict[str, list[float]]:
    """Return steps per second of PPO by attention mechanism, a number per turn."""
    family = family_name(DOORKEY)
    with ExitStack() as stack:
        models = {}
        for name, options in MECHANISMS.items():
            asked = TrainConfig(env=DOORKEY, algo="ppo", encoder="pooled", device="cpu", **options)
            settled = resolve_config(asked, family)
            env = make_vec_env(settled)
            stack.callback(env.close)
            models[name] = build_model(settled, env)
        return take_turns(
            {name: partial(_train, model, config.train_steps) for name, model in models.items()},
            config.repeats,
        )


def recording_speeds(env_id: str, config: SpeedConfig) -> dict[str, list[float]]:
    """Return steps per second of a trained policy's loop, with and without recording."""
    settled = resolve_config(
        TrainConfig(env=env_id, algo="ppo", encoder="pooled", device="cpu"), family_name(env_id)
    )
    with ExitStack() as stack:
        env = make_vec_env(settled)
        stack.callback(env.close)
        play = partial(_play, build_model(settled, env), env_id, config.record_steps)
        return take_turns(
            {
                "off": play,
                "maps recorded": partial(play, record=True),
                "frames drawn": partial(play, render=True),
                "maps and frames recorded": partial(play, record=True, render=True),
            },
            config.repeats,
        )


def take_turns(jobs: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Call every job once to warm up, then all of them in turn; every other turn runs backward."""
    for job in jobs.values():
        job()
    speeds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats):
        for name in list(jobs)[:: 1 if turn % 2 == 0 else -1]:
            speeds[name].append(jobs[name]())
    return speeds


def table(speeds: dict[str, list[float]]) -> str:
    """Return a Markdown table: medians, ranges, and ratios to the first."""
    first = np.array(next(iter(speeds.values())))
    lines = ["| | steps/s | lowest to highest | ratio |", "| --- | --- | --- | --- |"]
    for name, values in speeds.items():
        ratio = np.median(np.array(values) / first)
        ends = f"{min(values):,.0f} to {max(values):,.0f}"
        lines.append(f"| {name} | {np.median(values):,.0f} | {ends} | {ratio:.2f} |")
    return "\n".join(lines)


def _train(model: BaseAlgorithm, steps: int) -> float:
    start, before = time.perf_counter(), model.num_timesteps
    model.learn(steps, reset_num_timesteps=False)
    return (model.num_timesteps - before) / (time.perf_counter() - start)


def _play(
    model: BaseAlgorithm, env_id: str, steps: int, record: bool = False, render: bool = False
) -> float:
    with tempfile.TemporaryDirectory() as folder:
        env = make_env(env_id, render_mode="rgb_array" if render else None)
        if record:
            env = RecordAttention(env, model, os.path.join(folder, "recording"))
        start = time.perf_counter()
        obs, _ = env.reset(seed=0)
        for _ in range(steps):
            action, _ = model.predict(obs, deterministic=True)
            obs, _, terminated, truncated, _ = env.step(action)
            if render and not record:
                env.render()
            if terminated or truncated:
                obs, _ = env.reset()
        env.close()
        return steps / (time.perf_counter() - start)


if __name__ == "__main__":
    run_script(main, SpeedConfig)
