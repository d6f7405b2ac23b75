"""How an observation is cut for a gate: which parts are numbers, pictures and grids."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

from gymnasium import spaces

from attention_agents.envs.tokens.layout import (
    Conv,
    TokenGroup,
    TokenLayout,
    add_age,
    receptive_boxes,
)
from attention_agents.envs.tokens.spaces import TokenBox, TokenChoice, choose_spec, choose_specs
from attention_agents.envs.tokens.specs import (
    Categories,
    Cells,
    Entities,
    Features,
    Frames,
    History,
    Patches,
    TokenSpec,
)

NATURE = (Conv(32, 8, 4), Conv(64, 4, 2), Conv(64, 3, 1))
MINATAR = (Conv(16, 3, 1),)
CELLS = range(36, 101)
"""Cells of a picture that a gate can tell apart at little cost."""
LEAST_PICTURE = 36
"""Pixels of a side below which a picture is a grid: the Nature DQN's convolutions need as many."""
FAMILIES = ("entities", "pictures", "grids", "numbers")
"""What observations are made of, the first that counts first."""


def gated_specs(
    observation_space: spaces.Space, tokens: TokenChoice | Mapping[str, TokenChoice] = "auto"
) -> dict[str, TokenSpec]:
    """Return how each part of an observation is cut for a gate; key "" where it is no Dict.

    Raises:
        ValueError: a key or kind is unknown, or places of a part mean nothing.
    """
    parts = _parts(observation_space, tokens)
    return {key: _gated_spec(space, choice, key) for key, (space, choice) in parts.items()}


def observation_family(
    observation_space: spaces.Space, tokens: TokenChoice | Mapping[str, TokenChoice] = "auto"
) -> str:
    """Return what an observation is made of: "entities", "pictures", "grids" or "numbers".

    Of a Dict, the first of these that is in it.

    >>> observation_family(spaces.Box(-1, 1, (3,)))
    'numbers'

    Raises:
        ValueError: a part cannot be cut into tokens as asked.
    """
    parts = _parts(observation_space, tokens).values()
    families = {_family(_chosen_spec(space, choice)) for space, choice in parts}
    return next(name for name in FAMILIES if name in families)


def gated_layout(specs: Mapping[str, TokenSpec]) -> TokenLayout:
    """Return what the tokens of a gate are."""
    return TokenLayout(tuple(group for key, spec in specs.items() for group in _groups(spec, key)))


def _gated_spec(space: spaces.Space, choice: TokenChoice, key: str) -> TokenSpec:
    """Return how a part is cut for a gate: pictures by their reference network's convolutions.

    A table that does not say what it is counts as numbers, as it does in SB3.
    """
    name = f"the part {key!r}" if key else "this observation"
    spec = _chosen_spec(space, choice)
    if isinstance(spec, Frames) and not isinstance(spec.part, Entities):
        return replace(spec, part=_gated_frame(spec.part))
    if isinstance(spec, Patches | Cells):
        return _gated_frame(spec)
    if isinstance(spec, Features | Categories | History):
        return spec
    raise ValueError(
        f"a gate is for observations whose places mean something, and {name} is made of "
        f"{spec.token_groups('')[0].kind}; use AttentionExtractor (--encoder pooled)"
    )


def _parts(
    observation_space: spaces.Space, tokens: TokenChoice | Mapping[str, TokenChoice]
) -> dict[str, tuple[spaces.Space, TokenChoice]]:
    """Return the parts of an observation, each with the kind of tokens that is asked for."""
    choose_specs(observation_space, tokens)  # refuses unknown keys and kinds
    is_dict = isinstance(observation_space, spaces.Dict)
    parts = observation_space.spaces if is_dict else {"": observation_space}
    by_key: Mapping[str, TokenChoice] = (
        tokens if isinstance(tokens, Mapping) else dict.fromkeys(parts, tokens)
    )
    return {key: (space, by_key.get(key, "auto")) for key, space in parts.items()}


def _family(spec: TokenSpec) -> str:
    if isinstance(spec, Frames):
        return _family(spec.part)
    if isinstance(spec, Patches):
        return "grids" if min(spec.height, spec.width) < LEAST_PICTURE else "pictures"
    return (
        "entities"
        if isinstance(spec, Entities)
        else "grids"
        if isinstance(spec, Cells)
        else "numbers"
    )


def _chosen_spec(space: spaces.Space, choice: TokenChoice) -> TokenSpec:
    if choice == "auto" and isinstance(space, spaces.Box) and not isinstance(space, TokenBox):
        choice = "auto" if len(space.shape) == 3 else "features"
    return choose_spec(space, choice)


def _gated_frame(spec: Patches | Cells) -> Patches | Cells:
    """Return how a picture or grid is cut; planes of plain numbers are a picture."""
    if isinstance(spec, Cells) and spec.categories:
        return spec
    if isinstance(spec, Cells):
        spec = Patches(spec.rows, spec.cols, spec.channels, MINATAR, spec.channels_first)
    return replace(spec, convs=_convolutions(spec))


def _convolutions(spec: Patches) -> tuple[Conv, ...]:
    """Return the reference network's convolutions, with strides that leave 36 to 100 cells."""
    if min(spec.height, spec.width) < LEAST_PICTURE:
        return MINATAR
    strides = sorted(
        itertools.product(range(1, 9), range(1, 5), range(1, 3)),
        key=lambda s: sum(
            abs(math.log(new / old.stride)) for new, old in zip(s, NATURE, strict=True)
        ),
    )
    for candidate in strides:
        convs = tuple(conv._replace(stride=s) for conv, s in zip(NATURE, candidate, strict=True))
        if _cell_count(spec, convs) in CELLS:
            return convs
    return NATURE


def _cell_count(spec: Patches, convs: tuple[Conv, ...]) -> int:
    try:
        (rows, cols), _ = receptive_boxes(spec.height, spec.width, convs)
    except ValueError:
        return 0
    return rows * cols


def _groups(spec: TokenSpec, key: str) -> tuple[TokenGroup, ...]:
    if isinstance(spec, History):
        return _step_groups(spec, key)
    if isinstance(spec, Frames):  # one picture, which stands where its newest frame does
        (group,) = spec.part.token_groups(key)
        return (replace(group, offsets=(0,) * len(group), frame=spec.part.shape),)
    if not isinstance(spec, Categories):
        return spec.token_groups(key)
    names = [
        f"{name} = {value}"
        for name, size in zip(spec.names, spec.sizes, strict=True)
        for value in range(size)
    ]
    return (TokenGroup("features", tuple(f"{key} {n}" if key else n for n in names), key),)


def _step_groups(spec: History, key: str) -> tuple[TokenGroup, ...]:
    """Return the numbers of each step of a window, the oldest step first."""
    names = spec.names or tuple(f"x{i}" for i in range(spec.features))
    names = tuple(f"{key} {name}" if key else name for name in names)
    return tuple(
        TokenGroup(
            "features",
            tuple(add_age(name, t) for name in names),
            key,
            offsets=(t,) * spec.features,
            frame=(spec.features,),
        )
        for t in range(1 - spec.steps, 1)
    )


def count_numbers(spec: TokenSpec) -> int:
    """Return how many numbers a part is; 0 for pictures and grids."""
    if isinstance(spec, Features):
        return len(spec.names)
    if isinstance(spec, History):
        return spec.steps * spec.features
    return sum(spec.sizes) if isinstance(spec, Categories) else 0
