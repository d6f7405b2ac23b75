"""Several learned queries read all tokens, each for a part of the whole."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention import Projection, QueryAttention, Site
from attention_agents.policies.readouts.query_block import Asking
from attention_agents.policies.readouts.readout import READOUTS, Readout
from attention_agents.policies.tokens import Tokens


@READOUTS.register("queries", "`points` learned queries read the tokens; their reads are joined")
class LearnedQueries(Readout):
    """Read the tokens with k = `site.points` learned queries: `output(concat(asking(queries)))`.

    Source: Lee et al. 2019, Set Transformer, section 3.2 (PMA), https://arxiv.org/abs/1810.00825.
    Differs: norms come first, and the tokens pass no feed-forward layer before they are read; the k
        rows are joined and projected to one vector, without self-attention between them.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        site = replace(site, askers=None)
        self.queries = nn.Parameter(torch.randn(1, site.points, site.width))
        self.asking = Asking(site, QueryAttention(site, "readout", "learned queries"))
        self.output = Projection(site.points * site.width, site.width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        rows = self.asking(self.queries.expand(tokens.values.shape[0], -1, -1), tokens)
        return self.output(rows.flatten(1))  # (B, k * D) to (B, D)
