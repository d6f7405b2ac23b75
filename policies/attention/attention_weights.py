"""From queries and keys to weights: score, place, visibility, normaliser, hard choice, heads."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from attention_agents.policies.attention.hard_attention import SELECTIONS, Soft
from attention_agents.policies.attention.head_mixing import MIXES
from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.normalizers import NORMALISERS, Softmax
from attention_agents.policies.attention.positions import POSITIONS
from attention_agents.policies.attention.scores import SCORES, Bilinear
from attention_agents.policies.attention.visibility import WHERES


class Weighed(NamedTuple):
    """The weights of one pass."""

    weights: Float[Tensor, "B H Q N"]
    """What tokens are read with."""
    soft: Float[Tensor, "B H Q N"] | None
    """Weights before a hard choice; None where there is none."""


class Weighing(nn.Module):
    """Weigh N tokens for Q queries, as `site.mechanism` says.

    Raises:
        ValueError: a word is unknown, or asks for places that tokens or queries do not have.
    """

    def __init__(self, site: Site):
        super().__init__()
        self.mechanism = mechanism = site.mechanism
        self.score = SCORES[mechanism.score](site)
        self.normaliser = NORMALISERS[mechanism.normaliser](site)
        self.selection = SELECTIONS[mechanism.hard](site)
        self.mix = MIXES[mechanism.mix](site)
        where, positions = WHERES[mechanism.where], POSITIONS[mechanism.positions]
        nowhere = site.askers is None  # such a query sees everything, and is near to nothing
        self.where = WHERES["global" if nowhere and where.needs_askers else mechanism.where](site)
        near = "none" if nowhere and positions.needs_askers else mechanism.positions
        self.positions = POSITIONS[near](site)
        self.temperature = mechanism.temperature
        self.hard = not isinstance(self.selection, Soft)
        self.fused = (
            isinstance(self.score, Bilinear)
            and type(self.normaliser) is Softmax
            and not self.hard
            and not self.mix.talks
        )
        """Whether the fused kernel reads, without weights."""
        self.normalised_over = "none" if self.mix.talks else self.normaliser.normalised_over

    @property
    def scale(self) -> float:
        """What the fused kernel multiplies products by."""
        return self.score.scale / self.temperature

    def visible(self, mask: Bool[Tensor, "B N"] | None) -> Bool[Tensor, "#B 1 #Q N"] | None:
        """Return which tokens each query can see: those present, within its window."""
        window = self.where.visible  # (Q, N)
        if mask is None:
            return None if window is None else window[None, None]
        present = mask[:, None, None, :]  # (B, 1, 1, N)
        return present if window is None else present & window

    def bias(
        self, q: Float[Tensor, "B H Q K"], places: Float[Tensor, "B N 2"] | None
    ) -> Float[Tensor, "#B #H Q N"] | None:
        """Return what places add to the scores."""
        parts = [part for part in (self.where(q), self.positions(places)) if part is not None]
        return reduce(torch.add, parts) if parts else None

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B 1 #Q N"] | None,
        bias: Float[Tensor, "#B #H Q N"] | None,
    ) -> Weighed:
        """Turn the scores of `self.score` into weights."""
        scores = scores / self.temperature
        scores = self.mix.scores(scores if bias is None else scores + bias)
        soft = self.normaliser(scores, visible)
        weights = self.selection(scores, soft, visible)
        return Weighed(self.mix.weights(weights), soft if self.hard else None)


def attend(
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
    safe = some = None
    if visible is not None:
        some = visible.any(-1, keepdim=True)  # (B, H, Q, 1)
        safe = visible | ~some  # an empty row would be 0/0: it reads anything, and then drops it
    if bias is None:
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=safe, scale=scale)
    else:  # with a learned bias the kernel rounds differently where no gradient is asked for
        scores = scale * q @ k.transpose(-2, -1) + bias
        read = (scores if safe is None else scores.masked_fill(~safe, -torch.inf)).softmax(-1) @ v
    return read if some is None else torch.where(some, read, 0.0)
