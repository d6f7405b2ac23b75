"""Where the tokens of an extractor stand before anything weighs them, and how it goes on from them.

Known are our extractors, and those of Stable-Baselines3: the numbers of a `FlattenExtractor`, the
cells of a `NatureCNN`'s last convolution, and a `CombinedExtractor` of both. An extractor may cut
the observation in several parts, whose tokens have widths of their own: an image's cells 64, a
number 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.tappable import TappableAttention
from attention_agents.policies.inspect.attention_modules import acting_role, features_extractors
from attention_agents.policies.inspect.stock_tokens import StockPart, find_stock_parts
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.gated_extractor import GatedExtractor
from attention_agents.policies.tokenizers.entities import EntityTokenizer, HistoryTokenizer
from attention_agents.policies.tokenizers.frames import FrameTokenizer
from attention_agents.policies.tokenizers.observation import ObservationTokenizer
from attention_agents.policies.tokens import Tokens, present_mask

PartTokens = tuple[Tokens, ...]
"""The tokens of B observations, part by part: values (B, n, D), mask (B, n); n and D may differ."""


class TokenPart(NamedTuple):
    """The tokens that one module hands on."""

    module: nn.Module
    """Whose output they are."""
    index: tuple[int, ...]
    """Which tokens of the layout, n of them."""
    width: int
    """D, numbers of a token."""
    read: Callable[[Any], Tokens]
    """Gives the tokens of an output of the module."""
    write: Callable[[Tokens, Any], Any]
    """Gives an output that holds these tokens in place of its own."""


@dataclass(frozen=True)
class TokenInputs:
    """The tokens of one extractor, before anything weighs them.

    Hooks see and replace them in the policy's own passes; `features_from_tokens` goes on from them
    apart from any pass.
    """

    layout: TokenLayout
    """Of all N tokens."""
    parts: tuple[TokenPart, ...]
    features_from_tokens: Callable[[PartTokens], Float[Tensor, "B F"]]
    """Gives the features of an observation from its tokens alone, as the extractor does."""
    maskable: tuple[bool, ...]
    """Which of the N tokens can be absent, so that a mask says so."""
    attention: tuple[TappableAttention, ...] = ()
    """What weighs them; nothing in a stock extractor."""

    @property
    def has_attention(self) -> bool:
        """Whether the extractor weighs tokens by attention."""
        return bool(self.attention)

    @property
    def floats(self) -> int:
        """Roughly the numbers of the largest tensor that one observation needs after its tokens."""
        N, squares = len(self.layout), [m.heads for m in self.attention if m.queries == "tokens"]
        widths = sum(4 * part.width * len(part.index) for part in self.parts)
        return max(widths, max(squares, default=0) * N * N)

    def hook_parts(
        self, on_tokens: Callable[[int, Tokens], Tokens | None]
    ) -> list[RemovableHandle]:
        """Call a function with the number of each part and its tokens, at every pass.

        Args:
            on_tokens: what it returns takes their place; None leaves them.
        """
        return [
            part.module.register_forward_hook(partial(_on_output, part, i, on_tokens))
            for i, part in enumerate(self.parts)
        ]

    def join(self, by_part: list[Shaped[Tensor, "*B _"]]) -> Shaped[Tensor, "*B N"]:
        """Return a number for each token in the order of the layout, from those part by part."""
        if len(by_part) == 1:
            return by_part[0]
        order = torch.tensor([i for part in self.parts for i in part.index])
        return torch.cat(by_part, -1)[..., order.argsort().to(by_part[0].device)]

    def split(self, values: Tensor) -> list[Tensor]:
        """Return what (..., N) holds for the tokens of each part."""
        return [values[..., list(part.index)] for part in self.parts]

    def present(self, tokens: PartTokens) -> Bool[Tensor, "B N"]:
        """Return True where a token is present."""
        return self.join([present_mask(part) for part in tokens])


def token_inputs(policy: nn.Module) -> dict[str, TokenInputs]:
    """Return the tokens of the extractors of an SB3 policy by role.

    Raises:
        ValueError: the extractor that acts is of an unknown kind.
    """
    extractors = features_extractors(policy)
    known = {role: find_token_inputs(extractor) for role, extractor in extractors.items()}
    inputs = {role: part for role, part in known.items() if part is not None}
    role = acting_role(extractors)
    if role not in inputs:
        raise ValueError(
            f"it is not known where the tokens of {type(extractors[role]).__name__} stand; known "
            "are AttentionExtractor, GatedExtractor, and SB3's FlattenExtractor, NatureCNN and "
            "CombinedExtractor"
        )
    return inputs


def find_token_inputs(extractor: nn.Module) -> TokenInputs | None:
    """Return the tokens of a features extractor; None where its kind is not known."""
    if isinstance(extractor, AttentionExtractor):
        return _attention_inputs(extractor)
    if isinstance(extractor, GatedExtractor):
        return _gated_inputs(extractor)
    stock = find_stock_parts(extractor)
    return None if stock is None else _stock_inputs(stock)


def _attention_inputs(extractor: AttentionExtractor) -> TokenInputs:
    index = tuple(range(len(extractor.layout)))
    part = TokenPart(
        *(extractor.tokenizer, index, extractor.context.width),
        *(lambda tokens: tokens, lambda tokens, output: tokens),
    )
    maskable = _maskable(extractor.tokenizer, extractor.layout)

    def features_from_tokens(tokens: PartTokens) -> Float[Tensor, "B F"]:
        return extractor.features_from_tokens(tokens[0])

    attention = _attention_of(extractor)
    return TokenInputs(extractor.layout, (part,), features_from_tokens, maskable, attention)


def _gated_inputs(extractor: GatedExtractor) -> TokenInputs:
    keys = [group.key for group in extractor.layout.groups for _ in group.names]
    pictures, has_numbers = extractor.pictures_by_key, extractor.gate is not None
    parts: list[TokenPart] = []
    if has_numbers:
        index = _positions(keys, extractor.numbers)
        parts = [TokenPart(extractor.tokens, index, 1, _read_numbers, _write_numbers)]
    for key, part in pictures.items():
        index = _positions(keys, [key])
        width = part.linear[0].in_features // len(index)
        parts.append(
            TokenPart(part.tokens, index, width, _read_channels_first, _write_channels_first)
        )

    def features_from_tokens(tokens: PartTokens) -> Float[Tensor, "B F"]:
        rows = [part.values.transpose(1, 2) for part in tokens]  # (B, D, n) each
        cells = dict(zip(pictures, rows[has_numbers:], strict=True))
        numbers = _write_numbers(tokens[0], None) if has_numbers else None
        return extractor.features_from_tokens(numbers, cells)

    of_windows = extractor.windows.keys() & extractor.numbers.keys()
    maskable = tuple(key in of_windows for key in keys)
    attention = _attention_of(extractor)
    return TokenInputs(extractor.layout, tuple(parts), features_from_tokens, maskable, attention)


def _stock_inputs(stock: list[StockPart]) -> TokenInputs:
    layout = TokenLayout(tuple(part.group for part in stock))
    parts = (
        TokenPart(
            part.module,
            tuple(range(places.start, places.stop)),
            part.width,
            lambda output, part=part: Tokens(part.read(output), None),
            lambda tokens, output, part=part: part.write(tokens.values),
        )
        for part, places in zip(stock, layout.slices, strict=True)
    )

    def features_from_tokens(tokens: PartTokens) -> Float[Tensor, "B F"]:
        pairs = zip(stock, tokens, strict=True)
        return torch.cat([part.proceed(part.write(own.values)) for part, own in pairs], 1)

    return TokenInputs(layout, tuple(parts), features_from_tokens, (False,) * len(layout))


def _attention_of(extractor: nn.Module) -> tuple[TappableAttention, ...]:
    return tuple(part for part in extractor.modules() if isinstance(part, TappableAttention))


def _maskable(tokenizer: ObservationTokenizer, layout: TokenLayout) -> tuple[bool, ...]:
    """Return which tokens have a presence of their own in the observation."""
    by_key = {
        key: isinstance(part, HistoryTokenizer | FrameTokenizer)
        or (isinstance(part, EntityTokenizer) and part.presence is not None)
        for key, part in zip(tokenizer.keys, tokenizer.parts, strict=True)
    }
    return tuple(by_key[group.key] for group in layout.groups for _ in group.names)


def _positions(keys: list[str], wanted: Any) -> tuple[int, ...]:
    return tuple(i for i, key in enumerate(keys) if key in wanted)


def _read_channels_first(output: Float[Tensor, "B D n"]) -> Tokens:
    return Tokens(output.transpose(1, 2), None)


def _write_channels_first(tokens: Tokens, output: Any) -> Float[Tensor, "B D n"]:
    return tokens.values.transpose(1, 2)


def _read_numbers(output: Float[Tensor, "B P n"]) -> Tokens:
    """Return numbers as tokens; in windows of the past (P = 2) their presence stands beside."""
    mask = output[:, 1] > 0.5 if output.shape[1] == 2 else None
    return Tokens(output[:, :1].transpose(1, 2), mask)


def _write_numbers(tokens: Tokens, output: Any) -> Float[Tensor, "B P n"]:
    values = tokens.values.transpose(1, 2)  # (B, 1, n)
    if tokens.mask is None:
        return values
    return torch.cat([values, tokens.mask[:, None].to(values.dtype)], 1)


def _on_output(
    part: TokenPart,
    number: int,
    on_tokens: Callable[[int, Tokens], Tokens | None],
    _module: nn.Module,
    _inputs: tuple,
    output: Any,
) -> Any:
    changed = on_tokens(number, part.read(output))
    return None if changed is None else part.write(changed, output)
