"""One part of an observation reads the others."""

from __future__ import annotations

import difflib
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import QueryAttention
from attention_agents.policies.attention.tappable import AttentionWeights
from attention_agents.policies.readouts.query_block import QueryBlock
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.tokens import Tokens


@READOUTS.register(
    "cross",
    "the tokens of the key `query_source` are the queries, those of the other keys are read",
)
class CrossAttentionReadout(Readout):
    """Let the tokens of one key of a Dict observation read those of all others.

    `rows = query_block(tokens[query_source], tokens[all others])`, then the mean over the present
    rows; a learned vector where none is present. So a goal can look for itself in a scene, or the
    agent's own state on a map.

    Source: Vaswani et al. 2017, section 3.2.3 (encoder-decoder attention),
        https://arxiv.org/abs/1706.03762; Jaegle et al. 2021, Perceiver, section 3.1,
        https://arxiv.org/abs/2103.03206, for cross-attention between two arrays of any kind.
    """

    takes_query_source = True

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.rows = find_query_tokens(context)
        context = replace(context, query_tokens=self.rows)
        self.query_block = QueryBlock(context, CrossAttention(context, self.rows))
        self.empty_vector = nn.Parameter(torch.zeros(context.width))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        rows = list(self.rows)
        read = self.query_block(tokens.values[:, rows], tokens)  # (B, Q, D)
        if tokens.mask is None:
            return read.mean(1)
        present = tokens.mask[:, rows, None]  # (B, Q, 1)
        mean = torch.where(present, read, 0.0).sum(1) / present.sum(1).clamp(min=1)  # (B, D)
        return torch.where(present.any(1), mean, self.empty_vector)


class CrossAttention(QueryAttention):
    """Let some tokens read all others, but none of themselves. Rows of absent ones are reported as
    0.

    Args:
        context: of the layer.
        rows: the tokens that are queries.
    """

    def __init__(self, context: LayerContext, rows: tuple[int, ...]):
        super().__init__(context, "asking tokens", context.query_source)
        self.rows = rows
        visible = torch.ones(len(rows), context.num_tokens, dtype=torch.bool)  # (Q, N)
        visible[:, rows] = False
        self.weighting.restrict_visibility(visible)

    def report_weights(self, weights: AttentionWeights, mask: Bool[Tensor, "B N"] | None) -> None:
        """Report the weights of this pass; rows of absent tokens, which are not used, are 0."""
        if mask is not None:
            present = mask[:, None, list(self.rows), None]  # (B, 1, Q, 1)
            soft = None if weights.soft is None else torch.where(present, weights.soft, 0.0)
            weights = AttentionWeights(torch.where(present, weights.weights, 0.0), soft=soft)
        super().report_weights(weights, mask)


def find_query_tokens(context: LayerContext) -> tuple[int, ...]:
    """Return the tokens of the key `context.query_source`.

    Raises:
        ValueError: the observation has fewer than two keys, or none of that name.
    """
    groups = () if context.layout is None else context.layout.groups
    keys = tuple(dict.fromkeys(group.key for group in groups))
    named = ", ".join(map(repr, filter(None, keys))) or "none"
    if len(keys) < 2:
        raise ValueError(
            "readout 'cross' needs a Dict observation with two keys or more, one of which reads "
            f"the others, got {named}; use readout='query'"
        )
    if context.query_source not in keys:
        near = difflib.get_close_matches(context.query_source, [key for key in keys if key], n=1)
        raise ValueError(
            "readout 'cross' needs query_source, the key whose tokens are the queries, to be one "
            f"of {named}, got {context.query_source!r}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )
    assert context.layout is not None
    owners = [group.key for group in groups for _ in range(len(group))]
    return tuple(token for token, key in enumerate(owners) if key == context.query_source)
