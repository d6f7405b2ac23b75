"""A gate by any words of the catalogue: how they weigh tokens, in units of an even weight."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.attention_weighting import AttentionWeighting
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.scores.score import Bilinear
from attention_agents.policies.attention.tappable import AttentionWeights
from attention_agents.policies.registries import NORMALIZERS, POSITION_BIASES, VISIBILITIES

START, TAKEOVER = 0.005, 0.5
"""Hard attention sets in where the chosen tokens have gathered 0.5 % of what they could, and is
whole at 50 %."""
EVEN = 1e-4
"""How far from 1 a gate may be at the start."""


class GateWeighting(nn.Module):
    """Turn the logits of a gate into weights, and these into gates that are 1 where logits are 0.

    ```
    soft    = normalizer(head_mixing(logits / temperature))
    weights = head_mixing(soft + hardness * (hard_attention(soft) - soft))
    gate    = weights / even weight * head weights
    ```

    The even weight is 1 / N_present where rows sum to 1. Where every token stands for itself, as
    with a sigmoid, it is the weight of a logit of 0, whose shift for N tokens is left out. What
    hard attention chooses at equal logits is arbitrary, so it sets in softly: `hardness` grows from
    0 to 1 with how far the chosen tokens stand out (see `hardness`).

    Args:
        context: of the gate's H heads of width K, its N tokens, and the words.

    Raises:
        ValueError: a word is unknown or needs a place of the query, which a gate's has not; words
            do not go together, or leave no gate of 1 at the start.
    """

    def __init__(self, context: LayerContext):
        super().__init__()
        config = context.attention
        words = replace(config, visibility=VISIBILITIES.default, positions=POSITION_BIASES.default)
        context = replace(context, attention=words, query_tokens=None)
        self.weighting = AttentionWeighting(context)
        self.normalized_over = self.weighting.normalized_over
        self.stands_alone = self.weighting.normalizer.normalized_over == "none"
        """Whether every token stands for itself: then the even weight does not depend on N."""
        if self.stands_alone:
            one = replace(context, num_tokens=1)
            self.weighting.normalizer = NORMALIZERS[words.normalizer](one)
        zeros = torch.zeros(1, context.heads, 1, context.num_tokens)
        with torch.no_grad():
            even = self.weighting.normalizer(zeros, None)[0, :, 0, :1]  # (H, 1)
        self.even_weight: Tensor
        self.register_buffer("even_weight", even, persistent=False)
        self._check_even(zeros, words)

    def score(
        self, q: Float[Tensor, "B H 1 K"], k: Float[Tensor, "B H N K"]
    ) -> Float[Tensor, "B H N"]:
        """Return what a query makes of each token: 0 for a query of zeros, by any score."""
        score = self.weighting.score
        scores = score(q, k)
        if not isinstance(score, Bilinear):
            scores = scores - score(torch.zeros_like(q), k)
        return scores[:, :, 0]

    def forward(
        self, logits: Float[Tensor, "B H N"], mask: Bool[Tensor, "B N"] | None
    ) -> AttentionWeights:
        """Return the weights of one query, (B, H, 1, N)."""
        weighting = self.weighting
        visible = weighting.visible_tokens(mask)
        scores = weighting.bias_scores(logits[:, :, None], None)
        weights = soft = weighting.normalizer(scores, visible)
        if weighting.hard_attention is not None:
            hard = weighting.hard_attention(scores, soft, visible)
            weights = soft + hardness(hard, soft, mask) * (hard - soft)
        if weighting.head_mixing is not None:
            weights = weighting.head_mixing.mix_weights(weights)
        soft = None if weighting.hard_attention is None else soft
        return AttentionWeights(weights, mask, soft, weighting.head_weights)

    def gate(self, attended: AttentionWeights) -> Float[Tensor, "B H N"]:
        """Return how much each token counts, 1 where the weights are even."""
        weights, mask = attended.weights[:, :, 0], attended.mask
        if self.stands_alone:
            gate = weights / self.even_weight
        else:
            gate = weights * (weights.shape[-1] if mask is None else mask.sum(1)[:, None, None])
        return gate if attended.heads is None else gate * attended.heads[:, None]

    def _check_even(self, zeros: Float[Tensor, "1 H 1 N"], words: AttentionConfig) -> None:
        with torch.no_grad():
            gate = self.gate(self(zeros[:, :, 0], None))
        if (gate - 1).abs().max() < EVEN and self.weighting.normalizer.normalized_over != "queries":
            return
        raise ValueError(
            "a gate must leave every token as it is where logits are 0, and with normalizer="
            f"{words.normalizer!r}, hard_attention={words.hard_attention!r}, head_mixing="
            f"{words.head_mixing!r} it is {gate.min():.3g} to {gate.max():.3g}; use other words"
        )


def hardness(
    hard: Float[Tensor, "B H 1 N"],
    soft: Float[Tensor, "B H 1 N"],
    mask: Bool[Tensor, "B N"] | None,
) -> Float[Tensor, "B H 1 1"]:
    """Return how far a hard choice replaces soft weights, 0 to 1, without gradient.

    With s the share of the k chosen tokens in the soft weights, k / N where these are even and 1
    where nothing else has any, it rises along `(s - k / N) / (1 - k / N)`.
    """
    chosen, soft = hard.detach() > 0, soft.detach()
    total = soft.sum(-1, keepdim=True).clamp(min=1e-12)  # (B, H, 1, 1)
    share = torch.where(chosen, soft, 0.0).sum(-1, keepdim=True) / total
    count = soft.shape[-1] if mask is None else mask.sum(1)[:, None, None, None].clamp(min=1)
    even = chosen.sum(-1, keepdim=True) / count
    risen = (share - even) / (1 - even).clamp(min=1e-12)
    return ((risen - START) / (TAKEOVER - START)).clamp(0, 1)


def check_gate_words(config: AttentionConfig, layers: int) -> None:
    """Refuse words that only blocks can use, where there are none.

    Raises:
        ValueError: there are no blocks.
    """
    for name, registry in (("visibility", VISIBILITIES), ("positions", POSITION_BIASES)):
        word = getattr(config, name)
        if layers == 1 and word != registry.default:
            registry[word]
            raise ValueError(
                f"{name}={word!r} needs queries that stand somewhere, and a gate's stands nowhere; "
                "use layers=2, for blocks of self-attention before the gate"
            )
