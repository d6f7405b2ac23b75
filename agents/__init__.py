"""Doing: config, presets, training, checkpoints, evaluation.

The public names are looked up on first use, so that `--help` need not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.checkpoint import LoadedPolicy, export_sb3_zip, load_checkpoint, save_checkpoint
    from agents.config import EncoderConfig, RunConfig, TrainConfig
    from agents.evaluation import Report, evaluate
    from agents.recorder_callback import AttentionRecorderCallback
    from agents.run_folder import RunFolder
    from agents.training import TrainingInterrupted, train

_HOMES = {
    "AttentionRecorderCallback": "agents.recorder_callback",
    "EncoderConfig": "agents.config",
    "LoadedPolicy": "agents.checkpoint",
    "Report": "agents.evaluation",
    "RunConfig": "agents.config",
    "RunFolder": "agents.run_folder",
    "TrainConfig": "agents.config",
    "TrainingInterrupted": "agents.training",
    "evaluate": "agents.evaluation",
    "export_sb3_zip": "agents.checkpoint",
    "load_checkpoint": "agents.checkpoint",
    "save_checkpoint": "agents.checkpoint",
    "train": "agents.training",
}

__all__ = [
    "AttentionRecorderCallback",
    "EncoderConfig",
    "LoadedPolicy",
    "Report",
    "RunConfig",
    "RunFolder",
    "TrainConfig",
    "TrainingInterrupted",
    "evaluate",
    "export_sb3_zip",
    "load_checkpoint",
    "save_checkpoint",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
