"""Importance voting: tokens are read by how much all tokens attend to them (bottom-up)."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.multi_head import MultiHead
from attention_agents.policies.blocks.block import FeedForward
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.tokens import Tokens


@READOUTS.register("votes", "tokens are read by how much all others attend to them, O(N^2)")
class ImportanceVoting(Readout):
    """Pool the tokens by their importance, then add what a feed-forward layer makes of it.

    Source: see `VotingAttention`.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.norm, self.ffn_norm = nn.LayerNorm(context.width), nn.LayerNorm(context.width)
        self.attention = VotingAttention(context)
        self.ffn = FeedForward(context)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        pooled = self.attention(tokens._replace(values=self.norm(tokens.values)))[:, 0]
        return pooled + self.ffn(self.ffn_norm(pooled))


class VotingAttention(MultiHead):
    """Read each token with the weight that all tokens give it on average.

    `votes = mean_q(normalize(score(q, k)))`, over the queries q of present tokens; hard attention
    chooses from the votes, not from each row; then `output(votes @ values)`. No query stands for
    what the agent wants: importance rises from the observation itself.

    Source: Tang, Nguyen and Ha 2020, Neuroevolution of self-interpretable agents, the section on
        importance voting, https://arxiv.org/abs/2003.08165.
    Differs: the mean of a column in place of its sum, so that votes are weights; the values of
        tokens are read, weighted by votes, where theirs passes the places of the K best on, which
        needs evolution; heads vote apart.
    """

    queries, query_source = "readout", "votes"

    def __init__(self, context: LayerContext):
        super().__init__(replace(context, query_tokens=tuple(range(context.num_tokens)), gain=1.0))
        self.inputs = Projection(context.width, 2 * context.width)
        self.value = Projection(context.width, context.width, bias=False)

    def project_values(self, tokens: Tokens) -> Float[Tensor, "B H N K"]:
        return self.value(tokens.values).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B 1 D"]:
        x, mask, places = tokens
        B, N, D = x.shape
        H, weighting = self.heads, self.weighting
        q, k = self.inputs(x).view(B, N, 2, H, D // H).permute(2, 0, 3, 1, 4)  # each (B, H, N, K)
        visible, bias = weighting.visible_tokens(mask), weighting.score_bias(q, places)
        scores = weighting.bias_scores(weighting.score(q, k), bias)  # (B, H, N, N)
        rows = weighting.normalizer(scores, visible)  # (B, H, N, N), each token's own weights
        votes, candidates = self.count_votes(rows, visible, mask)  # (B, H, 1, N), (B, 1, 1, N)
        # the logarithm makes scores of votes again, from which hard attention chooses
        is_soft = weighting.hard_attention is None
        logits = votes if is_soft else votes.clamp(min=torch.finfo(votes.dtype).tiny).log()
        weights = weighting.choose_weights(logits, votes, candidates)
        if self.listeners:
            self.report_weights(weights, mask)
        read = (weights.weights[:, :, 0] @ x).view(B, H, 1, D)  # tokens themselves, head by head
        values = self.value.weight.view(H, D // H, D)  # absorbed, as in `QueryAttention`
        return self.combine_heads(torch.einsum("bhqd,hkd->bhqk", read, values), candidates)

    def count_votes(
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
        shares = voters.to(rows.dtype)[:, :, None]  # (B, 1, 1, N), 1 for each voter
        shares = shares / shares.sum(-1, keepdim=True).clamp(min=1)
        return shares @ rows, (visible & voters[..., None]).any(2, keepdim=True)
