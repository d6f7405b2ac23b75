"""Multi-head attention: queries read tokens, by any mechanism.

Features always come from the same path. Only while there are listeners, the weights of a fused read
are computed besides, from the same q and k and without gradient, so that watching changes nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.attention_weighting import (
    AttentionWeighting,
    fused_attention,
)
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.scores.score import Bilinear
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.tokens import Tokens


class MultiHead(TappableAttention):
    """What all multi-head attention has: a weighting, an output, and a read where nothing is."""

    def __init__(self, context: LayerContext):
        super().__init__()
        self.heads = context.heads
        self.weighting = AttentionWeighting(context)
        self.normalized_over = self.weighting.normalized_over
        self.output = Projection(context.width, context.width, context.gain)
        self.empty_vector = nn.Parameter(torch.zeros(context.width))

    def project_values(self, *inputs: Any) -> Float[Tensor, "B H N K"]:
        """Return what is read where `forward` gets these inputs: `read = weights @ values`.

        No pass needs it. The test kit does, to see that the weights reported are those that read.
        """
        raise NotImplementedError

    def report_weights(self, weights: AttentionWeights, mask: Bool[Tensor, "B N"] | None) -> None:
        """Report the weights of this pass, with the mask of its tokens."""
        self.report(weights._replace(mask=mask, heads=self.weighting.head_weights))

    def read_tokens(
        self,
        q: Float[Tensor, "B H Q K"],
        k: Float[Tensor, "B H N K"],
        v: Float[Tensor, "B H N K"],
        mask: Bool[Tensor, "B N"] | None,
        places: Float[Tensor, "B N 2"] | None,
    ) -> Float[Tensor, "B Q D"]:
        """Read v with the weights of q and k, and report these while there are listeners."""
        weighting = self.weighting
        visible, bias = weighting.visible_tokens(mask), weighting.score_bias(q, places)
        if weighting.is_fused and isinstance(weighting.score, Bilinear):
            query = weighting.score.project_query(q)
            read = fused_attention(query, k, v, visible, weighting.fused_scale, bias)
            if self.listeners:
                with torch.no_grad():
                    self.report_weights(weighting(weighting.score(q, k), visible, bias), mask)
        else:
            weights = weighting(weighting.score(q, k), visible, bias)
            read = weights.weights @ v
            if self.listeners:
                self.report_weights(weights, mask)
        return self.combine_heads(read, visible)  # read (B, H, Q, K)

    def combine_heads(
        self,
        read: Float[Tensor, "B H Q K"],
        visible: Bool[Tensor, "#B 1 #Q N"] | None,
    ) -> Float[Tensor, "B Q D"]:
        """Join what the heads have read, and project it."""
        head_weights = self.weighting.head_weights
        if head_weights is not None:
            read = read * head_weights[:, None, None]
        combined = read.transpose(1, 2).flatten(2)  # (B, Q, D)
        if visible is not None:
            sees_any = visible.any(-1)[:, 0, :, None]  # (B, Q, 1)
            combined = torch.where(sees_any, combined, self.empty_vector)
        return self.output(combined)


class SelfAttention(MultiHead):
    """Let every token read every token that it sees, with H heads.

    Source: Vaswani et al. 2017, section 3.2.2. Differs: a token that sees none reads a learned
    vector; there is no dropout, so that training, evaluation and recording agree.
    """

    queries = "tokens"

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.inputs = Projection(context.width, 3 * context.width)

    def project_values(self, tokens: Tokens) -> Float[Tensor, "B H N K"]:
        inputs = self.inputs(tokens.values).unflatten(-1, (3, self.heads, -1))  # (B, N, 3, H, K)
        return inputs[:, :, 2].transpose(1, 2)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B N D"]:
        x, mask, places = tokens
        B, N, D = x.shape
        H = self.heads
        qkv = self.inputs(x).view(B, N, 3, H, D // H)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, N, K)
        return self.read_tokens(q, k, v, mask, places)


class QueryAttention(MultiHead):
    """Let Q queries read N tokens, with H heads, at a cost of O(Q N H D).

    The value projection is absorbed into what was read, and with a bilinear score the key
    projection into the query, so that no token is projected: `q_h . (Wk_h x) = (Wk_h.T q_h) . x`,
    and `sum_n w_n (Wv_h x_n) = Wv_h (sum_n w_n x_n)`. Keys have no bias: it would shift all scores
    of a row alike and cancel in the softmax. Values have none either: the output's takes its place.

    Args:
        context: of the layer.
        queries: what the queries are, see `TappableAttention.queries`.
        query_source: whose query it is, see `TappableAttention.query_source`.

    Source: Lee et al. 2019, Set Transformer, section 3.2, https://arxiv.org/abs/1810.00825, for
        learned queries; Leurent and Mercat 2019, https://arxiv.org/abs/1911.12250, for the ego's.
    """

    def __init__(self, context: LayerContext, queries: str = "readout", query_source: str = ""):
        super().__init__(context)
        self.queries, self.query_source = queries, query_source
        self.query = Projection(context.width, context.width)
        self.key = Projection(context.width, context.width, bias=False)
        self.value = Projection(context.width, context.width, bias=False)

    def project_values(
        self, query: Float[Tensor, "B Q D"], tokens: Tokens
    ) -> Float[Tensor, "B H N K"]:
        return self.value(tokens.values).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, query: Float[Tensor, "B Q D"], tokens: Tokens) -> Float[Tensor, "B Q D"]:
        x, mask, places = tokens
        B, Q, D = query.shape
        H, K, weighting = self.heads, D // self.heads, self.weighting
        q = self.query(query).view(B, Q, H, K).transpose(1, 2)  # (B, H, Q, K)
        visible, bias = weighting.visible_tokens(mask), weighting.score_bias(q, places)
        if weighting.is_fused:
            read = self._read_fused(q, x, visible, bias)
            if self.listeners:
                with torch.no_grad():
                    self.report_weights(weighting(self._score_tokens(q, x), visible, bias), mask)
        else:
            weights = weighting(self._score_tokens(q, x), visible, bias)
            read = (weights.weights.reshape(B, H * Q, -1) @ x).view(B, H, Q, D)
            if self.listeners:
                self.report_weights(weights, mask)
        values = self.value.weight.view(H, K, D)
        return self.combine_heads(torch.einsum("bhqd,hkd->bhqk", read, values), visible)

    def _score_tokens(
        self, q: Float[Tensor, "B H Q K"], x: Float[Tensor, "B N D"]
    ) -> Float[Tensor, "B H Q N"]:
        score = self.weighting.score
        B, H, Q, K = q.shape
        if isinstance(score, Bilinear):
            rows = self._absorb_keys(q)  # (B, H * Q, D)
            return (score.scale * rows @ x.transpose(-2, -1)).view(B, H, Q, -1)
        return score(q, self.key(x).view(B, -1, H, K).transpose(1, 2))

    def _absorb_keys(self, q: Float[Tensor, "B H Q K"]) -> Float[Tensor, "B R D"]:
        """Return what a bilinear score compares with the tokens themselves: R = H Q rows."""
        score = self.weighting.score
        assert isinstance(score, Bilinear)
        B, H, Q, K = q.shape
        keys = self.key.weight.view(H, K, -1)
        return torch.einsum("bhqk,hkd->bhqd", score.project_query(q), keys).reshape(B, H * Q, -1)

    def _read_fused(
        self,
        q: Float[Tensor, "B H Q K"],
        x: Float[Tensor, "B N D"],
        visible: Bool[Tensor, "#B 1 #Q N"] | None,
        bias: Float[Tensor, "#B #H Q N"] | None,
    ) -> Float[Tensor, "B H Q D"]:
        """Read the tokens themselves, all heads as rows of one map."""
        B, H, Q, _ = q.shape
        _, N, D = x.shape
        if bias is not None:
            bias = bias.expand(-1, H, -1, -1).reshape(-1, 1, H * Q, N)
        if visible is not None and visible.shape[2] > 1:
            visible = visible.repeat(1, 1, H, 1)  # (B, 1, H * Q, N)
        rows, x = self._absorb_keys(q)[:, None], x[:, None]  # (B, 1, H * Q, D), (B, 1, N, D)
        scale = self.weighting.fused_scale
        return fused_attention(rows, x, x, visible, scale, bias).view(B, H, Q, D)
