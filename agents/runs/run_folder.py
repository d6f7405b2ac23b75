"""A run on disk: where each of its things lies."""

from __future__ import annotations

import os
import platform
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.config.validation import check_choice
from attention_agents.recording.json_files import read_document, write_json

FORMAT = "attention-agents run"
SCHEMA = 1
STEP = re.compile(r"step_(\d+)")
REPLACED = re.compile(r"^\.(.+)\.old$")
"""Name of a checkpoint that is being replaced."""
PACKAGES = (
    "torch",
    "stable-baselines3",
    "gymnasium",
    "numpy",
    "safetensors",
    "minigrid",
    "MinAtar",
    "ale-py",
    "highway-env",
    "box2d",
    "mujoco",
)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one training run, `<log_folder>/<algo>/<env>_<k>`."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def logs(self) -> Path:
        """TensorBoard events and progress.csv."""
        return self.path / "logs"

    @property
    def checkpoints(self) -> Path:
        """Holds step_<n> folders."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Checkpoint of the best periodic evaluation."""
        return self.path / "best"

    @property
    def final(self) -> Path:
        """Checkpoint at the end, at the interruption, or at a fault."""
        return self.path / "final"

    @property
    def evaluations_file(self) -> Path:
        return self.path / "evaluations.csv"

    @property
    def learning_curve(self) -> Path:
        return self.path / "learning_curve.png"

    @property
    def recordings(self) -> Path:
        return self.path / "recordings"

    @classmethod
    def create(cls, log_folder: str | Path, config: RunConfig) -> RunFolder:
        """Make the next free folder for this configuration, and write `config.json` into it.

        Two runs that start at the same moment get two folders.

        Raises:
            ValueError: the folder cannot be made or written.
        """
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", config.env)
        parent = Path(log_folder) / config.algo
        try:
            folder = cls(_make_numbered_folder(parent, name))
            write_json(folder.config_file, _describe_run(config), sync=True)
        except OSError as error:
            raise ValueError(
                f"cannot write into {log_folder}: {error.strerror}; name another --log-folder"
            ) from error
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Return the folder of a run that exists.

        Raises:
            ValueError: there is no such folder, or it holds no run.
        """
        folder = cls(Path(path))
        if not folder.path.is_dir():
            raise ValueError(f"there is no run folder {path}")
        folder.config()
        return folder

    def config(self) -> RunConfig:
        """Read the configuration.

        Raises:
            ValueError: `config.json` is missing, damaged or foreign.
        """
        return RunConfig.from_json(self.description()["config"])

    def description(self) -> dict[str, Any]:
        """Read the whole of `config.json`: config, versions, machine and time."""
        values = read_document(self.config_file, FORMAT, (SCHEMA,))
        if not isinstance(values.get("config"), dict):
            raise ValueError(f"{self.config_file} has no config")
        return values

    def checkpoint(self, name: str) -> Path:
        """Return where the checkpoint best, final or step_<n> lies."""
        return (self.checkpoints if STEP.fullmatch(name) else self.path) / name

    def checkpoint_names(self) -> list[str]:
        """Return the names of the checkpoints: best, final, then the steps, latest first."""
        steps = [name for name in _subfolders(self.checkpoints) if STEP.fullmatch(name)]
        steps.sort(key=lambda name: -int(name.removeprefix("step_")))
        return [name for name in ("best", "final") if name in _subfolders(self.path)] + steps

    def choose_checkpoint(self, name: str | None) -> str:
        """Return the checkpoint's name, or that of the first there is when None is named.

        Raises:
            ValueError: there is no such checkpoint, or none at all.
        """
        names = self.checkpoint_names()
        if not names:
            raise ValueError(f"the run {self.path} has no checkpoint yet")
        return names[0] if name is None else check_choice("checkpoint", name, names)

    def make_recording_folder(self) -> Path:
        """Make the next free folder for a recording.

        Raises:
            ValueError: the run folder cannot be written.
        """
        try:
            return _make_numbered_folder(self.recordings, "recording")
        except OSError as error:
            raise ValueError(
                f"cannot write into {self.path}: {error.strerror}; name another folder with --out"
            ) from error


def _make_numbered_folder(parent: Path, name: str) -> Path:
    """Make `<parent>/<name>_<k>` with a k above those that there are.

    Processes that do so at the same moment make different ones.
    """
    parent.mkdir(parents=True, exist_ok=True)
    matches = [re.fullmatch(re.escape(name) + r"_(\d+)", path.name) for path in parent.iterdir()]
    number = max((int(match[1]) for match in matches if match), default=0)
    while True:
        number += 1
        folder = parent / f"{name}_{number}"
        with suppress(FileExistsError):
            folder.mkdir()
            return folder


def _subfolders(folder: Path) -> set[str]:
    """Return the names of the folders in a folder; none where there is no folder.

    A checkpoint counts whose replacement was cut short between its two renames: the one that was
    to be replaced is then read.
    """
    if not folder.is_dir():
        return set()
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return {REPLACED.sub(r"\1", name) for name in names}


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a result."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _describe_run(config: RunConfig) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "config": config.to_json(),
        "versions": package_versions(),
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
    }
