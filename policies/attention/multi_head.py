"""Multi-head attention: queries read tokens, by any mechanism.

Features always come from the same path. Only while somebody listens, the weights of a fused read
are computed besides, from the same q and k and without gradient, so that watching changes nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.attention_weights import Weighed, Weighing, attend
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.scores import Bilinear
from attention_agents.policies.attention.tappable import Attentive, Heard
from attention_agents.policies.tokens import Tokens


class MultiHead(Attentive):
    """What all multi-head attention has: a weighing, an output, and a read where nothing is."""

    def __init__(self, site: Site):
        super().__init__()
        self.heads = site.heads
        self.weighing = Weighing(site)
        self.normalised_over = self.weighing.normalised_over
        self.output = Projection(site.width, site.width, site.gain)
        self.nothing = nn.Parameter(torch.zeros(site.width))

    def values(self, *inputs: Any) -> Float[Tensor, "B H N K"]:
        """Return what is read where `forward` gets these inputs: `read = weights @ values`.

        No pass needs it. The test kit does, to see that the weights told are those that read.
        """
        raise NotImplementedError

    def told(self, weighed: Weighed, mask: Bool[Tensor, "B N"] | None) -> None:
        """Tell the weights of this pass."""
        self.tell(Heard(weighed.weights, mask, weighed.soft, self.weighing.mix.heads()))

    def combined(
        self,
        read: Float[Tensor, "B H Q K"],
        visible: Bool[Tensor, "#B 1 #Q N"] | None,
    ) -> Float[Tensor, "B Q D"]:
        """Join what the heads have read, and project it."""
        B, H, Q, K = read.shape
        counts = self.weighing.mix.heads()
        if counts is not None:
            read = read * counts[:, None, None]
        joined = read.transpose(1, 2).reshape(B, Q, H * K)
        if visible is not None:
            some = visible.any(-1)[:, 0, :, None]  # (B, Q, 1)
            joined = torch.where(some, joined, self.nothing)
        return self.output(joined)


class SelfAttention(MultiHead):
    """Let every token read every token that it sees, with H heads.

    Source: Vaswani et al. 2017, section 3.2.2. Differs: a token that sees none reads a learned
    vector; there is no dropout, so that training, evaluation and recording agree.
    """

    queries = "tokens"

    def __init__(self, site: Site):
        super().__init__(site)
        self.inputs = Projection(site.width, 3 * site.width)

    def values(self, tokens: Tokens) -> Float[Tensor, "B H N K"]:
        inputs = self.inputs(tokens.values).unflatten(-1, (3, self.heads, -1))  # (B, N, 3, H, K)
        return inputs[:, :, 2].transpose(1, 2)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B N D"]:
        x, mask, places = tokens
        B, N, D = x.shape
        H, weighing = self.heads, self.weighing
        qkv = self.inputs(x).view(B, N, 3, H, D // H)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, N, K)
        visible, bias = weighing.visible(mask), weighing.bias(q, places)
        if weighing.fused and isinstance(weighing.score, Bilinear):
            read = attend(weighing.score.query(q), k, v, visible, weighing.scale, bias)
            if self.listeners:
                with torch.no_grad():
                    self.told(weighing(weighing.score(q, k), visible, bias), mask)
        else:
            weighed = weighing(weighing.score(q, k), visible, bias)
            read = weighed.weights @ v
            if self.listeners:
                self.told(weighed, mask)
        return self.combined(read, visible)  # read (B, H, N, K)


class QueryAttention(MultiHead):
    """Let Q queries read N tokens, with H heads, at a cost of O(Q N H D).

    The value projection is absorbed into what was read, and with a bilinear score the key
    projection into the query, so that no token is projected: `q_h . (Wk_h x) = (Wk_h.T q_h) . x`,
    and `sum_n w_n (Wv_h x_n) = Wv_h (sum_n w_n x_n)`. Keys have no bias: it would shift all scores
    of a row alike and cancel in the softmax. Values have none either: the output's takes its place.

    Args:
        site: where it stands.
        queries: who asks, see `Attentive.queries`.
        asker: whose query it is, see `Attentive.asker`.

    Source: Lee et al. 2019, Set Transformer, section 3.2, https://arxiv.org/abs/1810.00825, for
        learned queries; Leurent and Mercat 2019, https://arxiv.org/abs/1911.12250, for the ego's.
    """

    def __init__(self, site: Site, queries: str = "readout", asker: str = ""):
        super().__init__(site)
        self.queries, self.asker = queries, asker
        self.query = Projection(site.width, site.width)
        self.key = Projection(site.width, site.width, bias=False)
        self.value = Projection(site.width, site.width, bias=False)

    def values(self, query: Float[Tensor, "B Q D"], tokens: Tokens) -> Float[Tensor, "B H N K"]:
        return self.value(tokens.values).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, query: Float[Tensor, "B Q D"], tokens: Tokens) -> Float[Tensor, "B Q D"]:
        x, mask, places = tokens
        B, Q, D = query.shape
        H, K = self.heads, D // self.heads
        q = self.query(query).view(B, Q, H, K).transpose(1, 2)  # (B, H, Q, K)
        visible, bias = self.weighing.visible(mask), self.weighing.bias(q, places)
        if self.weighing.fused:
            read = self._fused(q, x, visible, bias)
            if self.listeners:
                with torch.no_grad():
                    self.told(self.weighing(self._scores(q, x), visible, bias), mask)
        else:
            weighed = self.weighing(self._scores(q, x), visible, bias)
            read = (weighed.weights.reshape(B, H * Q, -1) @ x).view(B, H, Q, D)
            if self.listeners:
                self.told(weighed, mask)
        values = self.value.weight.view(H, K, D)
        return self.combined(torch.einsum("bhqd,hkd->bhqk", read, values), visible)

    def _scores(
        self, q: Float[Tensor, "B H Q K"], x: Float[Tensor, "B N D"]
    ) -> Float[Tensor, "B H Q N"]:
        score = self.weighing.score
        B, H, Q, K = q.shape
        if isinstance(score, Bilinear):
            return (score.scale * self._rows(q) @ x.transpose(-2, -1)).view(B, H, Q, -1)
        return score(q, self.key(x).view(B, -1, H, K).transpose(1, 2))

    def _rows(self, q: Float[Tensor, "B H Q K"]) -> Float[Tensor, "B R D"]:
        """Return what a bilinear score compares with the tokens themselves: R = H Q rows."""
        score = self.weighing.score
        assert isinstance(score, Bilinear)
        B, H, Q, K = q.shape
        keys = self.key.weight.view(H, K, -1)
        return torch.einsum("bhqk,hkd->bhqd", score.query(q), keys).reshape(B, H * Q, -1)

    def _fused(
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
        rows, x = self._rows(q)[:, None], x[:, None]  # (B, 1, H * Q, D), (B, 1, N, D)
        scale = self.weighing.scale
        return attend(rows, x, x, visible, scale, bias).view(B, H, Q, D)
