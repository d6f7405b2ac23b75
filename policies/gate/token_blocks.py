"""Self-attention over tokens that keep their places: what it finds is added to them."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.tappable import TappableAttention
from attention_agents.policies.encoder import LayerModule
from attention_agents.policies.gate.attention_gate import symlog
from attention_agents.policies.gate.random_stream import check_initialization, own_stream
from attention_agents.policies.registries import BLOCKS
from attention_agents.policies.tokens import Tokens


class TokenBlocks(nn.Module):
    """Let tokens attend to each other, and add what comes of it: nothing at the start.

    ```
    e = place + content(x)                         (B, N, D)
    y = x + norm(blocks(e)) @ output / sqrt(D)     output is zero at the start
    ```

    The content of a token of one number is its symlog times a vector of its place; one of several
    numbers is projected, in units of the root mean square of all present tokens. Parameters are
    drawn from a random stream of their own, and none lies in an `nn.Linear` or a convolution, which
    SB3's `ortho_init` would draw again.

    Args:
        context: of the blocks: sizes, the N tokens, attention, gain.
        channels: C.
        count: how many blocks.
        block: a word of `BLOCKS`.

    Raises:
        ValueError: a word is unknown, words do not go together or with these tokens, or a block
            holds an `nn.Linear`.
    """

    def __init__(self, context: LayerContext, channels: int, count: int, block: str):
        super().__init__()
        N, D = context.num_tokens, context.width
        with own_stream("attention blocks"):
            self.blocks = nn.ModuleList(BLOCKS[block](context) for _ in range(count))
            self.place = nn.Parameter(torch.randn(N, D))
            shape = (N, D) if channels == 1 else (channels, D)
            self.content = nn.Parameter(torch.randn(shape) / math.sqrt(channels))
        self.norm = nn.LayerNorm(D)
        self.output = nn.Parameter(torch.zeros(D, channels))
        check_initialization(self.blocks, f"block {block!r}")

    def forward(
        self, x: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C N"]:
        """Return tokens that know of each other.

        Args:
            x: tokens, channels first.
            mask: True where a token is present; None when all are.
        """
        if mask is not None:
            x = x.masked_fill(~mask[:, None], 0.0)
        tokens = Tokens(self.embed(x, mask), mask)
        for block in self.blocks:
            tokens = block(tokens)
        found = self.norm(tokens.values) @ self.output  # (B, N, C)
        return x + found.transpose(1, 2) / math.sqrt(self.output.shape[0])

    def embed(
        self, x: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B N D"]:
        """Return what the blocks read: where each token stands, and what it holds.

        Absent tokens hold 0.
        """
        if x.shape[1] == 1:
            return torch.addcmul(self.place, symlog(x).transpose(1, 2), self.content)
        share = 1.0 if mask is None else mask.float().mean(1)[:, None, None].clamp(min=1e-6)
        size = x.square().mean((1, 2), keepdim=True) / share  # (B, 1, 1)
        return (x * (size + 1e-6).rsqrt()).transpose(1, 2) @ self.content + self.place

    def attention_modules(self) -> list[LayerModule]:
        """Return the attention modules, first layer first."""
        return [
            LayerModule(layer, module)
            for layer, block in enumerate(self.blocks)
            for module in block.modules()
            if isinstance(module, TappableAttention)
        ]
