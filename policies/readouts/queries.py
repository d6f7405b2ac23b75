"""Several learned queries read all tokens, each for a part of the whole."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.multi_head import QueryAttention
from attention_agents.policies.readouts.query_block import QueryBlock
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.tokens import Tokens


@READOUTS.register(
    "queries", "`num_queries` learned queries read the tokens; their reads are joined"
)
class LearnedQueries(Readout):
    """Read the tokens with learned queries: `output(concat(query_block(queries)))`.

    There are k = `context.num_queries`.

    Source: Lee et al. 2019, Set Transformer, section 3.2 (PMA), https://arxiv.org/abs/1810.00825.
    Differs: norms come first, and the tokens pass no feed-forward layer before they are read; the k
        rows are joined and projected to one vector, without self-attention between them.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        context = replace(context, query_tokens=None)
        self.queries = nn.Parameter(torch.randn(1, context.num_queries, context.width))
        self.query_block = QueryBlock(
            context, QueryAttention(context, "readout", "learned queries")
        )
        self.output = Projection(context.num_queries * context.width, context.width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        rows = self.query_block(self.queries.expand(tokens.values.shape[0], -1, -1), tokens)
        return self.output(rows.flatten(1))  # (B, k * D) to (B, D)
