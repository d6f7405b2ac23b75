"""One part of an observation reads the others."""

from __future__ import annotations

import difflib
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention import QueryAttention, Site, Weighed
from attention_agents.policies.readouts.query_block import Asking
from attention_agents.policies.readouts.readout import READOUTS, Readout
from attention_agents.policies.tokens import Tokens


@READOUTS.register("cross", "the tokens of the key `asker` ask, those of the other keys are read")
class Cross(Readout):
    """Let the tokens of one key of a Dict observation read those of all others.

    `rows = asking(tokens[asker], tokens[others])`, then the mean over the present rows; a learned
    vector where nobody asks. So a goal can look for itself in a scene, or the agent's own state on
    a map.

    Source: Vaswani et al. 2017, section 3.2.3 (encoder-decoder attention),
        https://arxiv.org/abs/1706.03762; Jaegle et al. 2021, Perceiver, section 3.1,
        https://arxiv.org/abs/2103.03206, for cross-attention between two arrays of any kind.
    """

    takes_asker = True

    def __init__(self, site: Site):
        super().__init__(site)
        self.rows = asking_tokens(site)
        site = replace(site, askers=self.rows)
        self.asking = Asking(site, CrossAttention(site, self.rows))
        self.nobody = nn.Parameter(torch.zeros(site.width))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        rows = list(self.rows)
        read = self.asking(tokens.values[:, rows], tokens)  # (B, Q, D)
        if tokens.mask is None:
            return read.mean(1)
        asks = tokens.mask[:, rows, None]  # (B, Q, 1)
        mean = torch.where(asks, read, 0.0).sum(1) / asks.sum(1).clamp(min=1)
        return torch.where(asks.any(1), mean, self.nobody)


class CrossAttention(QueryAttention):
    """Let some tokens read all others, but none of themselves. Rows of absent ones are told as 0.

    Args:
        site: where it stands.
        rows: the tokens that ask.
    """

    def __init__(self, site: Site, rows: tuple[int, ...]):
        super().__init__(site, "asking tokens", site.asker)
        self.rows = rows
        others = torch.ones(len(rows), site.keys, dtype=torch.bool)
        others[:, rows] = False
        where = self.weighing.where
        where.visible = others if where.visible is None else others & where.visible

    def told(self, weighed: Weighed, mask: Bool[Tensor, "B N"] | None) -> None:
        """Tell the weights of this pass; rows of absent tokens, which nobody uses, are 0."""
        if mask is not None:
            asks = mask[:, None, list(self.rows), None]  # (B, 1, Q, 1)
            weights, soft = weighed
            soft = None if soft is None else torch.where(asks, soft, 0.0)
            weighed = Weighed(torch.where(asks, weights, 0.0), soft)
        super().told(weighed, mask)


def asking_tokens(site: Site) -> tuple[int, ...]:
    """Return the tokens of the key `site.asker`.

    Raises:
        ValueError: the observation has fewer than two keys, or none of that name.
    """
    groups = () if site.layout is None else site.layout.groups
    keys = tuple(dict.fromkeys(group.key for group in groups))
    named = ", ".join(map(repr, filter(None, keys))) or "none"
    if len(keys) < 2:
        raise ValueError(
            "readout 'cross' needs a Dict observation with two keys or more, one of which asks "
            f"for the others, got {named}; use readout='query'"
        )
    if site.asker not in keys:
        near = difflib.get_close_matches(site.asker, [key for key in keys if key], n=1)
        raise ValueError(
            "readout 'cross' needs asker, the key whose tokens ask, to be one of "
            f"{named}, got {site.asker!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    assert site.layout is not None
    owners = [group.key for group in groups for _ in range(len(group))]
    return tuple(token for token, key in enumerate(owners) if key == site.asker)
