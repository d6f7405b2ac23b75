"""Learning curves: the returns of training episodes over steps and over the processor's time."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Result = dict[str, Any]
SMOOTH = 3
"""Points of a curve that are averaged."""


def smoothed(run: Result) -> list[tuple[float, float, float]]:
    """Return (steps, processor's seconds, mean return of the last points) along a run."""
    curve = run["curve"]
    points = []
    for i, point in enumerate(curve):
        part = curve[max(0, i + 1 - SMOOTH) : i + 1]
        weights = [each["episodes"] for each in part]
        mean = float(np.average([each["return"] for each in part], weights=weights))
        points.append((point["steps"], point["cpu_seconds"], mean))
    return points


def final_return(run: Result) -> float:
    """Return what training episodes reach at the end of a run."""
    return smoothed(run)[-1][2]


def return_at(run: Result, seconds: float) -> float:
    """Return what training episodes had reached after so much of the processor's time."""
    points = smoothed(run)
    return next((mean for _, cpu, mean in reversed(points) if cpu <= seconds), points[0][2])


def seconds_to(run: Result, target: float) -> float | None:
    """Return the processor's seconds until training episodes reach a return; None for never."""
    return next((cpu for _, cpu, mean in smoothed(run) if mean >= target), None)


def write_curves(groups: Mapping[tuple[str, str], Sequence[Result]], path: Path) -> Path:
    """Draw a panel per task, or write a CSV file where matplotlib is not installed.

    Args:
        groups: the runs of each (task, encoder).
        path: of the picture; its suffix changes to .csv for a table.

    Returns:
        The file that was written.
    """
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return _write_table(groups, path.with_suffix(".csv"))
    tasks = list(dict.fromkeys(task for task, _ in groups))
    columns = min(4, len(tasks))
    rows = -(-len(tasks) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 3 * rows), squeeze=False)
    for axis in axes.flat[len(tasks) :]:
        axis.set_visible(False)
    for task, axis in zip(tasks, axes.flat, strict=False):
        for color, (name, runs) in enumerate(
            (encoder, runs) for (of, encoder), runs in groups.items() if of == task
        ):
            for i, run in enumerate(runs):
                steps, _, means = zip(*smoothed(run), strict=True)
                label = name if i == 0 else None
                axis.plot(steps, means, color=f"C{color}", alpha=0.6, linewidth=1, label=label)
        axis.set_title(task)
        axis.legend(fontsize=7)
    figure.supxlabel("environment steps")
    figure.supylabel("return of training episodes")
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)
    return path


def _write_table(groups: Mapping[tuple[str, str], Sequence[Result]], path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("task", "encoder", "seed", "steps", "cpu_seconds", "return"))
        for (task, encoder), runs in groups.items():
            for run in runs:
                writer.writerows((task, encoder, run["seed"], *point) for point in smoothed(run))
    return path
