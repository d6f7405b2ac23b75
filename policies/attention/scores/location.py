"""The location score: a query says where to look, without looking first."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.scores.score import Score
from attention_agents.policies.registries import SCORES


@SCORES.register("location", "the query alone says where to look; for tokens with a fixed order")
class Location(Score):
    """`q @ places.T`, with a learned row per head and token: what a token holds changes no score.

    Rows start with components of size 1 / sqrt(K), so that scores start with a spread of 1.

    Raises:
        ValueError: the order of tokens means nothing, or is not known.

    Source: Luong, Pham and Manning 2015, section 3.1, https://arxiv.org/abs/1508.04025. Differs:
        for a fixed number of tokens, the absent ones masked, where Luong cuts the outputs to the
        length of a sentence; per head.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        if context.layout is None:
            raise ValueError(
                "score 'location' needs tokens of the observation, whose order is fixed; what this "
                "layer reads are none; use another score, such as 'general'"
            )
        groups = [group for group in context.layout.groups if group.kind == "entities"]
        if groups:
            raise ValueError(
                "score 'location' needs tokens whose order means something, and entities "
                f"({groups[0].names[0]!r}, ...) may stand in any row; use another score, such as "
                "'general'"
            )
        H, K, N = context.heads, context.head_width, context.num_tokens
        self.places = nn.Parameter(torch.randn(H, N, K) * K**-0.5)

    def forward(
        self, q: Float[Tensor, "B H Q K"], k: Float[Tensor, "B H N K"]
    ) -> Float[Tensor, "B H Q N"]:
        return q @ self.places.transpose(-2, -1)
