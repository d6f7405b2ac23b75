"""Tokens vote for each other, and the most important ones are read: bottom-up attention."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention import MultiHead, Projection, Site, Weighed
from attention_agents.policies.blocks import FeedForward
from attention_agents.policies.readouts.readout import READOUTS, Readout
from attention_agents.policies.tokens import Tokens


@READOUTS.register("votes", "tokens are read by how much all others attend to them, O(N^2)")
class Votes(Readout):
    """Pool the tokens by their importance, then add what a feed-forward layer makes of it.

    Source: see `VotingAttention`.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        self.norm, self.ffn_norm = nn.LayerNorm(site.width), nn.LayerNorm(site.width)
        self.attention = VotingAttention(site)
        self.ffn = FeedForward(site)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        pooled = self.attention(tokens._replace(values=self.norm(tokens.values)))[:, 0]
        return pooled + self.ffn(self.ffn_norm(pooled))


class VotingAttention(MultiHead):
    """Read each token with the weight that all tokens give it on average.

    `votes = mean_q(normalise(score(q, k)))`, over the queries q of present tokens; hard attention
    chooses from the votes, not from each row; then `output(votes @ values)`. No query stands for
    what the agent wants: importance rises from the observation itself.

    Source: Tang, Nguyen and Ha 2020, Neuroevolution of self-interpretable agents, the section on
        importance voting, https://arxiv.org/abs/2003.08165.
    Differs: the mean of a column in place of its sum, so that votes are weights; the values of
        tokens are read, weighted by votes, where theirs passes the places of the K best on, which
        needs evolution; heads vote apart.
    """

    queries, asker = "readout", "votes"

    def __init__(self, site: Site):
        super().__init__(replace(site, askers=tuple(range(site.keys)), gain=1.0))
        self.inputs = Projection(site.width, 2 * site.width)
        self.value = Projection(site.width, site.width, bias=False)

    def values(self, tokens: Tokens) -> Float[Tensor, "B H N K"]:
        return self.value(tokens.values).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B 1 D"]:
        x, mask, places = tokens
        B, N, D = x.shape
        H, weighing = self.heads, self.weighing
        q, k = self.inputs(x).view(B, N, 2, H, D // H).permute(2, 0, 3, 1, 4)
        scores = weighing.score(q, k) / weighing.temperature  # (B, H, N, N)
        visible, bias = weighing.visible(mask), weighing.bias(q, places)
        scores = weighing.mix.scores(scores if bias is None else scores + bias)
        votes, seen = self.count(weighing.normaliser(scores, visible), visible, mask)
        weights = votes
        if weighing.hard:
            logits = votes.clamp(min=torch.finfo(votes.dtype).tiny).log()
            weights = weighing.selection(logits, votes, seen)
        weights = weighing.mix.weights(weights)
        if self.listeners:
            self.told(Weighed(weights, votes if weighing.hard else None), mask)
        read = (weights[:, :, 0] @ x).view(B, H, 1, D)
        values = self.value.weight.view(H, D // H, D)  # absorbed, as in `QueryAttention`
        return self.combined(torch.einsum("bhqd,hkd->bhqk", read, values), seen)

    def count(
        self,
        rows: Float[Tensor, "B H N N"],
        visible: Bool[Tensor, "#B 1 #N N"] | None,
        mask: Bool[Tensor, "B N"] | None,
    ) -> tuple[Float[Tensor, "B H 1 N"], Bool[Tensor, "#B 1 1 N"] | None]:
        """Return the mean row of the present tokens that see any, and which tokens they see."""
        if visible is None:
            return rows.mean(2, keepdim=True), None
        voters = visible.any(-1)  # (B, 1, N)
        if mask is not None:
            voters = voters & mask[:, None]
        shares = voters.to(rows.dtype)[:, :, None]  # (B, 1, 1, N)
        shares = shares / shares.sum(-1, keepdim=True).clamp(min=1)
        return shares @ rows, (visible & voters[..., None]).any(2, keepdim=True)
