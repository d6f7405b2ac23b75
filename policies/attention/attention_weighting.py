"""From queries and keys to weights: score, place, visibility, normalizer, hard choice, heads."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention.hard_attention.hard_attention import HardAttention
from attention_agents.policies.attention.head_mixing.head_mixing import HeadMixing
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.normalizers.softmax import Softmax
from attention_agents.policies.attention.positions.position_bias import PositionBias
from attention_agents.policies.attention.scores.score import Bilinear
from attention_agents.policies.attention.tappable import AttentionWeights
from attention_agents.policies.attention.visibility.visibility import Visibility
from attention_agents.policies.registries import (
    HARD_ATTENTIONS,
    HEAD_MIXINGS,
    NORMALIZERS,
    POSITION_BIASES,
    SCORES,
    VISIBILITIES,
)
from attention_agents.policies.registry import Registry


class AttentionWeighting(nn.Module):
    """Weigh N tokens for Q queries, as `context.attention` says.

    Pieces that would do nothing, such as visibility "global", are None.

    Raises:
        ValueError: a word is unknown, or asks for places that tokens or queries do not have.
    """

    fixed_visibility: Tensor | None
    """(Q, N) bool buffer, True where query q may see token n, were it present; None: everywhere."""

    def __init__(self, context: LayerContext):
        super().__init__()
        self.config = config = context.attention
        self.score = SCORES[config.score](context)
        self.normalizer = NORMALIZERS[config.normalizer](context)
        self.hard_attention: HardAttention | None = HARD_ATTENTIONS.build(
            config.hard_attention, context
        )
        self.head_mixing: HeadMixing | None = HEAD_MIXINGS.build(config.head_mixing, context)
        self.visibility: Visibility | None = _build_for_queries(
            VISIBILITIES, config.visibility, context
        )
        self.positions: PositionBias | None = _build_for_queries(
            POSITION_BIASES, config.positions, context
        )
        self.temperature = config.temperature
        self.is_fused = (
            isinstance(self.score, Bilinear)
            and type(self.normalizer) is Softmax
            and self.hard_attention is None
            and not self.mixes_weights
        )
        """Whether the fused kernel reads, without weights."""
        self.normalized_over = "none" if self.mixes_weights else self.normalizer.normalized_over
        visible = None if self.visibility is None else self.visibility.visible
        self.register_buffer("fixed_visibility", visible, persistent=False)

    @property
    def mixes_weights(self) -> bool:
        """Whether heads exchange scores or weights."""
        return self.head_mixing is not None and self.head_mixing.changes_weights

    @property
    def head_weights(self) -> Float[Tensor, "H"] | None:
        """How much what each head has read counts, averaging 1; None when all count the same."""
        return None if self.head_mixing is None else self.head_mixing.head_weights()

    @property
    def fused_scale(self) -> float:
        """What the fused kernel multiplies products by."""
        return self.score.scale / self.temperature

    def restrict_visibility(self, visible: Bool[Tensor, "Q N"]) -> None:
        """Let queries see nothing outside of `visible` either."""
        fixed = self.fixed_visibility
        self.fixed_visibility = visible if fixed is None else visible & fixed

    def visible_tokens(self, mask: Bool[Tensor, "B N"] | None) -> Bool[Tensor, "#B 1 #Q N"] | None:
        """Return which tokens each query can see: those present, within its window."""
        window = self.fixed_visibility  # (Q, N)
        if mask is None:
            return None if window is None else window[None, None]
        present = mask[:, None, None, :]  # (B, 1, 1, N)
        return present if window is None else present & window

    def score_bias(
        self, q: Float[Tensor, "B H Q K"], places: Float[Tensor, "B N 2"] | None
    ) -> Float[Tensor, "#B #H Q N"] | None:
        """Return what places add to the scores."""
        parts = [
            None if self.visibility is None else self.visibility(q),
            None if self.positions is None else self.positions(places),
        ]
        parts = [part for part in parts if part is not None]
        return reduce(torch.add, parts) if parts else None

    def bias_scores(
        self, scores: Float[Tensor, "B H Q N"], bias: Float[Tensor, "#B #H Q N"] | None
    ) -> Float[Tensor, "B H Q N"]:
        """Return the scores as the normalizer takes them: divided, biased and mixed."""
        scores = scores / self.temperature
        scores = scores if bias is None else scores + bias
        return scores if self.head_mixing is None else self.head_mixing.mix_scores(scores)

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B 1 #Q N"] | None,
        bias: Float[Tensor, "#B #H Q N"] | None,
    ) -> AttentionWeights:
        """Turn the scores of `self.score` into weights."""
        scores = self.bias_scores(scores, bias)
        return self.choose_weights(scores, self.normalizer(scores, visible), visible)

    def choose_weights(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B 1 #Q N"] | None,
    ) -> AttentionWeights:
        """Turn soft weights into those that tokens are read with."""
        weights = soft
        if self.hard_attention is not None:
            weights = self.hard_attention(scores, soft, visible)
        if self.head_mixing is not None:
            weights = self.head_mixing.mix_weights(weights)
        return AttentionWeights(weights, soft=None if self.hard_attention is None else soft)


def _build_for_queries(registry: Registry, word: str, context: LayerContext) -> Any:
    """Build a piece that depends on places; None for queries without one, if it needs them.

    Such a query sees everything, and is near to nothing.
    """
    has_class = not registry.is_empty(word)
    if context.query_tokens is None and has_class and registry[word].needs_query_tokens:
        return None
    return registry.build(word, context)


def fused_attention(
    q: Float[Tensor, "B H Q K"],
    k: Float[Tensor, "B H N K"],
    v: Float[Tensor, "B H N V"],
    visible: Bool[Tensor, "#B #H #Q N"] | None,
    scale: float,
    bias: Float[Tensor, "#B #H Q N"] | None = None,
) -> Float[Tensor, "B H Q V"]:
    """Read v at the keys that q matches: `softmax(scale * q @ k.T + bias) @ v`.

    Args:
        visible: True where a query may read a token; where it may read none, the read is 0.

    Source: Vaswani et al. 2017, Attention is all you need, section 3.2.1, https://arxiv.org/abs/1706.03762.
    """
    allowed = sees_any = None
    if visible is not None:
        sees_any = visible.any(-1, keepdim=True)  # (B, H, Q, 1)
        allowed = visible | ~sees_any  # an empty row would be 0/0: it reads anything, then drops it
    if bias is None:
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, scale=scale)
    else:  # with a learned bias the kernel rounds differently where no gradient is asked for
        scores = scale * q @ k.transpose(-2, -1) + bias  # (B, H, Q, N)
        scores = scores if allowed is None else scores.masked_fill(~allowed, -torch.inf)
        read = scores.softmax(-1) @ v
    return read if sees_any is None else torch.where(sees_any, read, 0.0)
