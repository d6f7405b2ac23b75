"""Attention for reinforcement learning agents: the public names, each imported when first used.

In your own training script:

- `AttentionExtractor`: a features extractor for `policy_kwargs` of Stable-Baselines3.
- `attention_policy_kwargs`, `GatedExtractor`: SB3's own networks with an attention gate in them.
- `AttentionConfig`: which attention it computes: score, normalizer, hard choice, visibility.
- `PointerPolicy`: a policy whose actions point at entities.
- `TokenBox`, `TokenLayout`: an observation space that says what its tokens are, and what they are.
- `make_env`: make a Gymnasium environment with the wrappers and tokens of its family.
- `History`, `FrameHistory`: wrappers that make the last steps one observation.
- `RecordAttention`: a wrapper that records attention while any loop steps the environment.
- `AttentionRecorderCallback`: records episodes while `learn` runs.
- `AttentionTap`, `AttentionMap`: the attention maps of the latest forward pass of a policy.

From a configuration to a trained, judged and replayed agent:

- `train`, `TrainConfig`, `RunFolder`, `TrainingInterrupted`: train an agent into a run folder.
- `RunConfig`, `EncoderConfig`: a run with nothing left open, as its `config.json` holds it.
- `load_checkpoint`, `save_checkpoint`, `LoadedPolicy`: trained policies on disk, without pickle.
- `open_run`, `LoadedRun`: a run, opened to act: its policy, its environments, its settings.
- `export_sb3_zip`: write a checkpoint as a zip file that `PPO.load` reads.
- `load_sb3_zip`: read such a file, of this version or of 0.1, without running what it holds.
- `sb3_custom_objects`: what lets `PPO.load` itself read a file of 0.1.
- `evaluate`, `Report`: play whole episodes on fixed seeds, beside the random policy.
- `replay`: record episodes of a run and draw them as film, sheet and page.

Reading what was recorded, without torch:

- `open_recording`, `Recording`, `Episode`, `Header`, `MapSpec`, `Step`: recordings, step by step.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from attention_agents import _checkout

_checkout.install()

if TYPE_CHECKING:
    from attention_agents.agents.config.run_config import EncoderConfig as EncoderConfig
    from attention_agents.agents.config.run_config import RunConfig as RunConfig
    from attention_agents.agents.config.run_config import TrainConfig as TrainConfig
    from attention_agents.agents.evaluation.evaluate import evaluate as evaluate
    from attention_agents.agents.evaluation.report import Report as Report
    from attention_agents.agents.replay.replay import replay as replay
    from attention_agents.agents.runs.checkpoint import LoadedPolicy as LoadedPolicy
    from attention_agents.agents.runs.checkpoint import load_checkpoint as load_checkpoint
    from attention_agents.agents.runs.checkpoint import save_checkpoint as save_checkpoint
    from attention_agents.agents.runs.loaded_run import LoadedRun as LoadedRun
    from attention_agents.agents.runs.loaded_run import open_run as open_run
    from attention_agents.agents.runs.run_folder import RunFolder as RunFolder
    from attention_agents.agents.runs.sb3_zip.sb3_zip import export_sb3_zip as export_sb3_zip
    from attention_agents.agents.runs.sb3_zip.sb3_zip import load_sb3_zip as load_sb3_zip
    from attention_agents.agents.runs.sb3_zip.sb3_zip import (
        sb3_custom_objects as sb3_custom_objects,
    )
    from attention_agents.agents.training.callbacks.recorder import (
        AttentionRecorderCallback as AttentionRecorderCallback,
    )
    from attention_agents.agents.training.train import TrainingInterrupted as TrainingInterrupted
    from attention_agents.agents.training.train import train as train
    from attention_agents.envs.make import make_env as make_env
    from attention_agents.envs.tokens.layout import TokenLayout as TokenLayout
    from attention_agents.envs.tokens.spaces import TokenBox as TokenBox
    from attention_agents.envs.wrappers.flat_history import History as History
    from attention_agents.envs.wrappers.frame_history import FrameHistory as FrameHistory
    from attention_agents.policies.attention.attention_config import (
        AttentionConfig as AttentionConfig,
    )
    from attention_agents.policies.inspect.tap import AttentionMap as AttentionMap
    from attention_agents.policies.inspect.tap import AttentionTap as AttentionTap
    from attention_agents.policies.sb3.extractor import AttentionExtractor as AttentionExtractor
    from attention_agents.policies.sb3.gated_extractor import GatedExtractor as GatedExtractor
    from attention_agents.policies.sb3.gated_extractor import (
        attention_policy_kwargs as attention_policy_kwargs,
    )
    from attention_agents.policies.sb3.pointer import PointerPolicy as PointerPolicy
    from attention_agents.recording.header import Header as Header
    from attention_agents.recording.live.recorder import RecordAttention as RecordAttention
    from attention_agents.recording.map_spec import MapSpec as MapSpec
    from attention_agents.recording.reader import Episode as Episode
    from attention_agents.recording.reader import Recording as Recording
    from attention_agents.recording.reader import open_recording as open_recording
    from attention_agents.recording.step import Step as Step

_MODULES = {
    "agents.config.run_config": ("EncoderConfig", "RunConfig", "TrainConfig"),
    "agents.evaluation.evaluate": ("evaluate",),
    "agents.evaluation.report": ("Report",),
    "agents.replay.replay": ("replay",),
    "agents.runs.checkpoint": ("LoadedPolicy", "load_checkpoint", "save_checkpoint"),
    "agents.runs.loaded_run": ("LoadedRun", "open_run"),
    "agents.runs.run_folder": ("RunFolder",),
    "agents.runs.sb3_zip.sb3_zip": ("export_sb3_zip", "load_sb3_zip", "sb3_custom_objects"),
    "agents.training.callbacks.recorder": ("AttentionRecorderCallback",),
    "agents.training.train": ("TrainingInterrupted", "train"),
    "envs.make": ("make_env",),
    "envs.tokens.layout": ("TokenLayout",),
    "envs.tokens.spaces": ("TokenBox",),
    "envs.wrappers.flat_history": ("History",),
    "envs.wrappers.frame_history": ("FrameHistory",),
    "policies.attention.attention_config": ("AttentionConfig",),
    "policies.inspect.tap": ("AttentionMap", "AttentionTap"),
    "policies.sb3.extractor": ("AttentionExtractor",),
    "policies.sb3.gated_extractor": ("GatedExtractor", "attention_policy_kwargs"),
    "policies.sb3.pointer": ("PointerPolicy",),
    "recording.header": ("Header",),
    "recording.live.recorder": ("RecordAttention",),
    "recording.map_spec": ("MapSpec",),
    "recording.reader": ("Episode", "Recording", "open_recording"),
    "recording.step": ("Step",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
