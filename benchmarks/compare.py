"""Compare encoders: the same task, settings and seeds, in unmodified Stable-Baselines3.

    python benchmarks/compare.py --env cartpole-noise --encoders gate,stock --seeds 5
    python benchmarks/compare.py --env Acrobot-v1 --algo a2c --encoders gate,stock -n 100000
    python benchmarks/compare.py --panel --seeds 5 --jobs 2
    python benchmarks/compare.py --report > benchmarks/compare.md

Every finished run is a file below --out; one that is there is not run again, so that a comparison
can be cut at any moment and go on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tyro

from attention_agents.agents.cli.command import run_script
from benchmarks.compared_tasks import TASKS, Task, find_task
from benchmarks.comparison import report
from benchmarks.encoders import check_encoder
from benchmarks.training_run import (
    RANDOM,
    Result,
    random_run,
    settings,
    train_run,
    write_result,
)

RESULTS = Path(__file__).with_name("results") / "compare"


@dataclass(frozen=True)
class CompareConfig:
    """Train encoders on a task with the same settings and seeds, and print how they compare."""

    env: str | None = None
    """Tasks, separated by commas: names of benchmarks/compared_tasks.py, or ids of environments."""
    encoders: str | None = None
    """Separated by commas, see benchmarks/encoders.py; what the others are held against is the
    first of cnn, stock and ungated that is among them."""
    seeds: str = "5"
    """How many, from 0 on; or which, such as 3-4 or 10-14."""
    algo: str | None = None
    """Algorithm of an environment that is not in the table."""
    n_timesteps: Annotated[
        int | None,
        tyro.conf.arg(aliases=["-n"], metavar="INT", help_behavior_hint="(default: the task's)"),
    ] = None
    """Steps to train for."""
    out: str = str(RESULTS)
    """Folder of results."""
    jobs: int = 1
    """Runs at the same time, one thread each."""
    panel: tyro.conf.FlagCreatePairsOff[bool] = False
    """Run all tasks of the table: each with the first seed, then each with the second."""
    report: tyro.conf.FlagCreatePairsOff[bool] = False
    """Run nothing; print the tables of all that is in --out, as Markdown."""


class Run(NamedTuple):
    """What is asked for: one file."""

    name: str
    task: Task
    encoder: str
    seed: int
    steps: int


def main(config: CompareConfig) -> None:
    out = Path(config.out)
    if config.report:
        print(report(read_results(out), out))
        return
    if config.jobs < 1:
        raise ValueError(f"--jobs must be at least 1, got {config.jobs}")
    if config.panel == (config.env is not None):
        raise ValueError("name tasks with --env, or ask for the whole --panel")
    names = list(TASKS) if config.env is None else config.env.split(",")
    runs = planned(config, names)
    if config.jobs == 1:
        for run in runs:
            run_once(run, out)
    else:
        run_in_processes(runs, out, config.jobs)
    print(report([each for each in read_results(out) if each["task"] in names], None))


def planned(config: CompareConfig, names: Sequence[str]) -> list[Run]:
    """Return the runs of a comparison, seed by seed, so that whatever is finished can be compared.

    Raises:
        ValueError: a task, an encoder or the seeds are unknown.
    """
    first: list[Run] = []
    others: list[Run] = []
    seeds = seed_range(config.seeds)
    for name in names:
        task = find_task(name, config.algo)
        steps = task.steps if config.n_timesteps is None else config.n_timesteps
        encoders = config.encoders.split(",") if config.encoders else task.encoders
        for encoder in encoders:
            check_encoder(encoder)
        first.append(Run(name, task, RANDOM, 0, steps))
        others += [Run(name, task, encoder, seed, steps) for seed in seeds for encoder in encoders]
    return first + sorted(others, key=lambda run: run.seed)


def run_in_processes(runs: Sequence[Run], out: Path, jobs: int) -> None:
    """Make several runs at a time."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done in as_completed([pool.submit(run_once, run, out) for run in runs]):
            done.result()


def seed_range(seeds: str) -> range:
    """Return the seeds that a word names.

    >>> seed_range("5"), seed_range("3-4")
    (range(0, 5), range(3, 5))
    """
    first, dash, last = seeds.partition("-")
    if not (first + last).isdigit() or bool(dash) != bool(last):
        raise ValueError(f"--seeds is a number such as 5, or a range such as 3-4; got {seeds!r}")
    return range(int(first), int(last) + 1) if dash else range(int(first))


def run_once(run: Run, out: Path) -> None:
    """Make a run and write its file, unless that is there.

    Raises:
        ValueError: it is there with other settings.
    """
    path = result_path(run, out)
    asked = settings(*run)
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key in asked if found.get(key) != asked[key]]
        if differing:
            raise ValueError(
                f"{path} was made with another {' and '.join(differing)}; choose another --out"
            )
        return
    start = time.perf_counter()
    result = random_run(run.name, run.task, run.steps) if run.encoder == RANDOM else train_run(*run)
    write_result(path, result)
    seconds = time.perf_counter() - start
    said = f"{run.name}, {run.encoder}, seed {run.seed}: {result['mean']:.2f}, {seconds:.0f} s"
    print(said, file=sys.stderr, flush=True)


def result_path(run: Run, out: Path) -> Path:
    """Return the file of a run."""
    folder = "".join(c if c.isalnum() or c in "-_" else "_" for c in run.name)
    encoder = run.encoder.replace(":", "_")
    return out / folder / f"{encoder}-{run.steps}-{run.seed}.json"


def read_results(out: Path) -> list[Result]:
    """Read all results below a folder, in the order of their names."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*/*.json"))]


if __name__ == "__main__":
    run_script(main, CompareConfig)
