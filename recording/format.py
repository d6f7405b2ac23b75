"""What a recording is: its header, its steps, and the files that hold them.

    FOLDER/recording.json                  the header: what was recorded, and what the numbers mean
    FOLDER/episode_0000/episode.json       seed; at the end steps, return, sha256 per chunk
    FOLDER/episode_0000/chunk_00000.npz    64 steps
    FOLDER/episode_0000/final.npz          the observation and frame that the last action led to

Everything is JSON or a numpy array without pickles. `recording.writer` writes it and
`recording.reader` reads it; neither needs torch, nor the model that was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from envs.layout import TokenLayout, TokenPlaces

SCHEMA = 1
FORMAT = "attention recording"
HEADER_FILE = "recording.json"
EPISODE_FILE = "episode.json"
FINAL_FILE = "final.npz"
CHUNK_STEPS = 64

Queries = Literal["readout", "tokens"]
ActionKind = Literal["discrete", "multi_discrete", "multi_binary", "continuous"]
Distribution = Literal["probabilities", "q_values", "gaussian"]


@dataclass(frozen=True)
class MapSpec:
    """One attention module whose weights are stored at every step."""

    name: str
    """Role and layer, such as "actor/1"."""
    role: str
    """Who attends: "actor", "critic" or "online" (Q values)."""
    layer: int
    """0 is the layer next to the observation."""
    heads: int
    queries: Queries
    """Who asks: the readout (1 row), or every token (N rows)."""
    normalised_over: str = "keys"
    derived: str = ""
    """How the stored rows were computed from the module's own, such as "mean over queries"; empty
    where they are the module's own."""
    asker: str = ""
    """Whose query a readout's row is: "ego" or "learned query"; empty where nobody said."""


@dataclass(frozen=True)
class Header:
    """What was recorded, and what the numbers of every step mean."""

    env_id: str
    layout: TokenLayout
    """The N tokens, in the order of the last axis of every map."""
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
        if data.get("schema") != SCHEMA:
            raise ValueError(f"it has schema {data.get('schema')!r}, this version reads {SCHEMA}")
        own = {key: value for key, value in data.items() if key not in _NOT_OWN}
        try:
            layout = TokenLayout.from_json(own.pop("layout"))
            maps = tuple(_typed(MapSpec, spec) for spec in own.pop("maps"))
            return _typed(cls, own, layout=layout, maps=maps)
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
    """(H, Q, N) float32 by map name; read back within 1/255 of each row's largest weight."""
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

    @property
    def count(self) -> int:
        """N, the number of tokens."""
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


def read_json(text: bytes) -> Any:
    """Parse JSON; NaN and infinity are refused.

    Raises:
        ValueError: it is no JSON.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not allowed")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write_json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()


def _check_choices(header: Header) -> None:
    hints = get_type_hints(Header)
    for name in ("action_kind", "distribution", "picture", "map_dtype"):
        value = getattr(header, name)
        if value not in get_args(hints[name]):
            raise ValueError(f"{name} must be one of {get_args(hints[name])}, got {value!r}")
    for spec in header.maps:
        if spec.queries not in get_args(Queries) or spec.heads < 1:
            raise ValueError(f"not an attention map: {spec}")


_NOT_OWN = ("format", "schema", "seed")
"""Keys of a header's JSON that are no fields; the first recordings had a seed that was always null,
an episode has its own."""
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "layer": (int,),
    "heads": (int,),
    "fps": (int, float),
    "versions": (dict,),
    "observation_keys": (list,),
    "action_sizes": (list,),
    "action_names": (list, type(None)),
    "action_bounds": (list, type(None)),
}
"""JSON types of the fields of `Header` and `MapSpec`; the others are strings."""
_ITEMS: dict[str, type] = {"observation_keys": str, "action_sizes": int, "action_names": str}


def _typed(cls: Any, data: dict[str, Any], **ready: Any) -> Any:
    """Build a dataclass from JSON values, each of the type that its field wants."""
    values = {}
    for key, value in data.items():
        wrong = not isinstance(value, _JSON_TYPES.get(key, (str,))) or isinstance(value, bool)
        if isinstance(value, list):
            value = tuple(_pair(item) for item in value) if key == "action_bounds" else tuple(value)
            wrong = wrong or any(type(item) is not _ITEMS.get(key, tuple) for item in value)
        if wrong:
            raise ValueError(f"it is damaged: {key} is {str(value)[:60]!r}")
        values[key] = value
    return cls(**values, **ready)


def _pair(item: Any) -> tuple[float, float]:
    low, high = item
    return float(low), float(high)
