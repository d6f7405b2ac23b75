"""A trained policy on disk: JSON and tensors, no code, no pickle.

    <checkpoint>/config.json               everything that is needed to build the algorithm again
                 policy.safetensors        the policy's parameters and buffers
                 optimizer.safetensors     tensors of the optimizers, and the entropy coefficient
                 optimizer.json            what the optimizers hold besides tensors
                 normalisation.safetensors running mean and variance, where the run normalizes
                 manifest.json             sha256 of every file above

A checkpoint is written into a temporary sibling, flushed to disk and renamed: it is whole, or it is
not there. One that is replaced steps aside as `.<checkpoint>.old` for a moment, and is read from
there when a kill leaves it so. Building from one reads registry names only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from gymnasium import spaces
from safetensors.torch import load_file, save_file
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from attention_agents.agents.algorithms.build import constructor_arguments
from attention_agents.agents.algorithms.classes import algorithm_class
from attention_agents.agents.algorithms.memory_check import check_networks
from attention_agents.agents.config.plugins import PluginError
from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.rollouts.policy_calls import (
    Observation,
    PolicyInput,
    PolicyOutput,
    policy_function,
)
from attention_agents.agents.runs.run_folder import package_versions
from attention_agents.envs.families import MissingExtraError
from attention_agents.envs.tokens.space_json import space_from_json, space_to_json
from attention_agents.policies.read_standard import without_standard
from attention_agents.policies.state_dict_keys import rename_old_keys
from attention_agents.recording.files import atomic_folder, backup_path, file_sha256
from attention_agents.recording.json_files import read_document, read_json, write_json

FORMAT = "attention-agents checkpoint"
SCHEMA = 2
OLDER = "train the agent again, or use the version of this program that wrote it"
CONFIG, MANIFEST = "config.json", "manifest.json"
POLICY, OPTIMIZER, OPTIMIZER_JSON = "policy.safetensors", "optimizer.safetensors", "optimizer.json"
NORMALIZATION = "normalisation.safetensors"
FILES = (CONFIG, POLICY, OPTIMIZER, OPTIMIZER_JSON, NORMALIZATION)
PROGRESS_NAMES = ("num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining")
PROGRESS_NAMES += ("exploration_rate",)
"""Numbers of an SB3 algorithm that go with its weights, where it has them."""


@dataclass(frozen=True)
class ObservationNormalizer:
    """Frozen running statistics: `(observation - mean) / sqrt(var + epsilon)`, clipped."""

    mean: Mapping[str, np.ndarray]
    """Per key of a Dict observation, float64; key "" for an observation that is one array."""
    var: Mapping[str, np.ndarray]
    clip: float
    epsilon: float

    def __call__(self, observation: Observation) -> Observation:
        """Return the observation, single or batched, as the policy was trained to see it."""
        if not isinstance(observation, dict):
            return self._normalize_array("", observation) if "" in self.mean else observation
        normalized = {key: self._normalize_array(key, observation[key]) for key in self.mean}
        return observation | normalized

    def _normalize_array(self, key: str, values: np.ndarray) -> np.ndarray:
        scaled = (values - self.mean[key]) / np.sqrt(self.var[key] + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy read from a checkpoint, ready to act; it has no environment and cannot learn on."""

    model: BaseAlgorithm
    config: RunConfig
    normalization: ObservationNormalizer | None

    def normalize(self, observation: Observation) -> Observation:
        """Return the observation as the policy was trained to see it; statistics stay frozen."""
        return observation if self.normalization is None else self.normalization(observation)

    def predict(self, observation: Observation, deterministic: bool = True) -> np.ndarray:
        """Return the action for one observation, or the actions for a batch of them.

        Every action counts as valid, and a policy with memory takes what it sees for the beginning
        of an episode; `compute_actions` takes both into account.
        """
        return self.model.predict(self.normalize(observation), deterministic=deterministic)[0]

    def compute_actions(self, inputs: PolicyInput, deterministic: bool = True) -> PolicyOutput:
        """Answer a question about a batch of states: actions, and what the policy remembers."""
        return policy_function(self.model, self.normalize, deterministic)(inputs)


def save_checkpoint(model: BaseAlgorithm, folder: str | Path, config: RunConfig) -> Path:
    """Write a checkpoint; one that stands there already is replaced.

    Args:
        model: the algorithm, built from `config`.
        folder: where the checkpoint will lie; its parents are made.
        config: the run that the model belongs to.

    Raises:
        ValueError: the checkpoint cannot be written.
    """
    folder = Path(folder)
    tensors, values = _optimizer_state(model)
    normalize = model.get_vec_normalize_env()
    with atomic_folder(folder) as partial:
        save_file(_to_cpu(dict(_named_tensors(model.policy))), partial / POLICY)
        save_file(_to_cpu(tensors), partial / OPTIMIZER)
        write_json(partial / OPTIMIZER_JSON, values)
        if normalize is not None:
            save_file(_running_statistics(normalize), partial / NORMALIZATION)
        write_json(partial / CONFIG, _describe_checkpoint(model, config, normalize))
        sums = {name: file_sha256(partial / name) for name in FILES if (partial / name).exists()}
        write_json(partial / MANIFEST, {"format": FORMAT, "schema": SCHEMA, "sha256": sums})
    return folder


def load_checkpoint(folder: str | Path, device: str = "auto") -> LoadedPolicy:
    """Read a checkpoint; nothing in it is run, and no environment is made.

    Args:
        folder: what `save_checkpoint` wrote.
        device: where the policy shall live, in torch's words or "auto".

    Raises:
        ValueError: a file is missing, damaged or foreign; the text names it.
        PluginError: the run has a plugin that is not imported.
    """
    folder = Path(folder)
    if not folder.exists() and backup_path(folder).is_dir():
        folder = backup_path(folder)
    _verify_files(folder)
    described = read_document(folder / CONFIG, FORMAT, (SCHEMA,), OLDER)
    try:
        config = RunConfig.from_json(described["config"])
        observation_space = space_from_json(described["observation_space"])
        action_space = space_from_json(described["action_space"])
        model = _build_for_loading(config, observation_space, action_space, device)
        progress = {
            name: described["progress"][name] for name in PROGRESS_NAMES if hasattr(model, name)
        }
        normalization = _load_normalizer(folder, described.get("normalisation"))
    except (MissingExtraError, PluginError):
        raise
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"{folder / CONFIG} describes no policy: {error}") from error
    targets = dict(_named_tensors(model.policy))
    stored = rename_old_keys(_load_tensors(folder / POLICY), targets)
    stored = without_standard(stored, targets)
    _copy_tensors(targets, stored, folder / POLICY)
    _load_optimizers(model, folder)
    for name, value in progress.items():
        setattr(model, name, value)
    model.policy.set_training_mode(False)
    return LoadedPolicy(model, config, normalization)


def _describe_checkpoint(
    model: BaseAlgorithm, config: RunConfig, normalize: VecNormalize | None
) -> dict[str, Any]:
    description: dict[str, Any] = {
        "format": FORMAT,
        "schema": SCHEMA,
        "config": config.to_json(),
        "observation_space": space_to_json(model.observation_space),
        "action_space": space_to_json(model.action_space),
        "progress": {name: getattr(model, name) for name in PROGRESS_NAMES if hasattr(model, name)},
        "versions": package_versions(),
    }
    if normalize is not None:
        names = ("norm_obs", "norm_reward", "clip_obs", "clip_reward", "epsilon", "gamma")
        description["normalisation"] = {name: getattr(normalize, name) for name in names}
    return description


def _build_for_loading(
    config: RunConfig, observation_space: spaces.Space, action_space: spaces.Space, device: str
) -> BaseAlgorithm:
    """Build the algorithm without an environment, with buffers of the least size.

    It goes the way of SB3's own `load`, and leaves every random stream as it was.
    """
    check_networks(config)
    algorithm: Any = algorithm_class(config.algo)
    arguments = constructor_arguments(config, observation_space, action_space)
    model = algorithm(env=None, device=device, _init_setup_model=False, **arguments)
    model.observation_space, model.action_space, model.n_envs = observation_space, action_space, 1
    sizes = {
        name: getattr(model, name) for name in ("n_steps", "buffer_size") if hasattr(model, name)
    }
    small = {"buffer_size": 1} if "buffer_size" in sizes else {"n_steps": 1}
    with torch.random.fork_rng():
        for name, value in small.items():
            setattr(model, name, value)
        model._setup_model()
        for name, value in sizes.items():
            setattr(model, name, value)
    model.seed = config.seed
    return model


def _named_tensors(policy: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters and buffers; a tensor with several names comes once, by the first."""
    addresses: set[int] = set()
    for name, tensor in policy.state_dict().items():
        if tensor.numel() == 0 or tensor.data_ptr() not in addresses:
            addresses.add(tensor.data_ptr())
            yield name, tensor


def _optimizer_state(model: BaseAlgorithm) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the optimizers' tensors under flat names, and all that is no tensor."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for name, state in model.get_parameters().items():
        if name == "policy":
            continue
        rest: dict[str, dict[str, Any]] = {}
        for index, entries in state["state"].items():
            for key, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"{name}/{index}/{key}"] = value
                else:
                    rest.setdefault(str(index), {})[key] = value
        values[name] = {"param_groups": state["param_groups"], "state": rest}
    for name in model._get_torch_save_params()[1]:
        tensors[f"variable/{name}"] = getattr(model, name).detach()
    return tensors, values


def _load_optimizers(model: BaseAlgorithm, folder: Path) -> None:
    tensors = _load_tensors(folder / OPTIMIZER)
    names = model._get_torch_save_params()
    variables = {f"variable/{name}": getattr(model, name).detach() for name in names[1]}
    stored = {name: tensor for name, tensor in tensors.items() if name.startswith("variable/")}
    _copy_tensors(variables, stored, folder / OPTIMIZER)
    states: Any = model.get_parameters()
    try:
        values = read_json(folder / OPTIMIZER_JSON)
        for name in states.keys() - {"policy"}:
            state: dict[int, dict[str, Any]] = {
                int(index): dict(entries) for index, entries in values[name]["state"].items()
            }
            for path, tensor in tensors.items():
                owner, _, rest = path.partition("/")
                if owner == name:
                    index, _, key = rest.partition("/")
                    state.setdefault(int(index), {})[key] = tensor
            groups = [_restore_tuples(group) for group in values[name]["param_groups"]]
            states[name] = {"state": state, "param_groups": groups}
        model.set_parameters(states, exact_match=True, device=model.device)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{folder / OPTIMIZER_JSON} does not fit the policy: {error}") from error


def _restore_tuples(group: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter group as torch made it: JSON turned its tuples into lists."""
    return {
        key: tuple(value) if isinstance(value, list) and key != "params" else value
        for key, value in group.items()
    }


def _running_statistics(normalize: VecNormalize) -> dict[str, Tensor]:
    stats = {"reward": normalize.ret_rms}
    if normalize.norm_obs:
        rms = normalize.obs_rms
        stats |= {
            f"observation/{k}": v for k, v in (rms if isinstance(rms, dict) else {"": rms}).items()
        }
    return {
        f"{name}/{part}": torch.from_numpy(np.array(getattr(rms, part), np.float64))
        for name, rms in stats.items()
        for part in ("mean", "var", "count")
    }


def _load_normalizer(folder: Path, settings: dict[str, Any] | None) -> ObservationNormalizer | None:
    if settings is None or not settings["norm_obs"]:
        return None
    tensors = _load_tensors(folder / NORMALIZATION)
    names = [name for name in tensors if name.startswith("observation/")]
    parts: dict[str, dict[str, np.ndarray]] = {"mean": {}, "var": {}, "count": {}}
    for name in names:
        key, _, part = name.removeprefix("observation/").rpartition("/")
        parts[part][key] = tensors[name].numpy()
    return ObservationNormalizer(
        parts["mean"], parts["var"], settings["clip_obs"], settings["epsilon"]
    )


def _verify_files(folder: Path) -> None:
    """Compare every file with the manifest."""
    if not folder.is_dir():
        raise ValueError(f"there is no checkpoint folder {folder}")
    sums = read_document(folder / MANIFEST, FORMAT, (SCHEMA,), OLDER).get("sha256")
    if not isinstance(sums, dict) or not {CONFIG, POLICY, OPTIMIZER, OPTIMIZER_JSON} <= sums.keys():
        raise ValueError(f"{folder / MANIFEST} does not list the files of a checkpoint")
    for name in FILES:
        if name in sums and not (folder / name).is_file():
            raise ValueError(f"{folder / name} is missing")
        if name in sums and file_sha256(folder / name) != sums[name]:
            raise ValueError(f"{folder / name} is damaged: its sha256 is not the manifest's")


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} holds no tensors: {error}") from error


def _copy_tensors(targets: Mapping[str, Tensor], stored: Mapping[str, Tensor], path: Path) -> None:
    """Copy stored tensors into the model's, which must have the same names, shapes and types."""
    for name in sorted(targets.keys() ^ stored.keys()):
        fault = "missing" if name in targets else "unknown"
        raise ValueError(f"{path} does not fit its config: {name} is {fault}")
    for name, target in targets.items():
        if target.shape != stored[name].shape or target.dtype != stored[name].dtype:
            raise ValueError(
                f"{path} does not fit its config: {name} is {tuple(stored[name].shape)}, "
                f"not {tuple(target.shape)}"
            )
        with torch.no_grad():
            target.copy_(stored[name])


def _to_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
