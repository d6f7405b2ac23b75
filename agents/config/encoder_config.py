"""The encoder of a run: as asked for, and with nothing open. Free of torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any

from attention_agents.agents.config.cli_types import Count, Pairs, Word, optional_arg
from attention_agents.agents.config.validation import (
    check_choice,
    check_count,
    check_fields,
    check_number,
    check_plain,
    check_used,
    check_word,
)
from attention_agents.policies.attention.attention_config import OLD_NAMES, AttentionConfig
from attention_agents.policies.registries import BLOCKS, READOUTS, REGISTRIES

if TYPE_CHECKING:
    from attention_agents.envs.tokens.spaces import TokenChoice

KINDS = {
    "gate": "each token times its attention, then the network that SB3 would put there",
    "pooled": "tokens attend to each other, and are read into one vector: for sets",
    "stock": "the network of gate without its attention: SB3's own, where SB3 has one",
}
"""What an encoder can be, with help."""
SIZES = ("small", "medium", "large")
"""Names of encoders in presets.yml, for each family of observations."""
ENCODERS = {
    "auto": "gate; pooled for sets, and for policy heads that read single tokens",
    **KINDS,
    "small": "gate (of sets pooled), the fastest",
    "medium": "gate (of sets pooled), as tuned",
    "large": "gate after a self-attention block (of sets pooled, in three layers)",
}
"""The words of --encoder, with help."""
TOKENS = ("auto", "patches", "linear-patches", "cells", "entities", "features", "history")
ATTENTION_WORDS = tuple(field.name for field in fields(AttentionConfig))
ATTENTION_CHECKS: dict[type, Callable[[str, Any], None]] = {
    str: check_word,
    int: check_count,
    float: check_number,
}
"""By the type of a default."""
OLD_WORDS = OLD_NAMES | {"attention": "score", "points": "num_queries", "asker": "query_source"}
"""Names of options in configs and presets of version 0.1; the command line takes them too."""
GATE_WORDS = ("layers", "heads", "width", "block", *ATTENTION_WORDS, "gate", "sparsity")
"""Options that a gate acts upon; width and block are those of the layers before it."""
GATE_ONLY = ("gate", "sparsity")
BLOCK_WORDS = ("width", "block")
NUMBERS = {
    "top_k": ("hard_attention",),
    "window": ("visibility",),
    "num_queries": ("readout", "block"),
}
"""Options that only some words of other options use."""


def _renamed(old: str) -> Any:
    return optional_arg("STR", aliases=(f"--{old}",))


def _number(metavar: str, default: float, *aliases: str) -> Any:
    return optional_arg(metavar, f"preset, else {default:g}", aliases)


@dataclass(frozen=True)
class EncoderOptions:
    """The attention encoder; its words are explained below."""

    encoder: str = "auto"
    """What stands between observation and policy, and how large it is."""
    tokens: str = "auto"
    """auto, patches, linear-patches, cells, entities, features, history; or image:cells,x:auto."""
    layers: Count = None
    """Attention layers; the last one is the gate, or the readout."""
    heads: Count = None
    """Attention heads per layer."""
    width: Count = None
    """Numbers per token, a multiple of heads."""
    block: Word = None
    """What the layers before the readout are."""
    readout: Word = None
    """From tokens to one vector; most readouts are the last attention layer."""
    num_queries: Annotated[int | None, _number("INT", 4, "--points")] = None
    """Learned queries, slots or inducing points, for readouts and blocks that have some."""
    query_source: Annotated[str | None, _renamed("asker")] = None
    """Key of a Dict observation whose tokens are the queries, for the readout cross."""
    score: Annotated[str | None, _renamed("attention")] = None
    """How well a token answers a query."""
    normalizer: Annotated[str | None, _renamed("normaliser")] = None
    """From scores to weights."""
    temperature: Annotated[float | None, _number("FLOAT", AttentionConfig.temperature)] = None
    """Divides the scores: below 1 sharpens, above 1 evens out."""
    hard_attention: Annotated[str | None, _renamed("hard")] = None
    """Which tokens are read at all."""
    top_k: Annotated[int | None, _number("INT", AttentionConfig.top_k, "--budget")] = None
    """Tokens that a query reads, for hard attention by top-k."""
    visibility: Annotated[str | None, _renamed("where")] = None
    """Which tokens a query sees."""
    window: Annotated[int | None, _number("INT", AttentionConfig.window, "--reach")] = None
    """Of local visibility: cells, patches or steps to each side."""
    positions: Word = None
    """What the distance between query and token adds to the score."""
    head_mixing: Annotated[str | None, _renamed("mix")] = None
    """How heads combine."""
    gate: Pairs = field(default_factory=dict)
    """How far a gate closes and what it reads: floor:0.25 context:false glance:32 head_width:8."""
    sparsity: Annotated[float | None, optional_arg("FLOAT", "preset, else 0")] = None
    """Pulls the weights of a gate together, such as 0.01; more reads fewer tokens."""

    @property
    def given(self) -> tuple[str, ...]:
        """Which of these were set, but for `encoder` and `tokens`."""
        names = [option.name for option in fields(EncoderOptions)]
        names = [name for name in names if name not in ("encoder", "tokens")]
        return tuple(name for name in names if getattr(self, name) not in (None, {}))


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder, as `AttentionExtractor`, `GatedExtractor` or `StockExtractor` takes it.

    The words of mechanisms are looked up when an encoder is built: plugins may add some.
    """

    kind: str = "pooled"
    """A word of `KINDS`. Files of version 0.1 have none: theirs are pooled."""
    tokens: TokenChoice | Mapping[str, TokenChoice] = "auto"
    """A kind of token, or a kind per key of a Dict observation."""
    layers: int = 2
    heads: int = 4
    width: int = 64
    """Width of a token, a multiple of `heads`; of a gate, inside the layers before it."""
    block: str = BLOCKS.default
    readout: str = READOUTS.default
    num_queries: int = 4
    """Learned queries, slots or inducing points."""
    query_source: str = ""
    """Key of a Dict observation whose tokens are the queries, for the readout "cross"."""
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    gate: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `GateConfig` but for heads; those of a run that was settled are all there."""
    sparsity: float = 0.0
    """Weight of the entropy of a gate's weights in its loss, 0 to 1; 0 for none."""
    given: Collection[str] = field(default=(), compare=False)
    """Options that a person gave; the others come from a preset, or are defaults. Only those given
    are refused where nothing uses them."""

    def __post_init__(self) -> None:
        for kind in self.tokens.values() if isinstance(self.tokens, Mapping) else (self.tokens,):
            check_choice("kind of token", kind, TOKENS)
        check_choice("encoder", self.kind, KINDS)
        check_fields(self)
        check_number("sparsity", self.sparsity, 0, 1)
        for name, value in self.gate.items():
            check_plain(f"{name} of gate", value)
        has_width = self.kind == "pooled" or self.layers > 1
        if has_width and self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of heads, got width={self.width}, heads={self.heads}"
            )
        for name in self.given:
            self._check_used(name)

    @classmethod
    def from_words(cls, **words: Any) -> EncoderConfig:
        """Build a config from the options of a command line, a preset or a file, all on one level.

        Options may have the names of version 0.1. A gate has one layer unless words say otherwise.

        Raises:
            TypeError: there is no such option.
            ValueError: a value breaks a rule.
        """
        words = rename_old_words(words)
        if words.get("kind") == "gate":
            words.setdefault("layers", 1)
        words["given"] = tuple(OLD_WORDS.get(name, name) for name in words.get("given", ()))
        attention = {name: words.pop(name) for name in ATTENTION_WORDS if name in words}
        for name, value in attention.items():
            kind = type(getattr(AttentionConfig, name))
            ATTENTION_CHECKS[kind](name, value)
            attention[name] = kind(value)
        return cls(**words, attention=AttentionConfig(**attention))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """Read a config from a file; files of version 0.1 have all options on one level.

        Raises:
            TypeError: there is no such option.
            ValueError: a value breaks a rule.
        """
        values = dict(values)
        nested = values.get("attention")
        if isinstance(nested, Mapping):
            values = {**values, **nested}
            del values["attention"]
        return cls.from_words(**values)

    def option(self, name: str) -> Any:
        """Return an option of the encoder or of its attention."""
        return getattr(self.attention if name in ATTENTION_WORDS else self, name)

    def _check_used(self, name: str) -> None:
        """Refuse an option that this encoder would not act upon."""
        check_used(name, self.option(name), {"encoder": self.kind}, {"encoder": kinds_with(name)})
        if self.kind == "gate" and name in BLOCK_WORDS and self.layers == 1:
            raise ValueError(
                f"{name}={self.option(name)} would change nothing with encoder='gate' and "
                "layers=1, which is the gate alone; leave it out, or use layers=2"
            )
        chosen = {option: self.option(option) for option in NUMBERS.get(name, ())}
        if chosen and all(word in REGISTRIES[option].builtin for option, word in chosen.items()):
            check_used(name, self.option(name), chosen, words_that_use(name))
        if name == "head_mixing" and self.attention.head_mixing == "weighted" and self.heads == 1:
            raise ValueError(
                "head_mixing='weighted' weighs heads against each other, and heads=1 has no other; "
                "use more heads, or head_mixing='concat'"
            )


def kinds_with(option: str) -> tuple[str, ...]:
    """Return the kinds of encoders that act upon an option.

    >>> kinds_with("readout"), kinds_with("heads")
    (('pooled',), ('gate', 'pooled'))
    """
    users = {"gate": option in GATE_WORDS, "pooled": option not in GATE_ONLY}
    return tuple(kind for kind, uses in users.items() if uses)


def words_that_use(number: str) -> dict[str, tuple[str, ...]]:
    """Return the words of other options that use a number, as their lines of help say.

    Those of plugins are left out: they may use any.

    >>> words_that_use("top_k")
    {'hard_attention': ('perturbed-top-k', 'top-k')}
    """
    return {
        option: tuple(
            word
            for word, entry in REGISTRIES[option].builtin.items()
            if f"`{number}`" in entry.help
        )
        for option in NUMBERS[number]
    }


def rename_old_words(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return options under the names that they have today."""
    return {OLD_WORDS.get(name, name): value for name, value in words.items()}
