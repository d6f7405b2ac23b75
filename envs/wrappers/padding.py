"""Observations of varying length as tables of entities, each with a presence column."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.spaces import MAX_TOKENS, TokenBox, choice_counts
from attention_agents.envs.tokens.specs import Entities
from attention_agents.envs.wrappers.space_tree import (
    Path,
    get_at_path,
    iterate_leaves,
    space_members,
)

MAX_ENTITIES = 32
"""Rows of a table by default."""

Pad = Callable[[Any], Any]
"""Brings an observation of the original space into the padded one."""


class TooManyEntitiesError(ValueError):
    """An observation holds more entities than its table has rows; the text says what to do."""


class PadSequences(gym.ObservationWrapper):
    """Observe each Sequence and Graph as a table of `max_entities` entities; 0 where there is none.

    Column 0 of a row is 1 where an entity is present, whatever its features, and 0 where none is.
    The features follow, numbers as they are and choices one-hot. A Graph gives the entities `nodes`
    and, if its edges have a space, `edges`: then a node tells its index, and an edge those of its
    source and target, all divided by `max_entities - 1`.

    >>> space = spaces.Sequence(spaces.Box(-1, 1, (2,)))
    >>> table, pad = pad_space(space, max_entities=3)
    >>> pad((np.array([0.5, -1]), np.zeros(2))).tolist()
    [[1.0, 0.5, -1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]

    Args:
        env: its observation may hold Sequences and Graphs at any depth of Dict and Tuple. Features
            are Box, Discrete, MultiDiscrete, MultiBinary, or Dict and Tuple of these.
        max_entities: of each Sequence; of the nodes and of the edges of each Graph.

    Raises:
        ValueError: `max_entities` is not 1 to `MAX_TOKENS`, or features are of an unsupported
            space.
        TooManyEntitiesError: an observation holds more entities than fit.
    """

    def __init__(self, env: gym.Env, max_entities: int = MAX_ENTITIES):
        super().__init__(env)
        self.observation_space, self._pad = pad_space(env.observation_space, max_entities)

    def observation(self, observation: Any) -> Any:
        return self._pad(observation)


def pad_sequences(env: gym.Env, max_entities: int = MAX_ENTITIES) -> gym.Env:
    """Wrap an environment in `PadSequences`, if its observation varies in length."""
    leaves = [leaf for _, leaf in iterate_leaves(env.observation_space)]
    varies = any(isinstance(leaf, (spaces.Sequence, spaces.Graph)) for leaf in leaves)
    return PadSequences(env, max_entities) if varies else env


def pad_space(space: spaces.Space, max_entities: int) -> tuple[spaces.Space, Pad]:
    """Return the space without Sequence and Graph, and what brings observations into it.

    Raises:
        ValueError: see `PadSequences`.
    """
    if max_entities < 1:
        raise ValueError(f"max_entities must be at least 1, got {max_entities}")
    if max_entities > MAX_TOKENS:
        raise ValueError(
            f"max_entities must be at most {MAX_TOKENS}, the most tokens that can be attended to, "
            f"got {max_entities}"
        )
    return _pad_member(space, (), max_entities)


def _pad_member(space: spaces.Space, path: Path, max_rows: int) -> tuple[spaces.Space, Pad]:
    if isinstance(space, spaces.Sequence):
        label = path[-1] if path and isinstance(path[-1], str) else "entity"
        table = _EntityTable(space.feature_space, path, label, max_rows, stacked=space.stack)
        return table.space, table.fill_rows
    if isinstance(space, spaces.Graph):
        return _pad_graph(space, path, max_rows)
    if not isinstance(space, (spaces.Dict, spaces.Tuple)):
        return space, lambda value: value
    members = [
        (key, *_pad_member(member, (*path, key), max_rows)) for key, member in space_members(space)
    ]
    if isinstance(space, spaces.Dict):
        padded = [(key, part) for key, part, _ in members]
        return spaces.Dict(padded), lambda obs: {key: pad(obs[key]) for key, _, pad in members}
    padded = [part for _, part, _ in members]
    return spaces.Tuple(padded), lambda obs: tuple(pad(obs[index]) for index, _, pad in members)


def _pad_graph(space: spaces.Graph, path: Path, max_rows: int) -> tuple[spaces.Space, Pad]:
    if space.edge_space is None:
        table = _EntityTable(space.node_space, path, "node", max_rows, stacked=True)
        return table.space, lambda graph: table.fill_rows(graph.nodes)
    nodes = _EntityTable(space.node_space, path, "node", max_rows, True, links=("index",))
    edges = _EntityTable(space.edge_space, path, "edge", max_rows, True, ("source", "target"))
    scale = 1 / max(max_rows - 1, 1)
    index = np.arange(max_rows, dtype=np.float32)[:, None] * scale

    def pad(graph: spaces.GraphInstance) -> dict[str, np.ndarray]:
        if graph.edges is None or graph.edge_links is None:
            edge_rows = edges.empty.copy()
        else:
            edge_rows = edges.fill_rows(graph.edges, graph.edge_links * scale)
        return {"nodes": nodes.fill_rows(graph.nodes, index), "edges": edge_rows}

    return spaces.Dict([("nodes", nodes.space), ("edges", edges.space)]), pad


class _EntityTable:
    """Entities of one space as rows: presence, links to other rows, features."""

    def __init__(
        self,
        space: spaces.Space,
        path: Path,
        label: str,
        max_rows: int,
        stacked: bool,
        links: tuple[str, ...] = (),
    ):
        self._place = "/".join(map(str, path)) or "the observation"
        self._label, self._stacked, self._links = label, stacked, len(links)
        self._features = [_Feature.from_space(*leaf) for leaf in iterate_leaves(space)]
        if not self._features:
            raise ValueError(f"entities need features, got {space} in {self._place}")
        flat: Any = spaces.flatten_space(space)
        start = 1 + len(links)
        with np.errstate(over="ignore"):  # bounds beyond 32 bits become infinite
            low = np.append(np.zeros(start), np.minimum(flat.low, 0)).astype(np.float32)
            high = np.append(np.ones(start), np.maximum(flat.high, 0)).astype(np.float32)
        names = ("presence", *links, *(name for part in self._features for name in part.names))
        shape = (max_rows, len(names))
        self.empty = np.zeros(shape, np.float32)
        self.space = TokenBox(
            np.broadcast_to(low, shape),
            np.broadcast_to(high, shape),
            shape,
            tokens=Entities(max_rows, names, presence=0, label=label),
        )

    def fill_rows(self, items: Any, links: np.ndarray | None = None) -> np.ndarray:
        """Return the (max_rows, F) table of some entities.

        Args:
            items: a sequence of members of the space, or a batch of them where they are stacked.
            links: a row of numbers for each entity; more rows than entities are left out.
        """
        columns = [feature.columns(items, self._stacked) for feature in self._features]
        count, max_rows = len(columns[0]), len(self.empty)
        if count > max_rows:
            advice = f"train with --max-entities {count} or more (max_entities in Python)"
            if count > MAX_TOKENS:
                advice = f"observe at most {MAX_TOKENS}, such as the nearest, in a wrapper"
            raise TooManyEntitiesError(
                f"{self._place} holds {count} entities ({self._label}), and there is room for "
                f"{max_rows}; {advice}"
            )
        table, start = self.empty.copy(), 1 + self._links  # (max_rows, 1 + links + features)
        table[:count, 0] = 1
        if links is not None:
            table[:count, 1:start] = links[:count]
        table[:count, start:] = np.concatenate(columns, 1, dtype=np.float32, casting="unsafe")
        return table


class _Feature(NamedTuple):
    """One array of an entity's features."""

    path: Path
    space: spaces.Space
    names: tuple[str, ...]
    """One per column."""

    @classmethod
    def from_space(cls, path: Path, space: spaces.Space) -> _Feature:
        if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
            stem, count = "choice ", sum(choice_counts(space))
        elif isinstance(space, (spaces.Box, spaces.MultiBinary)):
            stem, count = "x", math.prod(space.shape)
        else:
            raise ValueError(
                f"entities with features of {space} are not supported; supported are Box, "
                "Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of these"
            )
        name = "/".join(map(str, path))
        if name and count == 1:
            return cls(path, space, (name,))
        return cls(
            path, space, tuple(f"{name} {i}" if name else f"{stem}{i}" for i in range(count))
        )

    def columns(self, items: Any, stacked: bool) -> np.ndarray:
        """Return the (n, columns) numbers of n entities."""
        if stacked:
            values = get_at_path(items, self.path)
        else:
            values = [get_at_path(item, self.path) for item in items]
        # one row per entity, whatever the shape of the feature: (n, numbers)
        values = np.reshape(values, (len(values), math.prod(self.space.shape or ())))
        if not isinstance(self.space, (spaces.Discrete, spaces.MultiDiscrete)):
            return values
        chosen = values.astype(np.int64) - np.ravel(self.space.start)  # (n, parts), from 0
        counts = enumerate(choice_counts(self.space))
        return np.concatenate([np.eye(n, dtype=np.float32)[chosen[:, i]] for i, n in counts], 1)
