"""An attention gate: every token is multiplied by how much attention it gets.

Pooling sums tokens with shared values, which is right for sets. Where every place means something
(the numbers of a vector, the cells of a picture) a gate keeps each token in its place: what follows
is the network that would stand there without attention, and an even gate changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention

STATIC_SCALE, CONTEXT_SCALE = 3.0, 0.3
"""Factors of the two parts of the logits: with Adam, they set how fast each part learns."""


@dataclass(frozen=True)
class GateConfig:
    """How an attention gate learns and how far it can close."""

    heads: int = 4
    """H, independent softmaxes; channels are divided among them."""
    floor: float = 0.25
    """Least gate of a present token, 0 to 1: a gate that is closed for good cannot open again."""
    glance: int = 32
    """G, width of the summary of the whole observation that asks."""
    head_width: int = 8
    """K, width of queries and keys."""
    context: bool = True
    """Whether logits depend on the observation, or on the place alone."""

    def __post_init__(self) -> None:
        for name in ("heads", "glance", "head_width"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not 0 <= self.floor < 1:
            raise ValueError(f"floor must be at least 0 and below 1, got {self.floor!r}")


class AttentionGate(TappableAttention):
    """Multiply tokens by an attention gate that is 1 everywhere at the start.

    ```
    logits  = 3 * static + 0.3 * query(glance(x)) . key(x) / sqrt(K)
    weights = softmax(logits)                                 over the tokens that are present
    gate    = floor + (1 - floor) * N_present * weights       1 where attention is even
    y       = gate * x
    ```

    Tokens of one number may have any range: the context reads their symlog. With one channel, or
    channels that the heads cannot share evenly, the gate is the mean over heads; else head h gates
    channels h C / H to (h + 1) C / H. Parameters are bare (no `nn.Linear`), so that SB3's
    `ortho_init` leaves them alone, and are drawn from a random stream of their own, so that all
    other layers start as they would without the gate.

    Args:
        num_tokens: N.
        channels: C.
        config: sizes, floor, and whether logits depend on the observation.
    """

    queries = "readout"
    query_source = "glance"

    def __init__(self, num_tokens: int, channels: int, config: GateConfig | None = None):
        super().__init__()
        self.config = config = config or GateConfig()
        N, C, H, K, G = num_tokens, channels, config.heads, config.head_width, config.glance
        self.heads = H
        self.groups = H if C % H == 0 else 1
        """Groups of channels with a gate of their own."""
        draw = _Draw()
        self.static = nn.Parameter(torch.zeros(H, N))
        if config.context:
            self.glance = nn.Parameter(draw(C * N, G) / math.sqrt(C * N))
            self.query = nn.Parameter(torch.zeros(G, H * K))
            self.key = nn.Parameter(torch.cat([draw(K, N), draw(K, C) / math.sqrt(C)], 1))
            """(K, N + C): the key of each place, then that of each channel of its content."""

    def forward(
        self, x: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C N"]:
        """Return the gated tokens; absent ones are 0.

        Args:
            x: tokens, channels first.
            mask: True where a token is present; None when all are.
        """
        B, C, N = x.shape
        weights = self.weights(x, mask)  # (B, H, N)
        if self.listeners:
            self.report(AttentionWeights(weights[:, :, None], mask))
        floor = self.config.floor
        scale = (1 - floor) * (N if mask is None else mask.sum(1)[:, None, None])
        if self.groups == 1:
            gate = weights.sum(1, keepdim=True) * (scale / self.heads)  # (B, 1, N)
            gated = torch.addcmul(x * floor, x, gate)
        else:
            gate = weights * scale + floor
            gated = (x.view(B, self.groups, -1, N) * gate[:, :, None]).view(B, C, N)
        return gated if mask is None else gated.masked_fill(~mask[:, None], 0.0)

    def weights(
        self, x: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B H N"]:
        """Return how attention is spread over the tokens; rows sum to 1, or to 0 with no token."""
        if self.config.context:
            logits = self._logits(x, mask)
        else:
            logits = (STATIC_SCALE * self.static)[None]
        if mask is None:
            return logits.softmax(-1).expand(len(x), -1, -1)
        some = mask.any(1)[:, None, None]
        visible = mask[:, None] | ~some  # an empty row reads anything, and is then dropped
        return logits.masked_fill(~visible, -torch.inf).softmax(-1) * some

    def _logits(self, x: Tensor, mask: Tensor | None) -> Float[Tensor, "B H N"]:
        """Return both parts; keys are absorbed into the query, and never made."""
        B, C, N = x.shape
        H, K = self.heads, self.config.head_width
        if C == 1:
            x = symlog(x)
        if mask is not None:
            x = x.masked_fill(~mask[:, None], 0.0)
        glance = torch.tanh(x.reshape(B, C * N) @ self.glance)  # (B, G)
        q = glance @ (self.query * (CONTEXT_SCALE / math.sqrt(K)))
        scores = (q.view(B * H, K) @ self.key).view(B, H, N + C)
        by_place, by_channel = scores.split([N, C], 2)
        return torch.baddbmm(by_place.add(self.static, alpha=STATIC_SCALE), by_channel, x)


def symlog(x: Tensor) -> Tensor:
    """Return `sign(x) * log(1 + |x|)`: numbers of any range, without saturation.

    Source: Hafner et al. 2023, Mastering diverse domains through world models, section 3,
        https://arxiv.org/abs/2301.04104.
    """
    return torch.log1p(x.abs()).copysign(x)


class _Draw:
    """Normal numbers from a stream of the gate's own, which torch's seed names."""

    def __init__(self) -> None:
        seeds = np.random.SeedSequence([torch.initial_seed(), crc32(b"attention gate")])
        self._generator = torch.Generator().manual_seed(int(seeds.generate_state(1)[0]))

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator)
