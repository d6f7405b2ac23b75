"""What a recording is: its header, its steps, and the files that hold them.

    FOLDER/recording.json                  the header: what was recorded, and what the numbers mean
    FOLDER/episode_0000/episode.json       seed; at the end steps, return, sha256 per chunk
    FOLDER/episode_0000/chunk_00000.npz    64 steps
    FOLDER/episode_0000/final.npz          the observation and frame that the last action led to

Everything is JSON or a numpy array without pickles. `recording.writer` writes it and
`recording.reader` reads it; neither needs torch, nor the model that was recorded.

Recordings of schema 1 are read as well: there, all maps were over tokens and normalised over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from attention_agents.envs.tokens.layout import TokenLayout, TokenPlaces
from attention_agents.recording.map_spec import MapSpec, check_map
from attention_agents.recording.plain_json import typed

SCHEMA = 2
READABLE = (1, 2)
"""Schemas that are read."""
FORMAT = "attention recording"
HEADER_FILE = "recording.json"
EPISODE_FILE = "episode.json"
FINAL_FILE = "final.npz"
CHUNK_STEPS = 64
EARLY_STEPS = 32
"""A chunk that is still growing is on the disk when it has so many steps: a kill loses no more."""

ActionKind = Literal["discrete", "multi_discrete", "multi_binary", "continuous"]
Distribution = Literal["probabilities", "q_values", "gaussian"]


@dataclass(frozen=True)
class Header:
    """What was recorded, and what the numbers of every step mean."""

    env_id: str
    layout: TokenLayout
    """The N tokens, in the order of the last axis of every map that reads tokens."""
    maps: tuple[MapSpec, ...]
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
    """What values are measured in, such as "normalised"; empty for the rewards' own unit."""
    map_dtype: Literal["uint8", "float32"] = "uint8"
    """How weights are stored, see `stored_as`."""
    algo: str = ""
    run: str = ""
    created: str = ""
    """Time of the recording, ISO 8601."""
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_choices(self)
        strangers = {group.key for group in self.layout.groups} - set(self.observation_keys)
        if strangers or not all(isinstance(name, str) for name in self.layout.names):
            raise ValueError(
                f"the token layout does not fit the observation {self.observation_keys}"
            )
        if not self.maps:
            raise ValueError("a recording needs at least one attention map, got none")
        names = [spec.name for spec in self.maps]
        if len(set(names)) != len(names):
            raise ValueError(f"maps must have names of their own, got {names}")
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

    def shape(self, spec: MapSpec) -> tuple[int, int, int]:
        """Return (H, Q, K), the shape of a map at each step."""
        return spec.shape(len(self.layout))

    def stored_as(self, spec: MapSpec) -> Literal["uint8", "float32"]:
        """Return how the weights of a map are stored: those that nothing normalises as float32, for
        they may be below 0."""
        return "float32" if spec.normalised_over == "none" else self.map_dtype

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and dicts; `from_json` reads them back to an equal header."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        own |= {"layout": self.layout.to_json(), "maps": [asdict(spec) for spec in self.maps]}
        return {"format": FORMAT, "schema": SCHEMA, **own, "versions": dict(self.versions)}

    @classmethod
    def from_json(cls, data: Any) -> Header:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is something else, of a later schema, or breaks a rule of the format.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError("it is not the header of a recording")
        if data.get("schema") not in READABLE:
            raise ValueError(
                f"it has schema {data.get('schema')!r}, this version reads 1 to {SCHEMA}"
            )
        own = {key: value for key, value in data.items() if key not in _NOT_OWN}
        try:
            layout = TokenLayout.from_json(own.pop("layout"))
            maps = tuple(typed(MapSpec, spec) for spec in own.pop("maps"))
            return typed(cls, own, layout=layout, maps=maps)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"it is incomplete or damaged ({error})") from error


@dataclass
class Step:
    """One decision: what the policy saw and did, and what came of it.

    Observation, frame, places, maps, value and distribution are of the moment before the action;
    reward, terminated and truncated are what the action brought.
    """

    observation: dict[str, np.ndarray]
    """By key; key "" where the observation is one array."""
    action: np.ndarray
    maps: dict[str, np.ndarray]
    """(H, Q, K) float32 by map name, what was read with; read back within 1/255 of each row's
    largest weight, and 0 exactly where it was 0."""
    frame: np.ndarray | None = None
    """(height, width, 3) uint8, or None where nothing was rendered."""
    distribution: np.ndarray | None = None
    """(A,) or (3, A) float32, see `Header.distribution`; None where the policy did not say."""
    value: float | None = None
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    mask: np.ndarray | None = None
    """(N,) bool, True where a token is present; None means that all are."""
    places: TokenPlaces | None = None
    """Where the tokens stand on the frame; None where nobody knows."""
    attended: bool = True
    """False where the action did not come from the policy, and so the maps are all 0."""
    soft: dict[str, np.ndarray] = field(default_factory=dict)
    """(H, Q, K) float32 by map name, weights before a hard choice, of the maps that make one. What
    was chosen has a weight in `maps`."""
    heads: dict[str, np.ndarray | None] = field(default_factory=dict)
    """(H,) float32 by map name, how much each head counts, averaging 1; None where all count the
    same."""
    shares: dict[str, float] = field(default_factory=dict)
    """By map name, the share of the present tokens that any head and query read, 0 to 1; of other
    keys likewise. Counted when a step is read; who writes one need not say."""

    @property
    def count(self) -> int:
        """N, the number of tokens; without mask and places, the keys of the first map."""
        if self.mask is not None:
            return len(self.mask)
        if self.places is not None:
            return len(self.places.ids)
        return next(iter(self.maps.values())).shape[-1]

    @property
    def present(self) -> np.ndarray:
        """(N,) bool, True where a token is present."""
        return np.ones(self.count, bool) if self.mask is None else self.mask

    @property
    def boxes(self) -> np.ndarray:
        """(N, 4) float32, boxes on the frame; NaN for absent tokens and those without a place."""
        places = self.places or TokenPlaces.unknown(self.count)
        return np.where(self.present[:, None], places.boxes, np.float32(np.nan))


def _check_choices(header: Header) -> None:
    hints = get_type_hints(Header)
    for name in ("action_kind", "distribution", "picture", "map_dtype"):
        value = getattr(header, name)
        if value not in get_args(hints[name]):
            raise ValueError(f"{name} must be one of {get_args(hints[name])}, got {value!r}")
    for spec in header.maps:
        check_map(spec, len(header.layout))


_NOT_OWN = ("format", "schema", "seed")
"""Keys of a header's JSON that are no fields; the first recordings had a seed that was always null,
an episode has its own."""
