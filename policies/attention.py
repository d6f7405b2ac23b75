"""Attention: queries read tokens. The one place where weights come to be, and where a tap listens.

Features always come from the fused kernel. Only while somebody listens, the weights are computed
besides, from the same q and k and without gradient, so that watching changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

Listener = Callable[[Tensor, Tensor | None], None]
"""Takes the weights (B, H, Q, N) and the mask (B, N) of one pass."""


class Projection(nn.Module):
    """Apply `x @ weight.T + bias`, and keep its own initialisation.

    It is no `nn.Linear` on purpose: Stable-Baselines3's `ortho_init` re-initialises every Linear of
    a features extractor with gain sqrt(2), which is meant for ReLU layers and not for attention.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.normal_(self.weight, std=gain / math.sqrt(inputs))

    def forward(self, x: Float[Tensor, "*shape inputs"]) -> Float[Tensor, "*shape outputs"]:
        return F.linear(x, self.weight, self.bias)


def attend(
    q: Float[Tensor, "B H Q K"],
    k: Float[Tensor, "B H N K"],
    v: Float[Tensor, "B H N V"],
    mask: Bool[Tensor, "B N"] | None,
    scale: float,
) -> Float[Tensor, "B H Q V"]:
    """Read v at the keys that q matches: `softmax(scale * q @ k.T) @ v` over the present tokens.

    Args:
        mask: True where a token is present; None when all are. Where none is, the read is 0.

    Source: Vaswani et al. 2017, Attention is all you need, section 3.2.1, https://arxiv.org/abs/1706.03762.
    """
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, scale=scale)
    some = mask.any(-1, keepdim=True)  # (B, 1)
    safe = mask | ~some  # an empty row would be 0/0: let it read anything, then drop what it read
    read = F.scaled_dot_product_attention(q, k, v, attn_mask=safe[:, None, None, :], scale=scale)
    return torch.where(some[:, :, None, None], read, 0.0)


def attention_weights(
    q: Float[Tensor, "B H Q K"],
    k: Float[Tensor, "B H N K"],
    mask: Bool[Tensor, "B N"] | None,
    scale: float,
) -> Float[Tensor, "B H Q N"]:
    """Return the weights that `attend` uses: `softmax(scale * q @ k.T)`, 0 for absent tokens.

    Each row sums to 1, or to 0 where no token is present.
    """
    scores = scale * q @ k.transpose(-2, -1)
    if mask is None:
        return scores.softmax(-1)
    some = mask.any(-1)[:, None, None, None]
    scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
    return torch.where(some, scores.masked_fill(~some, 0.0).softmax(-1), 0.0)


def tell(
    listeners: tuple[Listener, ...],
    weights: Float[Tensor, "B H Q N"],
    mask: Bool[Tensor, "B N"] | None,
) -> None:
    """Hand the weights of a pass to everybody who listens."""
    for listener in listeners:
        listener(weights, mask)


class SelfAttention(nn.Module):
    """Let every token read every token, with H heads.

    Source: Vaswani et al. 2017, section 3.2.2. Differs: a sample with no token present reads a
    learned vector; there is no dropout, so that training, evaluation and recording agree.

    Args:
        width: D, a multiple of `heads`.
        heads: H.
        gain: scale of the output projection at the start.
    """

    queries = "tokens"

    def __init__(self, width: int, heads: int, gain: float = 1.0):
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.inputs = Projection(width, 3 * width)
        self.output = Projection(width, width, gain)
        self.nothing = nn.Parameter(torch.zeros(width))
        self.listeners: tuple[Listener, ...] = ()

    def forward(
        self, tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B N D"]:
        B, N, D = tokens.shape
        qkv = self.inputs(tokens).view(B, N, 3, self.heads, D // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, N, K)
        if self.listeners:
            with torch.no_grad():
                tell(self.listeners, attention_weights(q, k, mask, self.scale), mask)
        read = attend(q, k, v, mask, self.scale)  # (B, H, N, K)
        read = read.transpose(1, 2).reshape(B, N, D)
        if mask is not None:
            read = torch.where(mask.any(-1)[:, None, None], read, self.nothing)
        return self.output(read)


class QueryAttention(nn.Module):
    """Let one query read N tokens, with H heads, at a cost of O(N H D).

    The key projection is absorbed into the query and the value projection into what was read, so
    that no token is projected: `q_h . (Wk_h x) = (Wk_h.T q_h) . x`, and
    `sum_n w_n (Wv_h x_n) = Wv_h (sum_n w_n x_n)`. Keys have no bias: it would shift all scores of
    a row alike and cancel in the softmax. Values have none either: the output's takes its place.

    Args:
        width: D, a multiple of `heads`.
        heads: H.
        gain: scale of the output projection at the start.

    Source: Lee et al. 2019, Set Transformer, section 3.2, https://arxiv.org/abs/1810.00825, for the
        learned query; Leurent and Mercat 2019, https://arxiv.org/abs/1911.12250, for the ego query.
    """

    queries = "readout"

    def __init__(self, width: int, heads: int, gain: float = 1.0):
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.query = Projection(width, width)
        self.key = Projection(width, width, bias=False)
        self.value = Projection(width, width, bias=False)
        self.output = Projection(width, width, gain)
        self.nothing = nn.Parameter(torch.zeros(width))
        self.listeners: tuple[Listener, ...] = ()

    def forward(
        self,
        query: Float[Tensor, "B D"],
        tokens: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "B N"] | None,
    ) -> Float[Tensor, "B D"]:
        B, _, D = tokens.shape
        H, K = self.heads, D // self.heads
        q = self.query(query).view(B, H, K)
        q = torch.einsum("bhk,hkd->bhd", q, self.key.weight.view(H, K, D))
        q, x = q[:, None], tokens[:, None]  # (B, 1, H, D), (B, 1, N, D): heads are rows of one map
        if self.listeners:
            with torch.no_grad():
                weights = attention_weights(q, x, mask, self.scale)  # (B, 1, H, N)
                tell(self.listeners, weights.transpose(1, 2), mask)
        read = attend(q, x, x, mask, self.scale)[:, 0]  # (B, H, D)
        read = torch.einsum("bhd,hkd->bhk", read, self.value.weight.view(H, K, D))
        read = read.reshape(B, D)
        if mask is not None:
            read = torch.where(mask.any(-1, keepdim=True), read, self.nothing)
        return self.output(read)
