"""The additive score: a small network compares a query with a key."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.scores.score import Score
from attention_agents.policies.registries import SCORES

SPREAD = 0.54
"""Standard deviation of `tanh(q + k)` over k, for a fixed q, both standard normal."""


@SCORES.register("additive", "v . tanh(q + k), with a learned v per head")
class Additive(Score):
    """`tanh(q + k) @ v`, with v (K) per head; its spread over the keys starts at 1.

    Numbers in memory: B Q N D (H heads of K) for the hidden layer, which the gradient keeps, and
    twice as many more for a moment on the way back. The dot product needs B H Q N. So it suits
    readouts, whose Q is 1; in self-attention it grows with N * N * D.

    Source: Bahdanau, Cho and Bengio 2014, appendix A.1.2, https://arxiv.org/abs/1409.0473; the
        "concat" of Luong, Pham and Manning 2015, section 3.1, https://arxiv.org/abs/1508.04025.
        Differs: the matrices of query and key are the attention layer's own projections, so that
        none stands behind another, and the bias of the query's is that of the hidden layer; v per
        head.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        H, K = context.heads, context.head_width
        self.v = nn.Parameter(torch.randn(H, K) * K**-0.5 / SPREAD)

    def forward(
        self, q: Float[Tensor, "B H Q K"], k: Float[Tensor, "B H N K"]
    ) -> Float[Tensor, "B H Q N"]:
        Q, N = q.shape[2], k.shape[2]
        q, k = q.contiguous(), k.contiguous()  # else the large sum takes on a layout to be copied
        hidden = (q[:, :, :, None] + k[:, :, None]).tanh_()  # (B, H, Q, N, K)
        scores = hidden.flatten(2, 3) @ self.v[:, :, None]  # (B, H, Q * N, 1)
        return scores.unflatten(2, (Q, N)).squeeze(-1)  # (B, H, Q, N)
