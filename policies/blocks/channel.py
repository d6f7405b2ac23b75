"""Channel attention: which of the D channels count, by what all tokens hold on the whole."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.blocks.block import Block, FeedForward
from attention_agents.policies.registries import BLOCKS
from attention_agents.policies.tokens import Tokens

REDUCTION = 4
"""Channels per unit of the bottleneck."""


class ChannelGates(TappableAttention):
    """Weigh each channel from 0 to 1 by the mean of the present tokens.

    `weights = sigmoid(excite(relu(squeeze(mean(x)))))`; where no token is present, a learned vector
    stands in for the mean.

    Source: Hu et al. 2018, Squeeze-and-excitation networks, section 3, https://arxiv.org/abs/1709.01507.
    Differs: absent tokens are left out of the mean; the bottleneck is narrower by 4 and not by 16,
        for tokens have few channels.
    """

    queries = "pooled tokens"
    keys = "channels"
    normalized_over = "none"
    heads = 1

    def __init__(self, context: LayerContext):
        super().__init__()
        inner = max(1, context.width // REDUCTION)
        self.squeeze = Projection(context.width, inner, gain=2**0.5)
        self.excite = Projection(inner, context.width)
        self.empty_vector = nn.Parameter(torch.zeros(context.width))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B 1 D"]:
        weights = torch.sigmoid(
            self.excite(F.relu(self.squeeze(self.mean_token(tokens))))
        )  # (B, D)
        weights = weights[:, None]  # (B, 1, D)
        if self.listeners:
            self.report(AttentionWeights(weights[:, None]))  # (B, 1, 1, D)
        return weights

    def mean_token(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        """Return the mean of the present tokens."""
        x, mask, _ = tokens
        if mask is None:
            return x.mean(1)
        present = mask[:, :, None]
        mean = torch.where(present, x, 0.0).sum(1) / present.sum(1).clamp(min=1)
        return torch.where(mask.any(1, keepdim=True), mean, self.empty_vector)


@BLOCKS.register("channel", "gates on channels (squeeze-and-excitation), then feed-forward")
class Channel(Block):
    """Scale the channels of all tokens alike, then change each token by itself.

    `x = gates(x) * x`, then `x + ffn(norm(x))`. Tokens are not told apart, so there is no map over
    them: the D gates are the map. Of the mechanism nothing is used.

    Source: Hu et al. 2018, Squeeze-and-excitation networks, equations 2 to 4, https://arxiv.org/abs/1709.01507.
    Differs: the feed-forward layer stands for the convolutions between two such gates.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.gates = ChannelGates(context)
        self.ffn_norm = nn.LayerNorm(context.width)
        self.ffn = FeedForward(context)

    def forward(self, tokens: Tokens) -> Tokens:
        x = self.gates(tokens) * tokens.values
        return tokens._replace(values=x + self.ffn(self.ffn_norm(x)))
