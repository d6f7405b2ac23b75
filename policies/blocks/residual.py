"""The usual block: attention, then feed-forward, each added to its input."""

from __future__ import annotations

from torch import nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.blocks.block import Block, FeedForward
from attention_agents.policies.registries import BLOCKS
from attention_agents.policies.tokens import Tokens


@BLOCKS.register("residual", "self-attention and feed-forward, each added (pre-norm transformer)")
class Residual(Block):
    """Add to each token what it reads from the others, then what it makes of that (pre-norm).

    Source: Xiong et al. 2020, On layer normalization in the transformer architecture, https://arxiv.org/abs/2002.04745.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.attention_norm, self.ffn_norm = (
            nn.LayerNorm(context.width),
            nn.LayerNorm(context.width),
        )
        self.attention = SelfAttention(context)
        self.ffn = FeedForward(context)

    def forward(self, tokens: Tokens) -> Tokens:
        x = tokens.values
        x = x + self.attention(tokens._replace(values=self.attention_norm(x)))
        return tokens._replace(values=x + self.ffn(self.ffn_norm(x)))
