"""The attention encoder of a run: as asked for, and with nothing open. Free of torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated

from attention_agents.agents.config.catalogue import WORDS
from attention_agents.agents.config.cli_types import Count, Word, optional_arg
from attention_agents.agents.config.validation import (
    check_choice,
    check_count,
    check_number,
    check_used,
    check_word,
)

if TYPE_CHECKING:
    from attention_agents.envs.tokens.spaces import TokenChoice

TOKENS = ("auto", "patches", "linear-patches", "cells", "entities", "features", "history")
MECHANISMS = ("block", "readout", "attention", "normaliser", "hard", "where", "positions", "mix")
"""Options that take a registered name."""
USERS: dict[str, dict[str, tuple[str, ...]]] = {
    "budget": {"hard": ("top-k", "perturbed-top-k")},
    "reach": {"where": ("local", "predicted")},
    "points": {"readout": ("queries", "slots"), "block": ("isab",)},
}
"""The words that use a number; those of plugins may use any."""


@dataclass(frozen=True)
class EncoderOptions:
    """The attention encoder; its words are explained below."""

    tokens: str = "auto"
    """auto, patches, linear-patches, cells, entities, features, history; or image:cells,x:auto."""
    layers: Count = None
    """Attention layers."""
    heads: Count = None
    """Attention heads per layer."""
    width: Count = None
    """Numbers per token, a multiple of heads."""
    block: Word = None
    """What the layers before the readout are."""
    readout: Word = None
    """From tokens to one vector; most readouts are the last attention layer."""
    points: Annotated[int | None, optional_arg("INT", "preset, else 4")] = None
    """Learned queries, slots or inducing points, for readouts and blocks that have some."""
    asker: Word = None
    """Key of a Dict observation whose tokens ask, for the readout cross."""
    attention: Word = None
    """How well a token answers a query: the score."""
    normaliser: Annotated[str | None, optional_arg("STR", aliases=("--normalizer",))] = None
    """From scores to weights."""
    temperature: Annotated[float | None, optional_arg("FLOAT", "preset, else 1")] = None
    """Divides the scores: below 1 sharpens, above 1 evens out."""
    hard: Word = None
    """Hard attention: which tokens are read at all."""
    budget: Annotated[int | None, optional_arg("INT", "preset, else 4")] = None
    """Tokens that a query reads, for hard attention by top-k."""
    where: Word = None
    """Which tokens a query sees."""
    reach: Annotated[int | None, optional_arg("INT", "preset, else 2")] = None
    """Of a local window: cells, patches or steps to each side."""
    positions: Word = None
    """What the distance between asker and token adds to the score."""
    mix: Word = None
    """How heads combine."""

    @property
    def given(self) -> tuple[str, ...]:
        """Which of these a person has said, but for `tokens`."""
        names = (each.name for each in fields(EncoderOptions) if each.name != "tokens")
        return tuple(name for name in names if getattr(self, name) is not None)


@dataclass(frozen=True)
class EncoderConfig:
    """The attention encoder, as `AttentionExtractor` takes it.

    The words of mechanisms are looked up when an encoder is built: plugins may add some.
    """

    tokens: TokenChoice | Mapping[str, TokenChoice] = "auto"
    """A kind of token, or a kind per key of a Dict observation."""
    layers: int = 2
    heads: int = 4
    width: int = 64
    """Width of a token; a multiple of `heads`."""
    block: str = "residual"
    readout: str = "auto"
    points: int = 4
    """Learned queries, slots or inducing points."""
    asker: str = ""
    """Key of a Dict observation whose tokens ask, for the readout "cross"."""
    attention: str = "scaled-dot-product"
    """The score. Words from here on are those of a `Mechanism`."""
    normaliser: str = "softmax"
    temperature: float = 1.0
    hard: str = "none"
    budget: int = 4
    where: str = "global"
    reach: int = 2
    positions: str = "none"
    mix: str = "concat"
    given: Collection[str] = field(default=(), compare=False)
    """Options that a person gave; the others come from a preset, or are defaults. Only those given
    are refused where nothing uses them."""

    def __post_init__(self) -> None:
        for kind in self.tokens.values() if isinstance(self.tokens, Mapping) else (self.tokens,):
            check_choice("kind of token", kind, TOKENS)
        for name in ("layers", "heads", "width", "points", "budget", "reach"):
            check_count(name, getattr(self, name))
        for name in (*MECHANISMS, "asker"):
            check_word(name, getattr(self, name))
        check_number("temperature", self.temperature)
        if self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of heads, got width={self.width}, heads={self.heads}"
            )
        for name in self.given:
            self._check_used(name)

    def _check_used(self, name: str) -> None:
        """Refuse an option that this encoder would not act upon."""
        users = USERS.get(name, {})
        if users:
            chosen = {option: getattr(self, option) for option in users}
            of_plugins = any(word not in WORDS[option] for option, word in chosen.items())
            if not of_plugins:
                check_used(name, getattr(self, name), chosen, users)
        if name == "mix" and self.mix == "weighted" and self.heads == 1:
            raise ValueError(
                "mix='weighted' weighs heads against each other, and heads=1 has no other; use "
                "more heads, or mix='concat'"
            )
