"""What counts as a token of the features extractors of Stable-Baselines3, which have no attention.

Flat observations are numbers, or what a `TokenBox` says that they are: the rows of a table, the
cells of a grid. Pictures are the cells of the last convolution after its ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gymnasium import spaces
from jaxtyping import Float
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import (
    CombinedExtractor,
    FlattenExtractor,
    NatureCNN,
)
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import Conv, TokenGroup
from attention_agents.envs.tokens.spaces import TokenBox, choose_spec
from attention_agents.envs.tokens.specs import Categories, Cells, Entities, Features, Patches


@dataclass(frozen=True)
class StockPart:
    """A part of an observation that SB3 flattens or convolves."""

    module: nn.Module
    """Whose output the tokens are."""
    group: TokenGroup
    width: int
    """D, numbers of a token."""
    read: Callable[[Tensor], Float[Tensor, "B n D"]]
    """Gives the tokens of an output of the module."""
    write: Callable[[Float[Tensor, "B n D"]], Tensor]
    """Gives the module's output that holds these tokens."""
    proceed: Callable[[Tensor], Float[Tensor, "B F"]]
    """Gives the part's features from the module's output."""


def find_stock_parts(extractor: Any) -> list[StockPart] | None:
    """Return the parts of an extractor of SB3; None where it is another, or computes otherwise."""
    kind, space = type(extractor), getattr(extractor, "_observation_space", None)
    if issubclass(kind, FlattenExtractor) and kind.forward is FlattenExtractor.forward:
        return [_flat_part(extractor.flatten, space, "")]
    if issubclass(kind, NatureCNN) and kind.forward is NatureCNN.forward:
        return [_picture_part(extractor, space, "")]
    if issubclass(kind, CombinedExtractor) and kind.forward is CombinedExtractor.forward:
        assert isinstance(space, spaces.Dict), "a CombinedExtractor is for Dict observations"
        parts = [
            _flat_part(part, space[key], key)
            if isinstance(part, nn.Flatten)
            else (_picture_part(part, space[key], key) if type(part) is NatureCNN else None)
            for key, part in extractor.extractors.items()
        ]
        return None if None in parts else [part for part in parts if part is not None]
    return None


def _flat_part(module: nn.Module, space: Any, key: str) -> StockPart:
    """Return the tokens of a flattened observation; D numbers of a token stand side by side."""
    group, channels_first = _flat_group(space, key)

    def read(output: Tensor) -> Float[Tensor, "B n D"]:
        B, n = len(output), len(group)
        if channels_first:
            return output.reshape(B, -1, n).transpose(1, 2)
        return output.reshape(B, n, -1)

    def write(tokens: Float[Tensor, "B n D"]) -> Tensor:
        return (tokens.transpose(1, 2) if channels_first else tokens).flatten(1)

    width = get_flattened_obs_dim(space) // len(group)
    return StockPart(module, group, width, read, write, lambda output: output)


def _flat_group(space: Any, key: str) -> tuple[TokenGroup, bool]:
    """Return the tokens of a flattened observation, and whether channels come before places."""
    spec = space.tokens if isinstance(space, TokenBox) else None
    if isinstance(space, spaces.Box) and len(space.shape) == 3 and not isinstance(spec, Cells):
        picture = choose_spec(space, "cells")  # of a picture that is flattened, every pixel
        assert isinstance(picture, Cells)
        return picture.token_groups(key)[0], picture.channels_first
    if isinstance(spec, Cells | Entities):
        channels_first = isinstance(spec, Cells) and not spec.categories and spec.channels_first
        return spec.token_groups(key)[0], channels_first
    if isinstance(spec, Features):
        return spec.token_groups(key)[0], False
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        names = _choice_names(choose_spec(space))
    else:
        word = "bit" if isinstance(space, spaces.MultiBinary) else "x"
        names = tuple(f"{word}{i}" for i in range(math.prod(space.shape)))
    return Features(names).token_groups(key)[0], False


def _choice_names(spec: Any) -> tuple[str, ...]:
    assert isinstance(spec, Categories)
    pairs = zip(spec.names, spec.sizes, strict=True)
    return tuple(f"{name} = {value}" for name, size in pairs for value in range(size))


def _picture_part(extractor: NatureCNN, space: Any, key: str) -> StockPart:
    """Return the cells of the last convolution, after the ReLU that follows it."""
    layers = list(extractor.cnn)
    convs = tuple(
        Conv(layer.out_channels, layer.kernel_size[0], layer.stride[0], int(layer.padding[0]))
        for layer in layers
        if isinstance(layer, nn.Conv2d)
    )
    channels, height, width = space.shape
    spec = Patches(height, width, channels, convs)
    (group,) = spec.token_groups(key)
    assert group.grid is not None, "the cells of a convolution form a grid"
    rows, cols = group.grid

    def read(output: Float[Tensor, "B D _ _"]) -> Float[Tensor, "B n D"]:
        return output.flatten(2).transpose(1, 2)

    def write(tokens: Float[Tensor, "B n D"]) -> Float[Tensor, "B D rows cols"]:
        return tokens.transpose(1, 2).unflatten(2, (rows, cols))

    def proceed(output: Float[Tensor, "B D _ _"]) -> Float[Tensor, "B F"]:
        return extractor.linear(layers[-1](output))

    return StockPart(layers[-2], group, convs[-1].channels, read, write, proceed)
