"""Attention over frames in two steps: each place through time, then each frame by itself."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from attention_agents.policies.attention import SelfAttention, Site, Weighed
from attention_agents.policies.blocks.block import BLOCKS, Block, FeedForward
from attention_agents.policies.blocks.space_time_groups import Frames, Group
from attention_agents.policies.tokens import Tokens


class Within(SelfAttention):
    """Let tokens read those of their own group, and tell it as one map over all tokens.

    Args:
        site: where it stands, all N tokens.
        group: which tokens stand together.
        part: "time" or "space".
    """

    rows: Tensor
    """(G, S), the tokens of each group."""
    real: Tensor | None
    """(G, S), False where an entry only fills its row; None where all are real."""
    own: Tensor
    """(N,), which of the G * S entries is each token's own."""

    def __init__(self, site: Site, group: Group, part: str):
        count = len(group.layout)
        super().__init__(replace(site, keys=count, layout=group.layout, askers=tuple(range(count))))
        self.part = part
        real = torch.tensor(group.real)
        self.register_buffer("rows", torch.tensor(group.rows), persistent=False)
        self.register_buffer("real", None if real.all() else real, persistent=False)
        self.register_buffer("own", torch.tensor(group.own), persistent=False)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B N D"]:
        values, mask, places = (None if part is None else self.grouped(part) for part in tokens)
        assert values is not None
        if self.real is not None:
            real = self.real.repeat(len(tokens.values), 1)  # (B * G, S)
            mask = real if mask is None else mask & real
        return self.ungrouped(super().forward(Tokens(values, mask, places)))

    def grouped(self, x: Shaped[Tensor, "B N *shape"]) -> Shaped[Tensor, "BG S *shape"]:
        """Stack the groups in the batch."""
        return x.index_select(1, self.rows.flatten()).unflatten(1, self.rows.shape).flatten(0, 1)

    def ungrouped(self, x: Shaped[Tensor, "BG S *shape"]) -> Shaped[Tensor, "B N *shape"]:
        """Take each token's own entry."""
        return x.unflatten(0, (-1, len(self.rows))).flatten(1, 2).index_select(1, self.own)

    def whole(self, weights: Float[Tensor, "BG H S S"]) -> Float[Tensor, "B H N N"]:
        """Set the maps of groups in one map over all tokens, 0 between groups."""
        G, N = len(self.rows), len(self.own)
        weights = weights.unflatten(0, (-1, G)).transpose(1, 2)  # (B, H, G, S, S)
        columns = self.rows[:, None].expand_as(weights)
        full = weights.new_zeros((*weights.shape[:-1], N)).scatter_add_(-1, columns, weights)
        return full.flatten(2, 3).index_select(2, self.own)  # (B, H, N, N)

    def told(self, weighed: Weighed, mask: Bool[Tensor, "BG S"] | None) -> None:
        soft = None if weighed.soft is None else self.whole(weighed.soft)
        mask = None if mask is None else self.ungrouped(mask)
        super().told(Weighed(self.whole(weighed.weights), soft), mask)


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

    The mechanism's `where` and `positions` hold within a group: of T steps, or of a frame's tokens.

    Raises:
        ValueError: the observation has fewer than two frames, or they hold different tokens.

    Source: Bertasius et al. 2021, Is space-time attention all you need for video understanding?,
        section 3.1, divided space-time attention, https://arxiv.org/abs/2102.05095.
    Differs: there is no classification token; tokens outside of the frames ask in the present one,
        and are not averaged over frames.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        frames = Frames.of(site.layout)
        self.time_norm, self.space_norm = nn.LayerNorm(site.width), nn.LayerNorm(site.width)
        self.ffn_norm = nn.LayerNorm(site.width)
        self.time = Within(site, frames.along_time, "time")
        self.space = Within(site, frames.along_space, "space")
        self.ffn = FeedForward(site)

    def forward(self, tokens: Tokens) -> Tokens:
        x = tokens.values
        x = x + self.time(tokens._replace(values=self.time_norm(x)))
        x = x + self.space(tokens._replace(values=self.space_norm(x)))
        return tokens._replace(values=x + self.ffn(self.ffn_norm(x)))
