"""Gates in place of residual additions: a block that starts as nearly nothing."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.blocks.block import Block, FeedForward
from attention_agents.policies.registries import BLOCKS
from attention_agents.policies.tokens import Tokens

GATE_BIAS = 2.0
"""b_g of every gate at the start: it lets about `sigmoid(-2) = 0.12` of a branch through."""


class Gate(nn.Module):
    """Let a branch y into the stream x, as a GRU lets an input into its state.

    ```
    r = sigmoid(W_r y + U_r x)
    z = sigmoid(W_z y + U_z x - b_g)
    h = tanh(W_g y + U_g (r * x))
    gate(x, y) = (1 - z) * x + z * h
    ```

    Source: Parisotto et al. 2020, Stabilizing transformers for reinforcement learning, section 3.3,
        https://arxiv.org/abs/1910.06764.
    """

    def __init__(self, width: int):
        super().__init__()
        self.branch = Projection(width, 3 * width, bias=False)  # W_r, W_z, W_g
        self.stream = Projection(width, 2 * width, bias=False)  # U_r, U_z
        self.candidate = Projection(width, width, bias=False)  # U_g
        self.bias = nn.Parameter(torch.full((width,), GATE_BIAS))

    def forward(
        self, x: Float[Tensor, "*shape D"], y: Float[Tensor, "*shape D"]
    ) -> Float[Tensor, "*shape D"]:
        y_r, y_z, y_g = self.branch(y).chunk(3, -1)
        x_r, x_z = self.stream(x).chunk(2, -1)
        r, z = torch.sigmoid(y_r + x_r), torch.sigmoid(y_z + x_z - self.bias)
        h = torch.tanh(y_g + self.candidate(r * x))
        return torch.lerp(x, h, z)  # (1 - z) * x + z * h


@BLOCKS.register("gtrxl", "self-attention and feed-forward, each let in by a GRU gate (GTrXL)")
class GTrXL(Block):
    """Read the other tokens and make something of it, each let in by a gate that starts near shut.

    ```
    y = gate(x, relu(attention(norm(x))))
    x = gate(y, relu(ffn(norm(y))))
    ```

    Source: Parisotto et al. 2020, Stabilizing transformers for reinforcement learning, sections 3.2
        and 3.3, https://arxiv.org/abs/1910.06764.
    Differs: the memory is the window of tokens that the observation holds, through which gradients
        flow, not states kept from earlier segments; distance counts as the mechanism's `positions`
        say; the feed-forward layer has a gelu inside.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.attention_norm, self.ffn_norm = (
            nn.LayerNorm(context.width),
            nn.LayerNorm(context.width),
        )
        self.attention = SelfAttention(context)
        self.ffn = FeedForward(context)
        self.attention_gate, self.ffn_gate = Gate(context.width), Gate(context.width)

    def forward(self, tokens: Tokens) -> Tokens:
        x = tokens.values
        read = self.attention(tokens._replace(values=self.attention_norm(x)))
        x = self.attention_gate(x, F.relu(read))
        return tokens._replace(values=self.ffn_gate(x, F.relu(self.ffn(self.ffn_norm(x)))))
