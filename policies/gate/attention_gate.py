"""An attention gate: every token is multiplied by how much attention it gets.

Pooling sums tokens with shared values, which is right for sets. Where every place means something
(the numbers of a vector, the cells of a picture) a gate keeps each token in its place: what follows
is the network that would stand there without attention, and an even gate changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.gate.gate_weighting import GateWeighting
from attention_agents.policies.gate.random_stream import (
    check_initialization,
    own_stream,
)
from attention_agents.policies.gate.sparsity import add_loss, mean_entropy

STATIC_SCALE, CONTEXT_SCALE = 3.0, 0.3
"""Factors of the two parts of the logits: with Adam, they set how fast each part learns."""


@dataclass(frozen=True)
class GateConfig:
    """How an attention gate learns and how far it can close."""

    heads: int = 4
    """H, independent softmaxes; channels are divided among them."""
    floor: float = 0.25
    """Least gate of a present token, 0 to 1: a gate that is closed for good cannot open again. With
    `sparsity` it is 0."""
    glance: int = 32
    """G, width of the summary of the whole observation that asks."""
    head_width: int = 8
    """K, width of queries and keys."""
    context: bool = True
    """Whether logits depend on the observation, or on the place alone."""
    sparsity: float = 0.0
    """Coefficient of the mean entropy of the weights, in nats, which is added to the loss of
    whatever the gate is trained for; 0.01 leaves a good part of the tokens, 0.03 few."""

    def __post_init__(self) -> None:
        for name in ("heads", "glance", "head_width"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not 0 <= self.floor < 1:
            raise ValueError(f"floor must be at least 0 and below 1, got {self.floor!r}")
        if not 0 <= self.sparsity < math.inf:
            raise ValueError(f"sparsity must be a number of at least 0, got {self.sparsity!r}")
        if self.sparsity > 0:
            object.__setattr__(self, "floor", 0.0)


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

    Other words than the default's take a path of their own: see `GateWeighting`. Any score can
    stand for the product, less what it makes of a query of zeros.

    Args:
        num_tokens: N.
        channels: C.
        config: sizes, floor, and whether logits depend on the observation.
        attention: words of the catalogue; those that need the place of a query are left out.
        layout: of the N tokens, for words that need to know them.

    Raises:
        ValueError: words do not go together, or leave no gate of 1 at the start.
    """

    queries = "readout"
    query_source = "glance"

    def __init__(
        self,
        num_tokens: int,
        channels: int,
        config: GateConfig | None = None,
        attention: AttentionConfig | None = None,
        layout: TokenLayout | None = None,
    ):
        super().__init__()
        self.config = config = config or GateConfig()
        N, C, H, K, G = num_tokens, channels, config.heads, config.head_width, config.glance
        self.heads = H
        self.groups = H if C % H == 0 else 1
        """Groups of channels with a gate of their own."""
        self.static = nn.Parameter(torch.zeros(H, N))
        if config.context:
            with own_stream("attention gate"):
                glance = torch.randn(C * N, G) / math.sqrt(C * N)
                key = torch.cat([torch.randn(K, N), torch.randn(K, C) / math.sqrt(C)], 1)
            self.glance, self.query = nn.Parameter(glance), nn.Parameter(torch.zeros(G, H * K))
            self.key = nn.Parameter(key)
            """(K, N + C): the key of each place, then that of each channel of its content."""
        self.weighting: GateWeighting | None = None
        """How other words weigh; None for the default's."""
        if attention is not None and has_own_words(attention):
            context = LayerContext(
                width=H * K, heads=H, num_tokens=N, layout=layout, attention=attention
            )
            with own_stream("attention gate words"):
                self.weighting = GateWeighting(context)
            check_initialization(self.weighting, "a word of the attention")
            self.normalized_over = self.weighting.normalized_over

    def forward(
        self, x: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C N"]:
        """Return the gated tokens; absent ones are 0, whatever they hold.

        Args:
            x: tokens, channels first.
            mask: True where a token is present; None when all are.
        """
        B, C, N = x.shape
        if mask is not None:
            x = x.masked_fill(~mask[:, None], 0.0)
        if self.weighting is not None:
            return self._forward_words(x, mask, self.weighting)
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
        return self._add_sparsity(gated, weights)

    def weights(
        self, x: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B H N"]:
        """Return how attention is spread over the tokens; rows sum to 1, or to 0 with no token.

        With other words than the default's they sum to what these say.
        """
        if self.weighting is not None:
            return self.weighting(self._score_words(x, mask, self.weighting), mask).weights[:, :, 0]
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
        x, glance = self._read_tokens(x, mask)
        q = glance @ (self.query * (CONTEXT_SCALE / math.sqrt(K)))
        scores = (q.view(B * H, K) @ self.key).view(B, H, N + C)
        by_place, by_channel = scores.split([N, C], 2)
        return torch.baddbmm(by_place.add(self.static, alpha=STATIC_SCALE), by_channel, x)

    def _read_tokens(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what is read of the tokens, (B, C, N), and the glance at all of them, (B, G)."""
        B, C, N = x.shape
        if C == 1:
            x = symlog(x)
        if mask is not None:
            x = x.masked_fill(~mask[:, None], 0.0)
        return x, torch.tanh(x.reshape(B, C * N) @ self.glance)

    def gates(
        self, x: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B H N"]:
        """Return what each head multiplies tokens by, 1 where attention is even."""
        weights = self.weights(x, mask)
        if self.weighting is not None:
            heads = self.weighting.weighting.head_weights
            even = self.weighting.gate(AttentionWeights(weights[:, :, None], mask, heads=heads))
        else:
            even = weights * (x.shape[-1] if mask is None else mask.sum(1)[:, None, None])
        return self.config.floor + (1 - self.config.floor) * even

    def _forward_words(
        self, x: Tensor, mask: Tensor | None, weighting: GateWeighting
    ) -> Float[Tensor, "B C N"]:
        B, C, N = x.shape
        attended = weighting(self._score_words(x, mask, weighting), mask)
        if self.listeners:
            self.report(attended)
        floor = self.config.floor
        gate = floor + (1 - floor) * weighting.gate(attended)  # (B, H, N)
        if self.groups == 1:
            gate = gate.mean(1, keepdim=True)  # (B, 1, N)
        gated = (x.view(B, self.groups, -1, N) * gate[:, :, None]).view(B, C, N)
        weights = attended.weights if attended.soft is None else attended.soft
        return self._add_sparsity(gated, weights[:, :, 0])

    def _score_words(
        self, x: Tensor, mask: Tensor | None, weighting: GateWeighting
    ) -> Float[Tensor, "B H N"]:
        """Return the logits, with the keys that a score of any kind compares."""
        B, _, N = x.shape
        static = (STATIC_SCALE * self.static).expand(B, -1, -1)
        if not self.config.context:
            return static
        H, K = self.heads, self.config.head_width
        x, glance = self._read_tokens(x, mask)
        q = (glance @ self.query).view(B, H, 1, K)
        places, contents = self.key.split([N, x.shape[1]], 1)
        k = places.T + x.transpose(1, 2) @ contents.T  # (B, N, K)
        return static + CONTEXT_SCALE * weighting.score(q, k[:, None].expand(-1, H, -1, -1))

    def _add_sparsity(self, gated: Tensor, weights: Float[Tensor, "B H N"]) -> Tensor:
        """Hand the tokens on, with the gradient that `sparsity` asks for."""
        sparsity = self.config.sparsity
        if sparsity == 0 or not (self.training and torch.is_grad_enabled()):
            return gated
        return add_loss(gated, sparsity * mean_entropy(weights))


def symlog(x: Tensor) -> Tensor:
    """Return `sign(x) * log(1 + |x|)`: numbers of any range, without saturation.

    Source: Hafner et al. 2023, Mastering diverse domains through world models, section 3,
        https://arxiv.org/abs/2301.04104.
    """
    return torch.log1p(x.abs()).copysign(x)


def has_own_words(attention: AttentionConfig) -> bool:
    """Return whether words say anything of a gate that the default's do not."""
    default = AttentionConfig()
    return attention != replace(
        default,
        visibility=attention.visibility,
        positions=attention.positions,
        window=attention.window,
        top_k=attention.top_k,
    )
