"""One learned query reads all tokens."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import QueryAttention
from attention_agents.policies.readouts.query_block import QueryBlock
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.tokens import Tokens


@READOUTS.register("query", "one learned query reads the tokens")
class LearnedQuery(Readout):
    """Read the tokens with one learned query.

    Source: Lee et al. 2019, Set Transformer, section 3.2, https://arxiv.org/abs/1810.00825.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        context = replace(context, query_tokens=None)
        self.query = nn.Parameter(torch.randn(1, 1, context.width))
        self.query_block = QueryBlock(context, QueryAttention(context, "readout", "learned query"))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        return self.query_block(self.query.expand(tokens.values.shape[0], -1, -1), tokens)[:, 0]
