"""Observations of varying length as tables of entities, each with a presence column."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.spaces import MAX_TOKENS, TokenBox
from attention_agents.envs.tokens.specs import Entities

MAX_ENTITIES = 32
"""Rows of a table, when nobody says how many."""

Pad = Callable[[Any], Any]


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
    return PadSequences(env, max_entities) if _varies(env.observation_space) else env


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
    return _padded(space, (), max_entities)


def _varies(space: spaces.Space) -> bool:
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        return any(_varies(member) for _, member in _members(space))
    return isinstance(space, (spaces.Sequence, spaces.Graph))


def _members(space: spaces.Dict | spaces.Tuple) -> list[tuple[Any, spaces.Space]]:
    if isinstance(space, spaces.Dict):
        return list(space.spaces.items())
    return list(enumerate(space.spaces))


def _padded(space: spaces.Space, path: tuple[Any, ...], most: int) -> tuple[spaces.Space, Pad]:
    if isinstance(space, spaces.Sequence):
        label = path[-1] if path and isinstance(path[-1], str) else "entity"
        table = _Table(space.feature_space, path, label, most, stacked=space.stack)
        return table.space, table.filled
    if isinstance(space, spaces.Graph):
        return _padded_graph(space, path, most)
    if not isinstance(space, (spaces.Dict, spaces.Tuple)):
        return space, lambda part: part
    parts = [(key, *_padded(part, (*path, key), most)) for key, part in _members(space)]
    if isinstance(space, spaces.Dict):
        members = [(key, part) for key, part, _ in parts]
        return spaces.Dict(members), lambda obs: {key: pad(obs[key]) for key, _, pad in parts}
    members = [part for _, part, _ in parts]
    return spaces.Tuple(members), lambda obs: tuple(pad(obs[index]) for index, _, pad in parts)


def _padded_graph(
    space: spaces.Graph, path: tuple[Any, ...], most: int
) -> tuple[spaces.Space, Pad]:
    if space.edge_space is None:
        nodes = _Table(space.node_space, path, "node", most, stacked=True)
        return nodes.space, lambda graph: nodes.filled(graph.nodes)
    nodes = _Table(space.node_space, path, "node", most, True, links=("index",))
    edges = _Table(space.edge_space, path, "edge", most, True, links=("source", "target"))
    scale = 1 / max(most - 1, 1)
    index = np.arange(most, dtype=np.float32)[:, None] * scale

    def pad(graph: spaces.GraphInstance) -> dict[str, np.ndarray]:
        if graph.edges is None or graph.edge_links is None:
            linked = edges.empty.copy()
        else:
            linked = edges.filled(graph.edges, graph.edge_links * scale)
        return {"nodes": nodes.filled(graph.nodes, index), "edges": linked}

    return spaces.Dict([("nodes", nodes.space), ("edges", edges.space)]), pad


class _Table:
    """Entities of one space as rows: presence, links to other rows, features."""

    def __init__(
        self,
        space: spaces.Space,
        path: tuple[Any, ...],
        label: str,
        most: int,
        stacked: bool,
        links: tuple[str, ...] = (),
    ):
        self._where = "/".join(map(str, path)) or "the observation"
        self._label, self._stacked, self._links = label, stacked, len(links)
        self._leaves = list(_leaves(space, ()))
        if not self._leaves:
            raise ValueError(f"entities need features, got {space} in {self._where}")
        names = ("presence", *links, *(name for leaf in self._leaves for name in leaf.names))
        low, high = (np.concatenate(bounds) for bounds in zip(*self._bounds(), strict=True))
        self.empty = np.zeros((most, len(names)), np.float32)
        self.space = TokenBox(
            np.broadcast_to(low, self.empty.shape),
            np.broadcast_to(high, self.empty.shape),
            self.empty.shape,
            tokens=Entities(most, names, presence=0, label=label),
        )

    def filled(self, items: Any, links: np.ndarray | None = None) -> np.ndarray:
        """Return the (most, F) table of some entities.

        Args:
            items: a sequence of members of the space, or a batch of them where they are stacked.
            links: a row of numbers for each entity; more rows than entities are left out.
        """
        columns = [leaf.columns(items, self._stacked) for leaf in self._leaves]
        count, most = len(columns[0]), len(self.empty)
        if count > most:
            advice = f"train with --max-entities {count} or more (max_entities in Python)"
            if count > MAX_TOKENS:
                advice = f"observe at most {MAX_TOKENS}, such as the nearest, in a wrapper"
            raise TooManyEntitiesError(
                f"{self._where} holds {count} entities ({self._label}), and there is room for "
                f"{most}; {advice}"
            )
        table = self.empty.copy()
        table[:count, 0] = 1
        start = 1 + self._links
        if links is not None:
            table[:count, 1:start] = links[:count]
        for part in columns:
            end = start + part.shape[1]
            table[:count, start:end] = part
            start = end
        return table

    def _bounds(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield np.zeros(1 + self._links, np.float32), np.ones(1 + self._links, np.float32)
        for leaf in self._leaves:
            yield leaf.bounds()


class _Leaf(NamedTuple):
    """One array of an entity's features."""

    path: tuple[Any, ...]
    """Keys and indices that lead to it."""
    space: spaces.Space
    names: tuple[str, ...]
    """One per column."""

    def columns(self, items: Any, stacked: bool) -> np.ndarray:
        """Return the (n, columns) numbers of n entities."""
        values = _at(items, self.path) if stacked else [_at(item, self.path) for item in items]
        values = np.reshape(values, (len(values), math.prod(self.space.shape or ())))
        if not isinstance(self.space, (spaces.Discrete, spaces.MultiDiscrete)):
            return values
        chosen = values.astype(np.int64) - np.ravel(self.space.start)
        sizes = enumerate(_sizes(self.space))
        return np.concatenate([np.eye(n, dtype=np.float32)[chosen[:, i]] for i, n in sizes], 1)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the largest number of each column, with 0 between them."""
        if not isinstance(self.space, spaces.Box):
            return np.zeros(len(self.names), np.float32), np.ones(len(self.names), np.float32)
        low, high = np.minimum(self.space.low, 0).ravel(), np.maximum(self.space.high, 0).ravel()
        with np.errstate(over="ignore"):  # bounds beyond 32 bits become infinite
            return low.astype(np.float32), high.astype(np.float32)


def _leaves(space: spaces.Space, path: tuple[Any, ...]) -> Iterator[_Leaf]:
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        for key, member in _members(space):
            yield from _leaves(member, (*path, key))
    elif isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        yield _Leaf(path, space, _names(path, "choice ", int(np.sum(_sizes(space)))))
    elif isinstance(space, (spaces.Box, spaces.MultiBinary)):
        yield _Leaf(path, space, _names(path, "x", math.prod(space.shape)))
    else:
        raise ValueError(
            f"entities with features of {space} are not supported; supported are Box, Discrete, "
            "MultiDiscrete, MultiBinary, and Dict and Tuple of these"
        )


def _names(path: tuple[Any, ...], stem: str, count: int) -> tuple[str, ...]:
    name = "/".join(map(str, path))
    if name and count == 1:
        return (name,)
    return tuple(f"{name} {i}" if name else f"{stem}{i}" for i in range(count))


def _sizes(space: spaces.Discrete | spaces.MultiDiscrete) -> np.ndarray:
    return np.ravel(space.n if isinstance(space, spaces.Discrete) else space.nvec)


def _at(item: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        item = item[step]
    return item
