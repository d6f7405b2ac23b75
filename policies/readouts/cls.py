"""A learned token that stands among the others, reads them and itself, and sums them up."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import QueryAttention
from attention_agents.policies.attention.tappable import AttentionWeights
from attention_agents.policies.blocks.block import FeedForward
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.tokens import Tokens

CLS = "CLS"
"""Name of the learned token, the last key of the map."""


@READOUTS.register("cls", "a learned CLS token stands among the tokens, and its row is read off")
class CLSToken(Readout):
    """Set a learned token among the others, and give its row of a pre-norm block.

    ```
    x = concat(tokens, cls)
    cls = cls + attention(norm(cls), norm(x))
    cls = cls + ffn(ffn_norm(cls))
    ```

    Unlike a learned query it is a key as well: what it keeps for itself is not read from tokens.

    Source: Devlin et al. 2019, BERT, section 3, https://arxiv.org/abs/1810.04805, for the token;
        Touvron et al. 2021, Going deeper with image transformers, section 3,
        https://arxiv.org/abs/2103.17239, for a token that joins in the last layers and reads alone.
    Differs: it joins in the readout's own layer only, so that tokens never read it.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.token = nn.Parameter(torch.randn(1, 1, context.width))
        self.norm, self.ffn_norm = nn.LayerNorm(context.width), nn.LayerNorm(context.width)
        self.attention = CLSAttention(context)
        self.ffn = FeedForward(context)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        x, mask, places = tokens
        cls = self.token.expand(x.shape[0], -1, -1)
        normed = self.norm(torch.cat([x, cls], 1))  # (B, N + 1, D)
        if mask is not None:
            mask = F.pad(mask, (0, 1), value=True)
        if places is not None:
            places = F.pad(places, (0, 0, 0, 1))
        cls = cls + self.attention(normed[:, -1:], Tokens(normed, mask, places))
        return (cls + self.ffn(self.ffn_norm(cls)))[:, 0]


class CLSAttention(QueryAttention):
    """Let a token that stands last read all tokens and itself; it is always present."""

    extra_keys = (CLS,)

    def __init__(self, context: LayerContext):
        layout = context.layout
        if layout is not None:
            layout = TokenLayout((*layout.groups, TokenGroup("features", (CLS,), CLS)))
        context = replace(
            context, num_tokens=context.num_tokens + 1, layout=layout, query_tokens=None
        )
        super().__init__(context, "readout", CLS)

    def report_weights(self, weights: AttentionWeights, mask: Bool[Tensor, "B N1"] | None) -> None:
        """Report the weights of this pass, and which tokens of the observation are present."""
        super().report_weights(weights, None if mask is None else mask[:, :-1])
