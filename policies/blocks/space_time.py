"""Attention over frames in two steps: each place through time, then each frame by itself."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.attention.tappable import AttentionWeights
from attention_agents.policies.blocks.block import Block, FeedForward
from attention_agents.policies.blocks.space_time_groups import FrameTokens, TokenGroups
from attention_agents.policies.registries import BLOCKS
from attention_agents.policies.tokens import Tokens


class GroupedAttention(SelfAttention):
    """Let tokens read those of their own group, and report it as one map over all tokens.

    Args:
        context: of the layer, all N tokens.
        groups: which tokens stand together.
        part: "time" or "space".
    """

    rows: Tensor
    """(G, S), the tokens of each group."""
    is_token: Tensor | None
    """(G, S), False where an entry only fills its row; None where all are tokens."""
    entry_of_token: Tensor
    """(N,), the one of the G * S entries where each token is a query."""

    def __init__(self, context: LayerContext, groups: TokenGroups, part: str):
        count = len(groups.layout)
        context = replace(
            context, num_tokens=count, layout=groups.layout, query_tokens=tuple(range(count))
        )
        super().__init__(context)
        self.part = part
        is_token = torch.tensor(groups.is_token)
        self.register_buffer("rows", torch.tensor(groups.rows), persistent=False)
        self.register_buffer("is_token", None if is_token.all() else is_token, persistent=False)
        entry_of_token = torch.tensor(groups.entry_of_token)
        self.register_buffer("entry_of_token", entry_of_token, persistent=False)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B N D"]:
        values, mask, places = (None if x is None else self.stack_groups(x) for x in tokens)
        assert values is not None
        if self.is_token is not None:
            is_token = self.is_token.repeat(len(tokens.values), 1)  # (B * G, S)
            mask = is_token if mask is None else mask & is_token
        return self.unstack_groups(super().forward(Tokens(values, mask, places)))

    def stack_groups(self, x: Shaped[Tensor, "B N *shape"]) -> Shaped[Tensor, "BG S *shape"]:
        """Stack the groups in the batch."""
        return x.index_select(1, self.rows.flatten()).unflatten(1, self.rows.shape).flatten(0, 1)

    def unstack_groups(self, x: Shaped[Tensor, "BG S *shape"]) -> Shaped[Tensor, "B N *shape"]:
        """Take the entry where each token is a query."""
        entries = x.unflatten(0, (-1, len(self.rows))).flatten(1, 2)  # (B, G * S, *shape)
        return entries.index_select(1, self.entry_of_token)

    def join_maps(self, weights: Float[Tensor, "BG H S S"]) -> Float[Tensor, "B H N N"]:
        """Set the maps of groups in one map over all tokens, 0 between groups."""
        G, N = len(self.rows), len(self.entry_of_token)
        weights = weights.unflatten(0, (-1, G)).transpose(1, 2)  # (B, H, G, S, S)
        columns = self.rows[:, None].expand_as(weights)
        full = weights.new_zeros((*weights.shape[:-1], N)).scatter_add_(-1, columns, weights)
        return full.flatten(2, 3).index_select(2, self.entry_of_token)  # (B, H, N, N)

    def report_weights(self, weights: AttentionWeights, mask: Bool[Tensor, "BG S"] | None) -> None:
        soft = None if weights.soft is None else self.join_maps(weights.soft)
        mask = None if mask is None else self.unstack_groups(mask)
        super().report_weights(AttentionWeights(self.join_maps(weights.weights), soft=soft), mask)


@BLOCKS.register("space-time", "frames: each place through time, then each frame by itself")
class SpaceTime(Block):
    """Let each token read its own place in other frames, then its own frame, then make more of it.

    ```
    x = x + time(norm(x))
    x = x + space(norm(x))
    x = x + ffn(norm(x))
    ```

    Attention costs O(T P (T + P)) for T frames of P tokens, and not O(T^2 P^2), with two sets of
    projections in place of one: at width 64 it is faster than block 'residual' from some 400 tokens
    on.

    The place of an entity is its row. Where an environment gives objects other rows from step to
    step, such as the nearest first, attention through time mixes them: block 'residual' does not.

    Frames from before the episode are absent tokens. Tokens outside of the frames, such as a
    mission, are of the present: every frame reads them, they read the present frame and each other,
    and through time only themselves.

    Options `visibility` and `positions` hold within a group: of T steps, or of a frame's tokens.

    Raises:
        ValueError: the observation has fewer than two frames, or they hold different tokens.

    Source: Bertasius et al. 2021, Is space-time attention all you need for video understanding?,
        section 3.1, divided space-time attention, https://arxiv.org/abs/2102.05095.
    Differs: there is no classification token; tokens outside of the frames are queries in the
        present one, and are not averaged over frames.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        frames = FrameTokens.of(context.layout)
        self.time_norm, self.space_norm = nn.LayerNorm(context.width), nn.LayerNorm(context.width)
        self.ffn_norm = nn.LayerNorm(context.width)
        self.time = GroupedAttention(context, frames.along_time, "time")
        self.space = GroupedAttention(context, frames.along_space, "space")
        self.ffn = FeedForward(context)

    def forward(self, tokens: Tokens) -> Tokens:
        x = tokens.values
        x = x + self.time(tokens._replace(values=self.time_norm(x)))
        x = x + self.space(tokens._replace(values=self.space_norm(x)))
        return tokens._replace(values=x + self.ffn(self.ffn_norm(x)))
