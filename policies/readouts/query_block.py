"""Queries that read tokens: the block that most readouts are made of."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import QueryAttention
from attention_agents.policies.blocks.block import FeedForward
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.tokens import Tokens


class QueryBlock(nn.Module):
    """Add to each query what it reads from the tokens, then what it makes of that (pre-norm).

    ```
    query = query + attention(query_norm(query), token_norm(tokens))
    query = query + ffn(ffn_norm(query))
    ```
    """

    def __init__(self, context: LayerContext, attention: QueryAttention):
        super().__init__()
        self.query_norm, self.token_norm = nn.LayerNorm(context.width), nn.LayerNorm(context.width)
        self.ffn_norm = nn.LayerNorm(context.width)
        self.attention = attention
        self.ffn = FeedForward(context)

    def forward(self, query: Float[Tensor, "B Q D"], tokens: Tokens) -> Float[Tensor, "B Q D"]:
        normed = tokens._replace(values=self.token_norm(tokens.values))
        query = query + self.attention(self.query_norm(query), normed)
        return query + self.ffn(self.ffn_norm(query))


class TokenQueryReadout(Readout):
    """Read the tokens with the row of one of them, zeros where it is absent.

    A subclass says which one, and names it in `query_source`.
    """

    query_source: str

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.row = self.find_row(context)
        context = replace(context, query_tokens=(self.row,))
        self.query_block = QueryBlock(
            context, QueryAttention(context, "readout", self.query_source)
        )

    def find_row(self, context: LayerContext) -> int:
        """Return the index of the token that is the query.

        Raises:
            ValueError: there is none.
        """
        raise NotImplementedError

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        row = tokens.values[:, self.row, None]  # (B, 1, D)
        if tokens.mask is not None:
            row = torch.where(tokens.mask[:, self.row, None, None], row, 0.0)
        return self.query_block(row, tokens)[:, 0]
