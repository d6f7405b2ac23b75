"""How an observation space is cut into tokens: chosen from the space, or given by it.

A `TokenBox` is a Gymnasium Box that carries its own meaning, so that an environment (or a wrapper)
can say "these are five vehicles" once, for every script and policy. Stock Stable-Baselines3
passes it on, with one exception: it replaces the space of a channels-last picture (3 axes, uint8
from 0 to 255, the last axis the smallest) by a plain Box with the channels first. `make_env` puts
them first itself; in a script of your own, give such a picture its channels first.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.layout import Conv, TokenLayout
from attention_agents.envs.tokens.specs import (
    Categories,
    Cells,
    Entities,
    Features,
    FramePart,
    Frames,
    Patches,
    TokenSpec,
)

MAX_TOKENS = 1024
"""More tokens than this are refused with advice: attention costs grow with their square."""
FLAT_PICTURE = 16
"""Tables of bytes with at least as many rows and columns are taken for gray pictures."""
LINEAR_CHANNELS = 64
"""Rank of the projection of linear patches; nothing is lost up to this width of tokens."""

CHOICE_SPACES = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)

TokenChoice = Literal[
    "auto", "patches", "linear-patches", "cells", "entities", "features", "history"
]
"""A kind of token, or "auto": chosen from the space. A Dict observation may choose key by key."""


class TokenBox(spaces.Box):
    """A Box that says what its numbers are.

    >>> vehicles = Entities(5, ("presence", "x", "y"), presence=0, ego=0)
    >>> space = TokenBox(-1, 1, (5, 3), tokens=vehicles)
    >>> choose_spec(space).count
    5
    """

    def __init__(
        self,
        low: Any,
        high: Any,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        *,
        tokens: TokenSpec,
    ):
        super().__init__(low, high, shape, dtype)
        if not tokens.fits_shape(self.shape):
            raise ValueError(f"tokens must fit the shape, got {tokens} and {self.shape}")
        self.tokens = tokens


def make_box(low: np.ndarray, high: np.ndarray, tokens: TokenSpec | None = None) -> spaces.Box:
    """Return a Box of the bounds' shape and dtype: a `TokenBox` if it has tokens."""
    if tokens is None:
        return spaces.Box(low, high, low.shape, low.dtype.type)
    return TokenBox(low, high, low.shape, low.dtype, tokens=tokens)


def choose_spec(space: spaces.Space, choice: TokenChoice = "auto") -> TokenSpec:
    """Choose how one (not Dict) observation space is cut into tokens.

    A `TokenBox` says it itself. Otherwise: a picture (3 axes) gives patches, a table (2 axes)
    entities, a vector features, Discrete and MultiDiscrete one token per choice. Patches are the
    outputs of a convolutional stem; linear patches are squares side by side, each projected.

    Args:
        space: Box, Discrete, MultiDiscrete or MultiBinary.
        choice: a kind to use in place of the automatic one.

    Raises:
        ValueError: the space cannot be cut that way.
    """
    kinds = get_args(TokenChoice)
    if choice not in kinds:
        raise ValueError(f"tokens must be one of {', '.join(kinds)}, got {choice!r}")
    spec = _choose_spec(space, choice)
    flat = isinstance(spec, Patches) and space.shape is not None and len(space.shape) == 2
    if flat and is_bytes(space):
        raise ValueError(
            f"a picture of bytes needs an axis for its channels, got the shape {space.shape}, "
            "which Stable-Baselines3 does not scale; give it that axis (1 first), or choose "
            "tokens='entities' for a table"
        )
    return spec


def _choose_spec(space: spaces.Space, choice: TokenChoice) -> TokenSpec:
    if isinstance(space, TokenBox):
        spec = space.tokens
        if choice in ("auto", spec.token_groups("")[0].kind):
            return spec
        if isinstance(spec, Frames):
            return replace(spec, part=_recut_part(spec.part, choice))
    if isinstance(space, CHOICE_SPACES) and choice in ("auto", "features"):
        sizes = choice_counts(space)
        if isinstance(space, spaces.MultiBinary):
            return _number_features(len(sizes), "bit")
        single = isinstance(space, spaces.Discrete)
        names = ("choice",) if single else tuple(f"choice {i}" for i in range(len(sizes)))
        return Categories(sizes, names)
    if isinstance(space, spaces.Box):
        return _choose_box_spec(space, choice)
    raise ValueError(
        f"no {choice} tokens can be made from {space}; supported are Box, Discrete, MultiDiscrete, "
        "MultiBinary, and Dict of these"
    )


def choice_counts(space: spaces.Space) -> tuple[int, ...]:
    """Return the number of choices of each part of a member of one of the `CHOICE_SPACES`.

    >>> choice_counts(spaces.Discrete(5)), choice_counts(spaces.MultiDiscrete([3, 2]))
    ((5,), (3, 2))
    >>> choice_counts(spaces.MultiBinary(3))
    (2, 2, 2)
    """
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(space.nvec.ravel().tolist())
    return (2,) * spaces.flatdim(space)


def choose_specs(
    space: spaces.Space, tokens: TokenChoice | Mapping[str, TokenChoice] = "auto"
) -> dict[str, TokenSpec]:
    """Choose the tokens of a whole observation space: a spec per key, key "" where it is no Dict.

    Raises:
        ValueError: a key is unknown, or a part cannot be cut as asked.
    """
    if not isinstance(space, spaces.Dict):
        if isinstance(tokens, Mapping):
            raise ValueError(
                f"tokens by key need a Dict observation, got {space} and {dict(tokens)}"
            )
        return {"": choose_spec(space, tokens)}
    choices: Mapping[str, TokenChoice] = (
        tokens if isinstance(tokens, Mapping) else dict.fromkeys(space.spaces, tokens)
    )
    unknown = sorted(set(choices) - set(space.spaces))
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), sorted(space.spaces), n=1)
        advice = f"did you mean {near[0]!r}? The" if near else "the"
        raise ValueError(
            f"tokens names unknown keys {unknown}; {advice} observation has {sorted(space.spaces)}"
        )
    return {key: choose_spec(part, choices.get(key, "auto")) for key, part in space.spaces.items()}


def build_layout(specs: Mapping[str, TokenSpec]) -> TokenLayout:
    """Return the token layout that the specs of an observation give.

    Raises:
        ValueError: there would be more than `MAX_TOKENS` tokens.
    """
    layout = TokenLayout(
        tuple(group for key, spec in specs.items() for group in spec.token_groups(key))
    )
    if len(layout) > MAX_TOKENS:
        parts = ", ".join(_describe_spec(spec) for spec in specs.values())
        kinds = {type(spec) for spec in specs.values()}
        advice = "Choose tokens='patches' for a picture, or reduce the observation in a wrapper"
        if Entities in kinds:
            advice = (
                "Make less room for a Sequence or Graph (--max-entities, max_entities in Python), "
                "or reduce the observation in a wrapper"
            )
        if Frames in kinds:
            advice = "Observe a shorter history, or choose tokens that are fewer per frame"
        raise ValueError(
            f"the observation would give {len(layout)} tokens ({parts}); at most {MAX_TOKENS} can "
            f"be attended to. {advice}"
        )
    return layout


def _describe_spec(spec: TokenSpec) -> str:
    groups = spec.token_groups("")
    times = f"{len(groups)} frames of " if isinstance(spec, Frames) else ""
    return f"{times}{len(groups[0])} {groups[0].kind}"


def _choose_box_spec(space: spaces.Box, choice: TokenChoice) -> TokenSpec:
    shape, size = space.shape, int(np.prod(space.shape))
    by_axes: dict[int, TokenChoice] = {2: "entities", 3: "patches"}
    if is_flat_picture(space):
        by_axes[2] = "patches"
    kind = by_axes.get(len(shape), "features") if choice == "auto" else choice
    if kind == "features":
        return _number_features(size, "x")
    if kind == "entities" and len(shape) == 2:
        return Entities(shape[0], tuple(f"x{i}" for i in range(shape[1])))
    if kind == "cells" and len(shape) == 3:
        channels, rows, cols, first = _picture_axes(space)
        return Cells(rows, cols, channels=channels, channels_first=first)
    if kind in ("patches", "linear-patches") and len(shape) in (2, 3):
        channels, height, width, first = _picture_axes(space)
        stem = (default_stem if kind == "patches" else linear_stem)(height, width)
        return Patches(height, width, channels, stem, first)
    raise ValueError(f"{kind} tokens do not fit an observation of shape {shape}")


def _recut_part(part: FramePart, choice: TokenChoice) -> FramePart:
    """Cut the frames of a history in another way."""
    spec = _choose_spec(TokenBox(-np.inf, np.inf, part.shape, tokens=part), choice)
    if not isinstance(spec, FramePart):
        raise ValueError(
            "the frames of a history are cut into patches, linear-patches, cells or entities, "
            f"got {choice!r}"
        )
    return spec


def is_bytes(space: spaces.Space) -> bool:
    """Say whether these are numbers that Stable-Baselines3 takes for a picture's: 0 to 255."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8:
        return False
    return bool((space.low == 0).all() and (space.high == 255).all())


def is_flat_picture(space: spaces.Box) -> bool:
    """Say whether a table is rather a gray picture without an axis for its channel."""
    if len(space.shape) != 2 or not is_bytes(space):
        return False
    if isinstance(space, TokenBox):
        return isinstance(space.tokens, Patches)
    return min(space.shape) >= FLAT_PICTURE


def _picture_axes(space: spaces.Box) -> tuple[int, int, int, bool]:
    """Return (channels, height, width, whether the channels come first)."""
    spec = space.tokens if isinstance(space, TokenBox) else None
    if isinstance(spec, Patches):
        return spec.channels, spec.height, spec.width, spec.channels_first
    if isinstance(spec, Cells) and not spec.categories:
        return spec.channels, spec.rows, spec.cols, spec.channels_first
    a, b, c = space.shape if len(space.shape) == 3 else (1, *space.shape)
    if a == min(a, b, c):  # as SB3 tells channels-first pictures
        return a, b, c, True
    return c, a, b, False


def default_stem(height: int, width: int) -> tuple[Conv, ...]:
    """Return a convolutional stem that leaves 16 to 81 tokens for common picture sizes.

    Large pictures get the stem of the Nature DQN (Mnih et al. 2015), small ones two light layers.
    """
    small = min(height, width)
    if small >= 64:
        stem = (Conv(32, 8, 4), Conv(64, 4, 2), Conv(64, 3, 1))
        halvings = max(0, int(np.log2((height * width) ** 0.5 / 84)))  # until about 9 x 9 are left
        return (*(Conv(16, 4, 2, 1),) * halvings, *stem)
    if small >= 16:
        return (Conv(16, 4, 2, 1), Conv(32, 4, 2, 1))
    if small >= 6:
        return (Conv(16, 3, 1, 1), Conv(32, 2, 2))
    return (Conv(32, min(small, 3), 1, 0),)


def linear_stem(height: int, width: int) -> tuple[Conv, ...]:
    """Return the largest square that cuts a picture into 16 to 144 patches without remainder.

    Raises:
        ValueError: no square does.
    """
    for side in range(min(height, width), 0, -1):
        if height % side == width % side == 0 and 16 <= height * width // side**2 <= 144:
            return (Conv(LINEAR_CHANNELS, side, side),)
    raise ValueError(
        f"no square cuts a picture of {height}x{width} pixels into 16 to 144 linear patches; crop "
        "or resize it in a wrapper, or choose tokens='patches'"
    )


def _number_features(count: int, stem: str) -> Features:
    return Features(tuple(f"{stem}{i}" for i in range(count)))
