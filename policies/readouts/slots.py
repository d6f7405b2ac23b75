"""Slots compete for the tokens, and each binds to its own."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention import NORMALISERS, Attentive, Heard, Projection, Site
from attention_agents.policies.blocks import FeedForward
from attention_agents.policies.readouts.readout import READOUTS, Readout
from attention_agents.policies.tokens import Tokens

ITERATIONS = 3
"""Rounds of competition, as in the paper."""


@READOUTS.register("slots", "`points` slots compete for the tokens; the slots are joined")
class Slots(Readout):
    """Bind the tokens to S = `site.points` slots, and give `output(concat(slots))`.

    Raises:
        ValueError: there are fewer than two slots.

    Source: see `SlotAttention`.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        if site.points < 2:
            raise ValueError(
                "readout 'slots' needs points of at least 2: a slot alone has nobody to compete "
                f"with and reads the plain mean, got {site.points}; use readout='query'"
            )
        self.slots = nn.Parameter(torch.randn(1, site.points, site.width))
        self.attention = SlotAttention(site)
        self.output = Projection(site.points * site.width, site.width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        slots = self.attention(self.slots.expand(tokens.values.shape[0], -1, -1), tokens)
        return self.output(slots.flatten(1))  # (B, S * D) to (B, D)


class SlotAttention(Attentive):
    """Let slots compete for tokens, and change each by what it won, three times over.

    ```
    shares = softmax over slots of (query(norm(slots)) @ key(tokens).T / sqrt(K))
    weights = shares / shares.sum over tokens
    slots = GRU(weights @ value(tokens), slots)
    slots = slots + mlp(norm(slots))
    ```

    It tells the weights of the last round: what slots read with, whose rows sum to 1 over tokens.
    The shares, which sum to 1 over slots, are the same rows, each times what its slot has won.
    Absent tokens weigh 0 for all slots. It weighs by its own rule, not by `site.mechanism`, and
    costs O(N S).

    Source: Locatello et al. 2020, Object-centric learning with slot attention, section 2.1 and
        algorithm 1, https://arxiv.org/abs/2006.15055.
    Differs: slots start from learned vectors, not from samples, so that nothing is random and each
        slot can have a role of its own; with H heads, slots compete head by head (H = 1 is the
        paper's); weights are found as `softmax over tokens of log(shares)`, which needs no epsilon;
        the feed-forward layer has a gelu.
    """

    queries, asker = "slots", "slots"

    def __init__(self, site: Site):
        super().__init__()
        self.heads = site.heads
        self.token_norm, self.slot_norm = nn.LayerNorm(site.width), nn.LayerNorm(site.width)
        self.mlp_norm = nn.LayerNorm(site.width)
        self.query = Projection(site.width, site.width, bias=False)
        self.inputs = Projection(site.width, 2 * site.width, bias=False)  # keys and values
        self.renormalise = NORMALISERS["softmax"](site)
        self.gru = nn.GRUCell(site.width, site.width)
        self.mlp = FeedForward(site)

    def forward(self, slots: Float[Tensor, "B S D"], tokens: Tokens) -> Float[Tensor, "B S D"]:
        x, mask, _ = tokens
        B, N, D = x.shape
        H, S = self.heads, slots.shape[1]
        kv = self.inputs(self.token_norm(x)).view(B, N, 2, H, D // H)
        k, v = kv.permute(2, 0, 3, 1, 4)  # each (B, H, N, K)
        for left in reversed(range(ITERATIONS)):
            q = self.query(self.slot_norm(slots)).view(B, S, H, D // H).transpose(1, 2)
            weights = self.weigh(q, k, mask)
            if self.listeners and not left:
                self.tell(Heard(weights, mask))
            read = (weights @ v).transpose(1, 2).reshape(B * S, D)
            slots = self.gru(read, slots.reshape(B * S, D)).view(B, S, D)
            slots = slots + self.mlp(self.mlp_norm(slots))
        return slots

    def weigh(
        self,
        q: Float[Tensor, "B H S K"],
        k: Float[Tensor, "B H N K"],
        mask: Bool[Tensor, "B N"] | None,
    ) -> Float[Tensor, "B H S N"]:
        """Return what slots read tokens with."""
        scores = q.shape[-1] ** -0.5 * q @ k.transpose(-2, -1)
        shares = scores.log_softmax(-2)
        return self.renormalise(shares, None if mask is None else mask[:, None, None])
