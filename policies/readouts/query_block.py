"""Somebody asks: what a readout with queries makes of what they read."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention import QueryAttention, Site
from attention_agents.policies.blocks import FeedForward
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.tokens import Tokens


class Asking(nn.Module):
    """Add to each query what it reads from the tokens, then what it makes of that (pre-norm).

    ```
    query = query + attention(query_norm(query), token_norm(tokens))
    query = query + ffn(ffn_norm(query))
    ```
    """

    def __init__(self, site: Site, attention: QueryAttention):
        super().__init__()
        self.query_norm, self.token_norm = nn.LayerNorm(site.width), nn.LayerNorm(site.width)
        self.ffn_norm = nn.LayerNorm(site.width)
        self.attention = attention
        self.ffn = FeedForward(site)

    def forward(self, query: Float[Tensor, "B Q D"], tokens: Tokens) -> Float[Tensor, "B Q D"]:
        normed = tokens._replace(values=self.token_norm(tokens.values))
        query = query + self.attention(self.query_norm(query), normed)
        return query + self.ffn(self.ffn_norm(query))


class TokenAsks(Readout):
    """Read the tokens with the row of one of them, zeros where it is absent.

    A subclass says which one, and what it is called as an asker.
    """

    asker: str

    def __init__(self, site: Site):
        super().__init__(site)
        self.row = self.row_of(site)
        site = replace(site, askers=(self.row,))
        self.asking = Asking(site, QueryAttention(site, "readout", self.asker))

    def row_of(self, site: Site) -> int:
        """Return the index of the token that asks.

        Raises:
            ValueError: there is none.
        """
        raise NotImplementedError

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        row = tokens.values[:, self.row, None]  # (B, 1, D)
        if tokens.mask is not None:
            row = torch.where(tokens.mask[:, self.row, None, None], row, 0.0)
        return self.asking(row, tokens)[:, 0]
