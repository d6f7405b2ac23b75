"""The header of a recording: what was recorded, and what the numbers of every step mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from attention_agents.envs.tokens.json_reader import read_object
from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.recording.evidence_spec import EvidenceSpec
from attention_agents.recording.format import FORMAT, SCHEMA
from attention_agents.recording.map_spec import MapSpec, check_map, read_map_spec

ActionKind = Literal["discrete", "multi_discrete", "multi_binary", "continuous"]
Distribution = Literal["probabilities", "q_values", "gaussian"]

_NO_FIELDS = ("format", "schema", "seed")
"""Keys of the JSON that are no fields; the first recordings had a seed that was always null."""


def _read_layout(groups: Any, name: str) -> TokenLayout:
    return TokenLayout.from_json(groups)


@dataclass(frozen=True)
class Header:
    """What was recorded, and what the numbers of every step mean."""

    env_id: str
    layout: Annotated[TokenLayout, _read_layout]
    """The N tokens, in the order of the last axis of every map that reads tokens."""
    maps: tuple[Annotated[MapSpec, read_map_spec], ...]
    """Empty where the policy has no attention; then there is evidence."""
    observation_keys: tuple[str, ...]
    """Parts of the observation; ("",) where it is one array."""
    action_kind: ActionKind
    action_sizes: tuple[int, ...]
    """Choices of each part of the action: (n,) if discrete, nvec, ones (chance of a 1) if binary or
    continuous. They add up to A, the length of the distribution."""
    distribution: Distribution
    """probabilities (A,), q_values (A,), or gaussian (3, A): the mean action and one standard
    deviation below and above it, in the environment's own units."""
    action_names: tuple[str, ...] | None = None
    action_bounds: tuple[tuple[float, float], ...] | None = None
    """Lowest and highest value of each dimension of a continuous action; None if one has none."""
    picture: Literal["frame", "observation"] = "frame"
    """Whether a rendered frame was stored with each step, or the observation is all there is."""
    fps: float = 30.0
    """Steps per second at which the environment is meant to be watched."""
    value_unit: str = ""
    """What values are measured in, such as "normalized"; empty for the rewards' own unit."""
    map_dtype: Literal["uint8", "float32"] = "uint8"
    """How weights are stored, see `storage_dtype`; evidence is int8 or float32 likewise."""
    evidence: EvidenceSpec | None = None
    """What the evidence of each step means; None where none was recorded."""
    algo: str = ""
    run: str = ""
    created: str = ""
    """Time of the recording, ISO 8601."""
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_choices(self)
        if not {group.key for group in self.layout.groups} <= set(self.observation_keys):
            raise ValueError(
                f"the token layout does not fit the observation {self.observation_keys}"
            )
        if not self.maps and self.evidence is None:
            raise ValueError("a recording needs an attention map or evidence, got neither")
        for spec in self.maps:
            check_map(spec, len(self.layout))
        names = [spec.name for spec in self.maps]
        if len(set(names)) != len(names):
            raise ValueError(f"maps must have different names, got {names}")
        if self.action_names is not None and len(self.action_names) != self.action_count:
            raise ValueError(
                f"action_names must name each of the {self.action_count} actions, "
                f"got {len(self.action_names)}"
            )
        if self.action_bounds is not None and len(self.action_bounds) != self.action_count:
            raise ValueError(f"action_bounds must hold {self.action_count} pairs")
        if not 0 < self.fps <= 1000:
            raise ValueError(f"fps must be in (0, 1000], got {self.fps}")

    @property
    def action_count(self) -> int:
        """A, the number of choices or dimensions of the action."""
        return sum(self.action_sizes)

    def map_shape(self, spec: MapSpec) -> tuple[int, int, int]:
        """Return (H, Q, K), the shape of a map at each step."""
        return spec.stored_shape(len(self.layout))

    @property
    def evidence_shape(self) -> tuple[int, int]:
        """(M, N), the shape of the evidence at each step; (0, N) where there is none."""
        M = 0 if self.evidence is None else len(self.evidence.components)
        return M, len(self.layout)

    @property
    def evidence_dtype(self) -> Literal["int8", "float32"]:
        """How evidence is stored."""
        return "float32" if self.map_dtype == "float32" else "int8"

    def storage_dtype(self, spec: MapSpec) -> Literal["uint8", "float32"]:
        """Return how the weights of a map are stored: those that nothing normalizes as float32, for
        they may be below 0."""
        return "float32" if spec.normalized_over == "none" else self.map_dtype

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and dicts; `from_json` reads them back to an equal header."""
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "layout": self.layout.to_json(),
            "maps": [asdict(spec) for spec in self.maps],
            "evidence": None if self.evidence is None else asdict(self.evidence),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Header:
        """Read what `to_json` wrote, here or in an earlier schema.

        Raises:
            ValueError: a field is missing, unknown or of the wrong type, or breaks a rule.
        """
        return read_object(cls, {k: v for k, v in data.items() if k not in _NO_FIELDS})


def _check_choices(header: Header) -> None:
    for name, hint in get_type_hints(Header).items():
        value = getattr(header, name)
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise ValueError(f"{name} must be one of {get_args(hint)}, got {value!r}")
