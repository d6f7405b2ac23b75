"""What removing tokens does to the policy, stored beside a recording; numpy alone.

    RECORDING/episode_0000/scores.npz   step by step: what changes when a token is removed
    RECORDING/scores.json               all scored episodes together: the numbers, and the verdict

`agents.faithfulness` writes both. A recording without them is whole as well.
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

SCORES_FILE = "scores.npz"
SUMMARY_FILE = "scores.json"
SUMMARY_FORMAT = "attention scores"
SUMMARY_SCHEMA = 1
LONGEST_UNIT = 80
"""Characters."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What removing each token changes, step by step, and in an episode's scored steps alone."""

    steps: np.ndarray
    """(S,) int64, the steps that were scored, in their order: all of the episode, or a sample."""
    causal: np.ndarray
    """(S, N) float32, how much the policy changes without token n, >= 0, in `unit`; 0 for absent
    tokens."""
    distribution: np.ndarray
    """(S, N, A) or (S, N, 3, A) float, see `Header.distribution`, without token n."""
    action: np.ndarray
    """(S, N, ...), the likeliest action without token n."""
    value: np.ndarray | None
    """(S, N) float32, what the critic says without token n; None where it cannot be told."""
    unit: str
    """Of `causal`, in words, such as "KL, nats"."""
    true: np.ndarray | None = None
    """(S, N) bool, the tokens that the environment itself knows to matter at this step, none where
    they are not in sight; None where it does not know."""

    def __post_init__(self) -> None:
        S, N = self.causal.shape if self.causal.ndim == 2 else (-1, -1)
        per_step = ("distribution", "action", "value", "true")
        rows = {name: getattr(self, name) for name in per_step}
        shapes = {name: rows[name].shape for name in per_step if rows[name] is not None}
        said = self.distribution.ndim
        if (
            self.steps.shape != (S,)
            or any(shape[:2] != (S, N) for shape in shapes.values())
            or any(len(shapes[name]) != 2 for name in ("value", "true") if name in shapes)
            or (said != 3 and (said != 4 or self.distribution.shape[2] != 3))
        ):
            raise ValueError(
                f"scores of S steps and N tokens do not fit together: steps {self.steps.shape}, "
                f"causal {self.causal.shape}, {shapes}"
            )
        types = {"steps": "iu", "causal": "f", "distribution": "f", "action": "iufb", "value": "f"}
        for name, kinds in (types | {"true": "b"}).items():
            array = getattr(self, name)
            if array is not None and array.dtype.kind not in kinds:
                raise ValueError(f"{name} of scores cannot be of {array.dtype}")
        if (np.diff(self.steps) <= 0).any() or (self.steps < 0).any():
            raise ValueError("steps of scores must be >= 0, each after the one before")
        if not np.isfinite(self.causal).all() or (self.causal < 0).any():
            raise ValueError("causal of scores must be finite and >= 0")
        if not 0 < len(self.unit) <= LONGEST_UNIT or not self.unit.isprintable():
            raise ValueError(f"unit of scores must be a short text, got {self.unit[:99]!r}")

    def row(self, step: int) -> int | None:
        """Return which of the S rows is of this step of the episode; None where it was left out."""
        place = int(np.searchsorted(self.steps, step))
        found = place < len(self.steps) and self.steps[place] == step
        return place if found else None

    def check(self, header: Header, length: int) -> None:
        """Refuse scores that are not those of an episode.

        Args:
            header: of its recording.
            length: how many steps it has.

        Raises:
            ValueError: steps, tokens or actions are others.
        """
        N, A = len(header.layout), header.action_count
        said = (N, 3, A) if header.distribution == "gaussian" else (N, A)
        last = int(self.steps[-1]) if len(self.steps) else -1
        if self.causal.shape[1] != N or self.distribution.shape[1:] != said or last >= length:
            raise ValueError(
                f"they are of another recording: step {last} of {length}, {self.causal.shape[1]} "
                f"tokens of {N}, distributions {self.distribution.shape[1:]} in place of {said}"
            )


def write_scores(folder: str | Path, scores: Scores) -> None:
    """Write the scores of an episode; those that lie there are replaced.

    Args:
        folder: of the episode.
        scores: what removing tokens does in it.

    Raises:
        ValueError: the folder cannot be written.
    """
    arrays = {f.name: getattr(scores, f.name) for f in fields(Scores)}
    with atomic_write(Path(folder) / SCORES_FILE) as file:
        write_arrays(file, {k: np.asarray(v) for k, v in arrays.items() if v is not None})


def read_scores(folder: str | Path) -> Scores | None:
    """Read the scores of an episode; None where there are none.

    Raises:
        ValueError: they are damaged; the message names the file.
    """
    path = Path(folder) / SCORES_FILE
    if not path.exists():
        return None
    arrays: dict[str, Any] = {"value": None, "true": None, **read_arrays(path)}
    try:
        unit = arrays.pop("unit")
        if unit.shape != () or unit.dtype.kind != "U":
            raise ValueError("unit is no text")
        return Scores(**arrays, unit=str(unit))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error})") from error


def write_summary(folder: str | Path, summary: dict[str, Any]) -> Path:
    """Write what the scores of a recording come to, and return the path.

    Args:
        folder: of the recording.
        summary: JSON with a "verdict".

    Raises:
        ValueError: the folder cannot be written.
    """
    path = Path(folder) / SUMMARY_FILE
    write_json(path, {"format": SUMMARY_FORMAT, "schema": SUMMARY_SCHEMA, **summary})
    return path


def read_summary(folder: str | Path) -> dict[str, Any] | None:
    """Read what the scores of a recording come to; None where there are none.

    Raises:
        ValueError: it is damaged, or of another format or schema; the message names the file.
    """
    path = Path(folder) / SUMMARY_FILE
    if not path.exists():
        return None
    summary = read_document(path, SUMMARY_FORMAT, (SUMMARY_SCHEMA,))
    with error_context(f"{path} is damaged"):
        for name, kind in {"verdict": str, "unit": str, "maps": tuple[Any, ...]}.items():
            read_value(summary.get(name), kind, name)
    return summary
