"""Export a recording to other formats: one plain .npz, and a Minari dataset."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from attention_agents.recording.files import atomic_write
from attention_agents.recording.header import Header
from attention_agents.recording.reader import Episode, Recording

INSTALL = 'pip install "attention-agents[minari]"'


def episode_arrays(episode: Episode) -> dict[str, np.ndarray]:
    """Return all T steps of an episode as arrays, whose row t is the moment before action t.

    Names: `observation` (or `observation/<key>`), `action`, `reward`, `terminated`, `truncated`,
    `attended` (T,), `mask` (T, N), `boxes` (T, N, 4), `ids` (T, N), `attention/<map>` (T, H, Q, K)
    and, where there are some, `evidence` (T, M, N), `value` (T,), `distribution` (T, ...),
    `soft/<map>`, `heads/<map>`;
    then `final_observation` and so on, what the last action led to. Frames are left out.

    Raises:
        ValueError: a step cannot be read.
    """
    header, steps = episode.header, list(episode)
    arrays: dict[str, Any] = {
        f"observation/{key}": [step.observation[key] for step in steps]
        for key in header.observation_keys
    }
    for name in ("action", "reward", "terminated", "truncated", "attended"):
        arrays[name] = [getattr(step, name) for step in steps]
    arrays["mask"] = [step.present for step in steps]
    arrays["boxes"] = [step.boxes for step in steps]
    arrays["ids"] = [step.ids for step in steps]
    for spec in header.maps:
        arrays[f"attention/{spec.name}"] = [step.maps[spec.name] for step in steps]
        if spec.soft:
            arrays[f"soft/{spec.name}"] = [step.soft[spec.name] for step in steps]
        if spec.head_weights:
            even = np.ones(spec.heads, np.float32)
            heads = (step.heads[spec.name] for step in steps)
            arrays[f"heads/{spec.name}"] = [even if row is None else row for row in heads]
    if header.evidence is not None:
        arrays["evidence"] = [step.evidence for step in steps]
    for name in ("value", "distribution"):
        if all(getattr(step, name) is not None for step in steps):
            arrays[name] = [getattr(step, name) for step in steps]
    if (final := episode.final) is not None:
        arrays |= {f"final_observation/{key}": row for key, row in final.observation.items()}
    return {name.removesuffix("/"): np.asarray(rows) for name, rows in arrays.items()}


def export_npz(path: str | Path, recording: Recording, episodes: int | None = None) -> Path:
    """Write a recording as one .npz, read by `numpy.load(path)`.

    Its arrays are those of `episode_arrays`, under `episode_0000/...`; `header` is a JSON text that
    says what the numbers mean, and `seed` (E,) the seeds of the episodes, -1 where unknown.

    Args:
        path: of the file.
        episodes: how many, from the first; None means all.

    Raises:
        ValueError: the recording is empty or has fewer episodes, a step cannot be read, or the file
            cannot be written.
    """
    path, selected = Path(path), _select_episodes(recording, episodes)
    arrays = {
        f"{episode.folder.name}/{name}": array
        for episode in selected
        for name, array in episode_arrays(episode).items()
    }
    arrays["header"] = np.array(json.dumps(recording.header.to_json()))
    arrays["seed"] = np.array(
        [-1 if episode.seed is None else episode.seed for episode in selected]
    )
    with atomic_write(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return path


def export_minari(dataset_id: str, recording: Recording, episodes: int | None = None) -> str:
    """Add a recording to the local Minari datasets, as one dataset in HDF5.

    Minari keeps an info for each of the T + 1 observations. Maps stand in the info of the very
    observation that they read: `infos["attention"]["actor_1"][t]` and `infos["evidence"][t]` belong
    to `observations[t]`, and the last row, after which no action was chosen, is NaN. Pictures are
    stored without loss.

    Args:
        dataset_id: such as "doorkey/attention-v0"; must not exist yet.
        recording: with the observation that the last action of each episode led to.
        episodes: how many, from the first; None means all.

    Returns:
        The id, for `minari.load_dataset`.

    Raises:
        ValueError: Minari is not installed, refuses the id, has it already, or the recording is
            empty, has fewer episodes or lacks their last observation.

    Source: Younis et al. 2024, Minari, https://minari.farama.org.
    """
    try:
        import h5py  # noqa: F401
        import minari
        from minari.data_collector.episode_buffer import EpisodeBuffer
    except ImportError as error:
        raise ValueError(f"Minari is not installed: {INSTALL}") from error
    buffers = []
    for number, episode in enumerate(_select_episodes(recording, episodes)):
        if episode.final is None:
            raise ValueError(f"{episode.folder} was cut short: Minari needs its last observation")
        buffers.append(EpisodeBuffer(id=number, seed=episode.seed, **_minari_fields(episode)))
    header = recording.header
    try:
        with warnings.catch_warnings():  # about an author and an environment, which are optional
            warnings.simplefilter("ignore")
            minari.create_dataset_from_buffers(
                dataset_id,
                buffers,
                observation_space=_observation_space(buffers[0].observations),
                action_space=_action_space(header, np.asarray(buffers[0].actions)),
                algorithm_name=header.algo or None,
                description=f"{header.env_id}, with {_content_text(header)} of the agent",
                data_format="hdf5",
                jpeg_encoding=False,
            )
    except (ValueError, AssertionError, OSError) as error:
        raise ValueError(f"Minari refuses the dataset {dataset_id!r}: {error}") from error
    return dataset_id


def _minari_fields(episode: Episode) -> dict[str, Any]:
    arrays = episode_arrays(episode)
    keys = episode.header.observation_keys
    rows = {}
    for key in keys:
        before, last = (
            f"{name}/{key}".removesuffix("/") for name in ("observation", "final_observation")
        )
        rows[key] = np.concatenate([arrays[before], arrays[last][None]])  # (T + 1, ...)
    infos: dict[str, Any] = {name: _append_empty(arrays[name]) for name in ("mask", "boxes", "ids")}
    for group in ("attention", "soft", "heads"):
        columns = {
            name.split("/", 1)[1].replace("/", "_"): _append_empty(array)
            for name, array in arrays.items()
            if name.startswith(f"{group}/")
        }
        infos |= {group: columns} if columns else {}
    infos |= {
        name: _append_empty(arrays[name])
        for name in ("evidence", "value", "distribution")
        if name in arrays
    }
    return {
        "observations": rows[""] if keys == ("",) else rows,
        "actions": arrays["action"],
        "rewards": arrays["reward"],
        "terminations": arrays["terminated"],
        "truncations": arrays["truncated"],
        "infos": infos,
    }


def _content_text(header: Header) -> str:
    parts = ["the attention maps"] * bool(header.maps) + ["the evidence"] * bool(header.evidence)
    return " and ".join(parts)


def _append_empty(rows: np.ndarray) -> np.ndarray:
    """Append a row for the observation after the last action, all NaN, False or -1."""
    empty = {"f": np.nan, "b": False, "i": -1}[rows.dtype.kind]
    return np.concatenate([rows, np.full_like(rows[:1], empty)])


def _observation_space(observations: Any) -> spaces.Space:
    if isinstance(observations, dict):
        return spaces.Dict({key: _observation_space(rows) for key, rows in observations.items()})
    dtype = observations.dtype
    if dtype.kind == "f":
        return spaces.Box(-np.inf, np.inf, observations.shape[1:], dtype)
    if dtype.kind == "b":
        return spaces.MultiBinary(observations.shape[1:])
    return spaces.Box(np.iinfo(dtype).min, np.iinfo(dtype).max, observations.shape[1:], dtype)


def _action_space(header: Header, actions: np.ndarray) -> spaces.Space:
    if header.action_kind == "discrete":
        return spaces.Discrete(header.action_sizes[0])
    if header.action_kind == "multi_discrete":
        return spaces.MultiDiscrete(list(header.action_sizes))
    if header.action_kind == "multi_binary":
        return spaces.MultiBinary(header.action_count)
    bounds = header.action_bounds or ((-np.inf, np.inf),) * header.action_count
    low, high = (
        np.array(limits, actions.dtype).reshape(actions.shape[1:])
        for limits in zip(*bounds, strict=True)
    )
    return spaces.Box(low, high, dtype=actions.dtype.type)


def _select_episodes(recording: Recording, count: int | None) -> list[Episode]:
    episodes = [episode for episode in recording.episodes if len(episode)]
    if not episodes:
        raise ValueError(f"{recording.folder} holds no step: its recording was cut short")
    if count is not None and not 1 <= count <= len(episodes):
        raise ValueError(f"episodes must be 1 to {len(episodes)} in this recording, got {count}")
    return episodes[:count]
