"""The picture of how a run learned: score over steps, from its csv files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.callbacks.evaluation import read_rows

TRAINING, EVALUATION = "#9aa5b5", "#1f6feb"


def draw_learning_curve(folder: RunFolder) -> Path | None:
    """Draw the scores of training and of the periodic evaluations into the run folder.

    Returns:
        The picture's path, or None when the run has no scores.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    evaluations = read_rows(folder.evaluations_file)
    steps, scores = training_scores(folder.logs / "progress.csv")
    if not evaluations and not len(steps):
        return None
    config = folder.config()
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    if len(steps):
        axes.plot(
            steps, scores, color=TRAINING, lw=1.2, label="training, mean of the last episodes"
        )
    if evaluations:
        at = np.array([row.step for row in evaluations])
        mean = np.array([row.mean_reward for row in evaluations])
        spread = np.array([row.std_reward for row in evaluations])
        count = evaluations[-1].episodes
        label = f"evaluation, mean and standard deviation of {count} episodes"
        axes.plot(at, mean, color=EVALUATION, marker="o", ms=3, lw=1.8, label=label)
        axes.fill_between(at, mean - spread, mean + spread, color=EVALUATION, alpha=0.15, lw=0)
    axes.set(
        xlabel="environment steps", ylabel="episode reward", title=f"{config.algo} on {config.env}"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(folder.learning_curve, dpi=120)
    return folder.learning_curve


def training_scores(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return (steps, mean episode reward) from SB3's progress.csv; empty when it has none."""
    if not path.exists():
        return np.array([]), np.array([])
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            (float(row["time/total_timesteps"]), float(row["rollout/ep_rew_mean"]))
            for row in csv.DictReader(file)
            if row.get("rollout/ep_rew_mean") and row.get("time/total_timesteps")
        ]
    table = np.array(rows).reshape(-1, 2)
    return table[:, 0], table[:, 1]
