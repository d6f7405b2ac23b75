"""Train a row of the table for real, evaluate it, and keep the figures.

    python benchmarks/learning.py --row cartpole-ppo --seed 0
    python benchmarks/learning.py --table learning > benchmarks/learning.md

Each run appends one line to benchmarks/results/learning.jsonl; the table is made from these lines
alone. Everything runs in one thread, so that two rows can run side by side on two cores.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tyro

from attention_agents.agents.cli.command import run_script
from attention_agents.agents.config.presets import resolve_config
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.config.validation import check_choice
from attention_agents.agents.evaluation.evaluate import evaluate
from attention_agents.agents.evaluation.report import EpisodeResults
from attention_agents.agents.runs.checkpoint import load_checkpoint
from attention_agents.agents.runs.run_folder import RunFolder, package_versions
from attention_agents.agents.training.train import train
from attention_agents.envs.families import family_name
from benchmarks.encoders import count_parameters
from benchmarks.rows import ROWS, Row
from benchmarks.table import EPISODES, Line, table

RESULTS = Path(__file__).with_name("results") / "learning.jsonl"


@dataclass(frozen=True)
class LearningConfig:
    """Train a row of the table and keep its figures, or print the table."""

    row: str | None = None
    """Name of a row, see benchmarks/rows.py."""
    seed: int = 0
    """Of the training; the evaluation has seeds of its own, the same for all."""
    n_timesteps: Annotated[
        int | None,
        tyro.conf.arg(aliases=["-n"], metavar="INT", help_behavior_hint="(default: the row's)"),
    ] = None
    """Steps to train for."""
    episodes: int = EPISODES
    """Of the evaluation."""
    log_folder: str = "runs/benchmarks"
    """Where the run folders are made."""
    results: str = str(RESULTS)
    """The file that figures are appended to and read from."""
    table: Annotated[
        str | None, tyro.conf.arg(metavar="PAGE", help_behavior_hint="(default: none)")
    ] = None
    """Print a table as Markdown, and train nothing: learning, mechanisms or memory."""


def main(config: LearningConfig) -> None:
    if config.table is not None:
        page = check_choice("table", config.table, dict.fromkeys(row.page for row in ROWS.values()))
        print(table(read(Path(config.results)), page))
        return
    if config.row is None:
        raise ValueError(f"name a --row, or --table; rows: {', '.join(ROWS)}")
    row = ROWS[check_choice("row", config.row, ROWS)]
    result = run(config, config.row, row)
    append(Path(config.results), result)
    for name, seen in result["evaluations"].items():
        low, high = seen["interval"]
        mean = f"{seen['mean']:.3f} ({low:.3f} to {high:.3f})"
        print(f"{config.row}, seed {config.seed}, {name}: {mean}")


def run(config: LearningConfig, name: str, row: Row) -> Line:
    """Train and evaluate one row with one seed; return its line."""
    asked = TrainConfig(
        env=row.env,
        algo=row.algo,
        encoder="pooled",
        n_timesteps=row.steps if config.n_timesteps is None else config.n_timesteps,
        seed=config.seed,
        device="cpu",
        log_folder=config.log_folder,
        eval_freq=None if "best" in row.checkpoints else 0,
        **row.options,
    )
    settled = resolve_config(asked, family_name(row.env))
    start = time.perf_counter()
    folder = train(asked)
    seconds = time.perf_counter() - start
    count = count_parameters(load_checkpoint(RunFolder(folder).final, "cpu").model.policy)
    scores = {
        each: evaluate(
            folder, checkpoint=each, episodes=config.episodes, random_policy=False, device="cpu"
        ).agent
        for each in row.checkpoints
    }
    return {
        "row": name,
        "env": row.env,
        "algo": row.algo,
        "seed": config.seed,
        "n_timesteps": settled.n_timesteps,
        "parameters": count,
        "train_seconds": round(seconds, 1),
        "evaluations": {each: _figures(seen) for each, seen in scores.items()},
        "command": shlex.join(["python", "benchmarks/learning.py", *sys.argv[1:]]),
        "config": settled.to_json(),
        "versions": package_versions(),
        "machine": machine(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _figures(scores: EpisodeResults) -> dict[str, Any]:
    returns = scores.returns
    return {
        "mean": returns.mean,
        "std": returns.std,
        "interval": list(returns.interval),
        "iqm": returns.iqm,
        "median": returns.median,
        "length": scores.lengths.mean,
        "success_rate": scores.success_rate,
        "returns": [episode.episode_return for episode in scores.episodes],
    }


def append(path: Path, result: Line) -> None:
    """Add one line to a file of results; lines of runs that end together do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(result, allow_nan=False) + "\n").encode()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def read(path: Path) -> list[Line]:
    """Read all results, oldest first."""
    if not path.exists():
        raise ValueError(f"there are no results in {path} yet")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def machine() -> dict[str, Any]:
    """Return the processor's name and how many cores there are."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    return {"cpu": cpu, "cores": os.cpu_count()}


if __name__ == "__main__":
    run_script(main, LearningConfig)
