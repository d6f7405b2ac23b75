"""From N tokens to one vector: blocks, then a readout.

With a readout that attends, the last layer computes only its own rows, so that `layers=1` costs
O(N); but for the readout "votes", where every token is a query, in O(N^2), and for "attention-gru"
on a history of numbers, whose every step reads all steps before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.attention_weighting import AttentionWeighting
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.tappable import TappableAttention
from attention_agents.policies.read_standard import ReadStandard
from attention_agents.policies.registries import BLOCKS, POSITION_BIASES, READOUTS, VISIBILITIES
from attention_agents.policies.tokens import Tokens

MOST_LAYERS = 1000
"""More are a slip of the hand: they would take minutes to make."""


class LayerModule(NamedTuple):
    """An attention module, and the layer that it stands in."""

    layer: int
    """0 is the layer next to the observation."""
    attention: TappableAttention


class Encoder(nn.Module):
    """Turn tokens into one feature vector with `layers` attention layers.

    A readout that attends is itself the last layer; a pooling one follows `layers` blocks.

    Args:
        context: sizes, tokens and attention; its gain is set here.
        layers: L >= 1.
        block: a word of `BLOCKS`.
        readout: a word of `READOUTS`.

    Raises:
        ValueError: a count below 1, width not a multiple of heads, an unknown word, or parts that
            do not go together.
    """

    def __init__(
        self,
        context: LayerContext,
        layers: int,
        block: str = BLOCKS.default,
        readout: str = READOUTS.default,
    ):
        super().__init__()
        check_sizes(context, layers)
        gain = (2 * layers) ** -0.5  # keeps the residual stream at unit size, as in GPT-2
        context = replace(context, gain=gain)
        if READOUTS.is_empty(readout):
            readout = automatic_readout(context)
        readout_class, block_class = READOUTS[readout], BLOCKS[block]
        num_blocks = layers - 1 if readout_class.is_attention_layer else layers
        if block != "residual" and num_blocks == 0:
            raise ValueError(
                f"block={block!r} needs a layer before the readout {readout!r}; use layers=2"
            )
        if context.query_source and not readout_class.takes_query_source:
            raise ValueError(
                f"query_source={context.query_source!r} is for readouts that cross two keys, and "
                f"{readout!r} does not; use readout='cross'"
            )
        all_tokens = replace(context, query_tokens=tuple(range(context.num_tokens)))
        self.blocks = nn.ModuleList(block_class(all_tokens) for _ in range(num_blocks))
        self.readout = readout_class(context)
        self.standard: ReadStandard | None = None
        """What is taken off a read; None for nothing."""
        self.norm = nn.LayerNorm(context.width)
        check_used(context, self)

    def attention_modules(self) -> list[LayerModule]:
        """Return the attention modules, first layer first."""
        return [
            LayerModule(layer, module)
            for layer, part in enumerate([*self.blocks, self.readout])
            for module in part.modules()
            if isinstance(module, TappableAttention)
        ]

    def apply_blocks(self, tokens: Tokens) -> Tokens:
        """Return the tokens as the blocks leave them."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        read = self.readout(self.apply_blocks(tokens))
        return self.norm(read if self.standard is None else self.standard(read))

    def set_standard(self, batches: Iterable[Tokens]) -> None:
        """Measure what reads of these tokens have in common, and take it off from here on."""
        with torch.no_grad():
            reads = [self.readout(self.apply_blocks(tokens)) for tokens in batches]
        self.standard = ReadStandard(reads[0].shape[1])
        self.standard.measure(torch.cat(reads))


def automatic_readout(context: LayerContext) -> str:
    """Return "ego" where a token is the agent itself, else "query"."""
    groups = () if context.layout is None else context.layout.groups
    return "ego" if any(group.ego is not None for group in groups) else "query"


def check_sizes(context: LayerContext, layers: int) -> None:
    """Refuse sizes that no encoder can have.

    Raises:
        ValueError: a count below 1, more than `MOST_LAYERS`, or a width that is not a multiple of
            heads.
    """
    width, heads = context.width, context.heads
    sizes = {"width": width, "heads": heads, "layers": layers, "num_queries": context.num_queries}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if layers > MOST_LAYERS:
        raise ValueError(f"layers must be at most {MOST_LAYERS}, got {layers}")
    if width % heads:
        raise ValueError(
            f"width must be a multiple of heads, got width={width}, heads={heads}; "
            f"try width={heads * max(1, round(width / heads))}"
        )


def check_used(context: LayerContext, encoder: nn.Module) -> None:
    """Refuse words that this encoder would not act upon.

    Raises:
        ValueError: an attention config, and no module that weighs by it; or a word that needs
            queries with places, and no such query.
    """
    config, default = context.attention, AttentionConfig()
    weightings = [module for module in encoder.modules() if isinstance(module, AttentionWeighting)]
    if not weightings and config != default:
        changes = ", ".join(
            f"{field.name}={getattr(config, field.name)!r}"
            for field in fields(config)
            if getattr(config, field.name) != getattr(default, field.name)
        )
        raise ValueError(
            "this block and readout weigh tokens by a rule of their own, so the attention with "
            f"{changes} would not be used; choose another block or readout"
        )
    for name, registry in (("visibility", VISIBILITIES), ("positions", POSITION_BIASES)):
        word = getattr(config, name)
        if registry.is_empty(word):
            continue
        if registry[word] not in {type(getattr(weighting, name)) for weighting in weightings}:
            raise ValueError(
                f"{name}={word!r} needs queries that stand somewhere, which learned queries and "
                "inducing points do not; use block='residual' and one layer more, or a readout "
                "whose query is a token, such as 'ego'"
            )
