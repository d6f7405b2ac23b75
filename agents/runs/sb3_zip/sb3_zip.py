"""Trained models as zip files of Stable-Baselines3: writing one, and reading one that may be old.

SB3 pickles what its JSON cannot hold, so its own `load` runs whatever a file says.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from attention_agents.agents.algorithms.classes import algorithm_class
from attention_agents.agents.algorithms.hyperparameters import constructor_parameters
from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.validation import check_choice
from attention_agents.agents.runs.checkpoint import load_checkpoint
from attention_agents.agents.runs.sb3_zip.restricted_unpickler import restricted_loads
from attention_agents.envs.families import MissingExtraError

PICKLED = ":serialized:"
"""Where SB3's JSON holds a pickle."""
DAMAGED = (AttributeError, EOFError, ImportError, IndexError, KeyError, TypeError, ValueError)
"""How a pickle fails that is not whole."""


def export_sb3_zip(checkpoint: str | Path, path: str | Path) -> Path:
    """Write a checkpoint as a zip that SB3's own `load` reads.

    SB3's format pickles; `load` needs this package to be importable. Statistics of normalized
    observations have no place in it.
    """
    path = Path(path)
    load_checkpoint(checkpoint, device="cpu").model.save(path)
    return path if path.suffix else path.with_suffix(".zip")


def load_sb3_zip(path: str | Path, algo: str | None = None, device: str = "auto") -> BaseAlgorithm:
    """Read a zip that SB3's `save` wrote, of this version or of 0.1, without running what it holds.

    Args:
        path: of the zip.
        algo: the algorithm, such as "ppo"; None recognizes it by its policy and its settings.
        device: where the policy lives, in torch's words or "auto".

    Returns:
        The algorithm with its trained weights; it has no environment, `set_env` gives it one.

    Raises:
        ValueError: the file is missing, no zip of SB3, of an unknown algorithm, or names a class
            that is not known to be harmless.
    """
    file = _read_file(path)
    settings = _read_settings(file, path)
    objects = _unpickle_objects(settings, path)
    names = _recognize_algorithms(settings | objects) if algo is None else [algo]
    name = check_choice("algorithm", names[0] if names else "", ALGORITHMS)
    try:
        return algorithm_class(name).load(file, device=device, custom_objects=objects)
    except (*DAMAGED, AssertionError, RuntimeError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} holds no model of {name}: {error}") from error


def sb3_custom_objects(path: str | Path) -> dict[str, Any]:
    """Return what SB3's `load` would unpickle from a zip, read without running what it holds.

    It lets `load` read a zip of version 0.1, whose modules had other names:

        PPO.load("old.zip", custom_objects=sb3_custom_objects("old.zip"))

    Raises:
        ValueError: as by `load_sb3_zip`.
    """
    return _unpickle_objects(_read_settings(_read_file(path), path), path)


def _read_file(path: str | Path) -> io.BytesIO:
    try:
        return io.BytesIO(Path(path).read_bytes())
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error


def _read_settings(file: io.BytesIO, path: str | Path) -> dict[str, Any]:
    """Return the JSON of a zip, in which every pickle is still a text."""
    try:
        with zipfile.ZipFile(file) as archive:
            settings = json.loads(archive.read("data"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no zip file of Stable-Baselines3: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path} is no zip file of Stable-Baselines3: its data is no object")
    return settings


def _unpickle_objects(settings: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """Return every object that is pickled among the settings, by its name."""
    objects = {}
    for name, value in settings.items():
        if isinstance(value, dict) and PICKLED in value:
            try:
                objects[name] = restricted_loads(base64.b64decode(value[PICKLED]))
            except pickle.UnpicklingError as error:
                raise ValueError(
                    f"{name} of {path} is refused: {error}, which may run code; load it by "
                    "Stable-Baselines3 itself, if you trust the file"
                ) from error
            except DAMAGED as error:
                raise ValueError(f"{name} of {path} cannot be read: {error}") from error
    return objects


def _recognize_algorithms(settings: dict[str, Any]) -> list[str]:
    """Return the algorithms that have the policy, those first whose arguments the settings are."""
    missing = {}
    for name in ALGORITHMS:
        try:
            policies = tuple(algorithm_class(name).policy_aliases.values())
        except MissingExtraError:
            continue
        policy = settings.get("policy_class")
        if isinstance(policy, type) and issubclass(policy, policies):
            missing[name] = len(constructor_parameters(name).keys() - settings.keys())
    return sorted(missing, key=lambda name: missing[name])
