"""Talking heads: heads exchange scores, then weights."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.head_mixing.head_mixing import HeadMixing
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.registries import HEAD_MIXINGS


@HEAD_MIXINGS.register(
    "talking", "heads exchange scores before the normalizer, and weights after it"
)
class TalkingHeads(HeadMixing):
    """Mix heads before and after the normalizer: `before @ scores`, then `after @ weights`.

    Both are H x H and begin at the identity. Weights may be below 0, and rows no longer sum to 1;
    what no head may see still weighs exactly 0.

    Source: Shazeer et al. 2020, Talking-heads attention, section 3, https://arxiv.org/abs/2003.02436.
    Differs: as many heads for keys as for values; both begin at the identity.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.before = nn.Parameter(torch.eye(context.heads))
        self.after = nn.Parameter(torch.eye(context.heads))

    def mix_scores(self, scores: Float[Tensor, "B H Q N"]) -> Float[Tensor, "B H Q N"]:
        return mix_heads(self.before, scores)

    def mix_weights(self, weights: Float[Tensor, "B H Q N"]) -> Float[Tensor, "B H Q N"]:
        return mix_heads(self.after, weights)


def mix_heads(
    matrix: Float[Tensor, "H H"], maps: Float[Tensor, "B H Q N"]
) -> Float[Tensor, "B H Q N"]:
    """Return `matrix @ maps` over heads; as a batched product it costs a quarter."""
    matrices = matrix.expand(maps.shape[0], -1, -1)  # (B, H, H)
    return torch.bmm(matrices, maps.flatten(2)).view_as(maps)
