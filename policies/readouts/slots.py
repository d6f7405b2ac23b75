"""Slots compete for the tokens, and each binds to some of them."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.normalizers.softmax import Softmax
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.blocks.block import FeedForward
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.tokens import Tokens

ITERATIONS = 3
"""Rounds of competition, as in the paper."""


@READOUTS.register("slots", "`num_queries` slots compete for the tokens; the slots are joined")
class Slots(Readout):
    """Bind the tokens to S = `context.num_queries` slots, and give `output(concat(slots))`.

    Raises:
        ValueError: there are fewer than two slots.

    Source: see `SlotAttention`.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        if context.num_queries < 2:
            raise ValueError(
                "readout 'slots' needs num_queries of at least 2: a single slot has no other to "
                f"compete with and reads the plain mean, got {context.num_queries}; use "
                "readout='query'"
            )
        self.slots = nn.Parameter(torch.randn(1, context.num_queries, context.width))
        self.attention = SlotAttention(context)
        self.output = Projection(context.num_queries * context.width, context.width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        slots = self.attention(self.slots.expand(tokens.values.shape[0], -1, -1), tokens)
        return self.output(slots.flatten(1))  # (B, S * D) to (B, D)


class SlotAttention(TappableAttention):
    """Let slots compete for tokens, and change each by what it won, three times over.

    ```
    shares = softmax over slots of (query(norm(slots)) @ key(tokens).T / sqrt(K))
    weights = shares / shares.sum over tokens
    slots = GRU(weights @ value(tokens), slots)
    slots = slots + mlp(norm(slots))
    ```

    It reports the weights of the last round: what slots read with, whose rows sum to 1 over tokens.
    The shares, which sum to 1 over slots, are the same rows, each times what its slot has won.
    Absent tokens weigh 0 for all slots. It weighs by its own rule, not by `context.attention`, and
    costs O(N S).

    Source: Locatello et al. 2020, Object-centric learning with slot attention, section 2.1 and
        algorithm 1, https://arxiv.org/abs/2006.15055.
    Differs: slots start from learned vectors, not from samples, so that nothing is random and each
        slot can have a role of its own; with H heads, slots compete head by head (H = 1 is the
        paper's); weights are found as `softmax over tokens of log(shares)`, which needs no epsilon;
        the feed-forward layer has a gelu.
    """

    queries, query_source = "slots", "slots"

    def __init__(self, context: LayerContext):
        super().__init__()
        self.heads = context.heads
        self.token_norm, self.slot_norm = nn.LayerNorm(context.width), nn.LayerNorm(context.width)
        self.mlp_norm = nn.LayerNorm(context.width)
        self.query = Projection(context.width, context.width, bias=False)
        self.inputs = Projection(context.width, 2 * context.width, bias=False)  # keys and values
        self.renormalize = Softmax(context)
        self.gru = nn.GRUCell(context.width, context.width)
        self.mlp = FeedForward(context)

    def forward(self, slots: Float[Tensor, "B S D"], tokens: Tokens) -> Float[Tensor, "B S D"]:
        x, mask, _ = tokens
        B, N, D = x.shape
        H, S = self.heads, slots.shape[1]
        kv = self.inputs(self.token_norm(x)).view(B, N, 2, H, D // H)
        k, v = kv.permute(2, 0, 3, 1, 4)  # each (B, H, N, K)
        for round in range(ITERATIONS):
            q = self.query(self.slot_norm(slots)).view(B, S, H, D // H)
            q = q.transpose(1, 2)  # (B, H, S, K)
            weights = self.compete_for_tokens(q, k, mask)  # (B, H, S, N)
            if self.listeners and round == ITERATIONS - 1:
                self.report(AttentionWeights(weights, mask))
            read = (weights @ v).transpose(1, 2).reshape(B * S, D)  # (B, H, S, K) before
            slots = self.gru(read, slots.reshape(B * S, D)).view(B, S, D)
            slots = slots + self.mlp(self.mlp_norm(slots))
        return slots

    def compete_for_tokens(
        self,
        q: Float[Tensor, "B H S K"],
        k: Float[Tensor, "B H N K"],
        mask: Bool[Tensor, "B N"] | None,
    ) -> Float[Tensor, "B H S N"]:
        """Return what slots read tokens with."""
        scores = q.shape[-1] ** -0.5 * q @ k.transpose(-2, -1)
        # a softmax over tokens of log(shares) is shares / shares.sum, and 0 for absent tokens
        log_shares = scores.log_softmax(-2)  # over slots
        return self.renormalize(log_shares, None if mask is None else mask[:, None, None])
