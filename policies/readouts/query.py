"""One learned query reads all tokens."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention import QueryAttention, Site
from attention_agents.policies.readouts.query_block import Asking
from attention_agents.policies.readouts.readout import READOUTS, Readout
from attention_agents.policies.tokens import Tokens


@READOUTS.register("query", "one learned query reads the tokens")
class LearnedQuery(Readout):
    """Read the tokens with one learned query.

    Source: Lee et al. 2019, Set Transformer, section 3.2, https://arxiv.org/abs/1810.00825.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        site = replace(site, askers=None)
        self.query = nn.Parameter(torch.randn(1, 1, site.width))
        self.asking = Asking(site, QueryAttention(site, "readout", "learned query"))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        return self.asking(self.query.expand(tokens.values.shape[0], -1, -1), tokens)[:, 0]
