"""What removing single tokens does to the policy, stored beside a recording; numpy alone.

    RECORDING/episode_0000/scores.npz   step by step: what changes when a token is removed
    RECORDING/scores.json               the faithfulness of the maps in all episodes, and a verdict

`agents.faithfulness` writes both. A recording is complete without them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from attention_agents.envs.tokens.json_reader import error_context, read_value
from attention_agents.recording.chunk import read_arrays, write_arrays
from attention_agents.recording.files import atomic_write
from attention_agents.recording.header import Header
from attention_agents.recording.json_files import read_document, write_json

LEAVE_ONE_OUT_FILE = "scores.npz"
STORED_NAMES = {"ground_truth": "true"}
"""Names of arrays in that file, where they are not those of the fields."""
FAITHFULNESS_FILE = "scores.json"
FAITHFULNESS_FORMAT = "attention scores"
FAITHFULNESS_SCHEMA = 1
MAX_UNIT_LENGTH = 80
"""Characters."""


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """What the policy says without each token, at some steps of an episode."""

    steps: np.ndarray
    """(S,) int64, ascending: all steps of the episode, or a sample."""
    causal: np.ndarray
    """(S, N) float32, how much the policy changes without token n, >= 0, in `unit`; 0 for absent
    tokens."""
    distribution: np.ndarray
    """(S, N, A) or (S, N, 3, A) float, see `Header.distribution`, without token n."""
    action: np.ndarray
    """(S, N, ...), the likeliest action without token n."""
    value: np.ndarray | None
    """(S, N) float32, the critic's value without token n; None where it is unknown."""
    unit: str
    """Of `causal`, in words, such as "KL, nats"."""
    ground_truth: np.ndarray | None = None
    """(S, N) bool, the tokens that the environment itself knows to matter at this step, none where
    they are not in sight; None where it does not know."""
    margin_drop: np.ndarray | None = None
    """(S, M, N) float32, how much less the action taken is preferred without token n, for each of
    the M parts of an action; of a continuous action, how much smaller each number of it is. NaN
    where a part had one valid choice; None in older files."""

    def __post_init__(self) -> None:
        S, N = self.causal.shape if self.causal.ndim == 2 else (-1, -1)
        kinds = {"steps": "iu", "causal": "f", "distribution": "f", "action": "iufb", "value": "f"}
        kinds["ground_truth"] = "b"
        arrays = {name: getattr(self, name) for name in kinds if getattr(self, name) is not None}
        shapes = {name: array.shape for name, array in arrays.items()}
        rows = shapes["distribution"][2:]
        if (
            shapes["steps"] != (S,)
            or any(shape[:2] != (S, N) for name, shape in shapes.items() if name != "steps")
            or any(len(shapes.get(name, (S, N))) != 2 for name in ("value", "ground_truth"))
            or (len(rows) != 1 and (len(rows) != 2 or rows[0] != 3))
        ):
            raise ValueError(f"scores of S steps and N tokens do not fit together: {shapes}")
        for name, array in arrays.items():
            if array.dtype.kind not in kinds[name]:
                raise ValueError(f"{name} of scores cannot be of {array.dtype}")
        drop = self.margin_drop
        if drop is not None and (drop.ndim != 3 or drop[:, 0].shape != (S, N)):
            raise ValueError(f"margin_drop of scores must be (S, M, N), got {drop.shape}")
        if drop is not None and (drop.dtype.kind != "f" or np.isinf(drop).any()):
            raise ValueError("margin_drop of scores must be finite numbers, or NaN")
        if (np.diff(self.steps) <= 0).any() or (self.steps < 0).any():
            raise ValueError("steps of scores must be >= 0, each after the one before")
        if not np.isfinite(self.causal).all() or (self.causal < 0).any():
            raise ValueError("causal of scores must be finite and >= 0")
        if not 0 < len(self.unit) <= MAX_UNIT_LENGTH or not self.unit.isprintable():
            raise ValueError(f"unit of scores must be a short text, got {self.unit[:99]!r}")

    def find_row(self, step: int) -> int | None:
        """Return which of the S rows is of this step of the episode; None where it was left out."""
        row = int(np.searchsorted(self.steps, step))
        return row if row < len(self.steps) and self.steps[row] == step else None

    def check_episode(self, header: Header, length: int) -> None:
        """Refuse scores that are not those of an episode.

        Args:
            header: of its recording.
            length: how many steps it has.

        Raises:
            ValueError: steps, tokens or actions are others.
        """
        N, A = len(header.layout), header.action_count
        expected = (N, 3, A) if header.distribution == "gaussian" else (N, A)
        last = int(self.steps[-1]) if len(self.steps) else -1
        if self.causal.shape[1] != N or self.distribution.shape[1:] != expected or last >= length:
            raise ValueError(
                f"they are of another recording: step {last} of {length}, {self.causal.shape[1]} "
                f"tokens of {N}, distributions {self.distribution.shape[1:]} in place of {expected}"
            )


def write_leave_one_out(folder: str | Path, scores: LeaveOneOut) -> None:
    """Write what removing tokens does in an episode; a file that is there is replaced.

    Args:
        folder: of the episode.

    Raises:
        ValueError: the folder cannot be written.
    """
    arrays = {STORED_NAMES.get(f.name, f.name): getattr(scores, f.name) for f in fields(scores)}
    with atomic_write(Path(folder) / LEAVE_ONE_OUT_FILE) as file:
        write_arrays(file, {k: np.asarray(v) for k, v in arrays.items() if v is not None})


def read_leave_one_out(folder: str | Path) -> LeaveOneOut | None:
    """Read what removing tokens does in an episode; None where that was not computed.

    Raises:
        ValueError: the file is damaged; the message names it.
    """
    path = Path(folder) / LEAVE_ONE_OUT_FILE
    if not path.exists():
        return None
    arrays: dict[str, Any] = {"value": None, **read_arrays(path)}
    fields_by_name = {stored: name for name, stored in STORED_NAMES.items()}
    with error_context(f"{path} is damaged"):
        unit = arrays.pop("unit", np.zeros(0))
        if unit.shape != () or unit.dtype.kind != "U":
            raise ValueError("unit is no text")
        values = {fields_by_name.get(name, name): array for name, array in arrays.items()}
        return LeaveOneOut(**values, unit=str(unit))


def write_faithfulness(folder: str | Path, summary: dict[str, Any]) -> Path:
    """Write the faithfulness of the maps of a recording, and return the path.

    Args:
        folder: of the recording.
        summary: JSON with a "verdict".

    Raises:
        ValueError: the folder cannot be written.
    """
    path = Path(folder) / FAITHFULNESS_FILE
    write_json(path, {"format": FAITHFULNESS_FORMAT, "schema": FAITHFULNESS_SCHEMA, **summary})
    return path


def read_faithfulness(folder: str | Path) -> dict[str, Any] | None:
    """Read the faithfulness of the maps of a recording; None where it was not computed.

    Raises:
        ValueError: it is damaged, or of another format or schema; the message names the file.
    """
    path = Path(folder) / FAITHFULNESS_FILE
    if not path.exists():
        return None
    summary = read_document(path, FAITHFULNESS_FORMAT, (FAITHFULNESS_SCHEMA,))
    with error_context(f"{path} is damaged"):
        for name, kind in {"verdict": str, "unit": str, "maps": tuple[Any, ...]}.items():
            read_value(summary.get(name), kind, name)
    return summary
