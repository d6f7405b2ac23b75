"""A gate behind self-attention blocks: what every part of an observation is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.encoder import LayerModule, check_sizes, check_used
from attention_agents.policies.gate.attention_gate import AttentionGate, GateConfig
from attention_agents.policies.gate.gate_weighting import check_gate_words
from attention_agents.policies.gate.token_blocks import TokenBlocks
from attention_agents.policies.registries import BLOCKS


class BlocksGate(nn.Module):
    """Let tokens attend to each other, then gate them: `gate(blocks(x))`.

    At the start neither changes a token, at any depth.

    Args:
        blocks: which add what tokens find in each other.
        gate: which says how much each token counts.
    """

    def __init__(self, blocks: TokenBlocks, gate: AttentionGate):
        super().__init__()
        self.blocks, self.gate = blocks, gate

    def forward(
        self, x: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C N"]:
        """Return the gated tokens; absent ones are 0.

        Args:
            x: tokens, channels first.
            mask: True where a token is present; None when all are.
        """
        return self.gate(self.blocks(x, mask), mask)

    def place(self, members: Sequence[bool], part: str) -> None:
        """Say which tokens of the whole layout these are, see `TappableAttention.place`."""
        for _, module in self.attention_modules():
            module.place(members, part)

    def attention_modules(self) -> list[LayerModule]:
        """Return the attention modules, first layer first; the gate is the last."""
        return [*self.blocks.attention_modules(), LayerModule(len(self.blocks.blocks), self.gate)]


@dataclass(frozen=True)
class GatePlan:
    """What stands between the tokens of a part and the layers that follow: blocks and a gate."""

    gate: GateConfig = field(default_factory=GateConfig)
    layers: int = 1
    """Attention layers, the gate's included: `layers - 1` blocks."""
    width: int = 64
    """D, width of the tokens inside the blocks, a multiple of heads."""
    heads: int = 4
    """Attention heads of the blocks; the gate has its own."""
    block: str = BLOCKS.default
    """A word of `BLOCKS`."""
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    """How blocks and gate weigh tokens; visibility and positions are for blocks alone."""

    def build(self, layout: TokenLayout, channels: int) -> AttentionGate | BlocksGate:
        """Return the gate of a part, behind blocks where there are more layers than one.

        Args:
            layout: of the part's N tokens.
            channels: C, numbers of a token.

        Raises:
            ValueError: sizes do not fit, a word is unknown, or nothing would act upon it.
        """
        if self.layers == 1:
            return self._build_gate(layout, channels)
        context = LayerContext(
            width=self.width,
            heads=self.heads,
            num_tokens=len(layout),
            layout=layout,
            query_tokens=tuple(range(len(layout))),
            attention=self.attention,
            gain=(2 * max(1, self.layers)) ** -0.5,
            has_positions=False,
        )
        check_sizes(context, self.layers)
        gate = self._build_gate(layout, channels)
        built = BlocksGate(TokenBlocks(context, channels, self.layers - 1, self.block), gate)
        check_used(context, built if gate.weighting is not None else built.blocks)
        return built

    def _build_gate(self, layout: TokenLayout, channels: int) -> AttentionGate:
        check_gate_words(self.attention, self.layers)
        if self.layers == 1 and self.block != BLOCKS.default:
            raise ValueError(f"block={self.block!r} needs a layer before the gate; use layers=2")
        return AttentionGate(len(layout), channels, self.gate, self.attention, layout)


def gate_modules(gate: AttentionGate | BlocksGate) -> list[LayerModule]:
    """Return the attention modules of a part, first layer first; the gate is the last."""
    if isinstance(gate, BlocksGate):
        return gate.attention_modules()
    return [LayerModule(0, gate)]
