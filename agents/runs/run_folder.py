"""A run on disk: where each of its things lies."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.config.validation import check_choice
from attention_agents.recording.files import atomic_write

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
            parent.mkdir(parents=True, exist_ok=True)
            taken = (
                re.fullmatch(re.escape(name) + r"_(\d+)", each.name) for each in parent.iterdir()
            )
            number = max((int(match[1]) for match in taken if match), default=0) + 1
            while True:
                try:
                    (parent / f"{name}_{number}").mkdir()
                    break
                except FileExistsError:
                    number += 1
            folder = cls(parent / f"{name}_{number}")
            write_json(folder.config_file, _description(config))
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
        values = read_json(self.config_file, FORMAT, SCHEMA)
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
        number = 1
        while True:
            try:
                path = self.recordings / f"recording_{number}"
                path.mkdir(parents=True)
                return path
            except FileExistsError:
                number += 1
            except OSError as error:
                raise ValueError(
                    f"cannot write into {self.path}: {error.strerror}; name another folder with "
                    "--out"
                ) from error


def _subfolders(folder: Path) -> set[str]:
    """Return the names of the folders in a folder; none where there is no folder.

    A checkpoint counts whose replacement was cut short between its two renames: the one that was
    to be replaced is then read.
    """
    if not folder.is_dir():
        return set()
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return {REPLACED.sub(r"\1", name) for name in names}


def read_json(path: Path, form: str, schema: int, advice: str = "") -> dict[str, Any]:
    """Read a JSON file that says `{"format": form, "schema": schema, ...}`.

    Args:
        path: of the file.
        form: what it belongs to.
        schema: the only one that is read.
        advice: what to do about a file of another schema.

    Raises:
        ValueError: the file is missing, is no JSON, or says something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: this is no folder of an {form}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict) or values.get("format") != form:
        raise ValueError(f"{path} is not of an {form}")
    if values.get("schema") != schema:
        said = f"{path} has schema {values.get('schema')}, this program reads {schema}"
        raise ValueError(f"{said}; {advice}" if advice else said)
    return values


def write_json(path: Path, values: Any) -> None:
    """Write JSON, wait until it is on the disk, and rename it into place.

    Raises:
        ValueError: the file cannot be written.
    """
    with atomic_write(path, sync=True) as file:
        file.write((json.dumps(values, indent=1, allow_nan=False) + "\n").encode())


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a result."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _description(config: RunConfig) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "config": config.to_json(),
        "versions": versions(),
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
    }
