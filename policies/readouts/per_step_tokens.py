"""The tokens that a recurrent state reads at each step of a history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.token_geometry import Geometry
from attention_agents.policies.readouts.history_steps import Steps
from attention_agents.policies.tokens import Tokens


class PerStepTokens(nn.Module):
    """Give, for each of T steps, the C tokens that can be seen then.

    A subclass sets `context`, gives `forward`, and `scatter_weights` where C is not N.
    """

    context: LayerContext
    """Of the C tokens seen in one step."""

    def forward(self, tokens: Tokens) -> list[Tokens]:
        raise NotImplementedError

    def scatter_weights(self, weights: Float[Tensor, "B H T C"]) -> Float[Tensor, "B H T N"]:
        """Return the weights of what was seen as weights of all N tokens."""
        return weights


class PastTokens(PerStepTokens):
    """See the tokens of the step and of all steps before it."""

    past: Tensor

    def __init__(self, context: LayerContext, steps: Steps):
        super().__init__()
        self.context = context
        past = torch.zeros(len(steps), context.num_tokens, dtype=torch.bool)  # (T, N)
        for t, step in enumerate(steps):
            past[t:, list(step)] = True
        self.register_buffer("past", past, persistent=False)

    def forward(self, tokens: Tokens) -> list[Tokens]:
        past = self.past[:, None]  # (T, 1, N)
        B = tokens.values.shape[0]
        masks = past.expand(-1, B, -1) if tokens.mask is None else past & tokens.mask  # (T, B, N)
        return [tokens._replace(mask=mask) for mask in masks]


class StepTokens(PerStepTokens):
    """See the tokens of the step alone, each in the column of its own place.

    Places are those of the present step; where another step lacks one, its column is absent.
    """

    table: Tensor
    """(T, C), the token of each step in each column."""
    is_token: Tensor
    """(T, C), False where a step lacks the place of a column."""

    def __init__(self, context: LayerContext, steps: Steps):
        super().__init__()
        track = Geometry.of(context.layout).track
        order = [track[token] for step in reversed(steps) for token in step]
        column = {place: i for i, place in enumerate(dict.fromkeys(order))}
        C, N = len(column), context.num_tokens
        table = np.full((len(steps), C), -1)
        for t, step in enumerate(steps):
            table[t, [column[track[token]] for token in step]] = step
        self.context = replace(context, num_tokens=C, layout=_present_layout(context, C))
        self.register_buffer("table", torch.tensor(table.clip(0)), persistent=False)
        self.register_buffer("is_token", torch.tensor(table >= 0), persistent=False)
        self.num_tokens, self.is_full = N, bool((table >= 0).all())

    def forward(self, tokens: Tokens) -> list[Tokens]:
        values, mask, places = (None if x is None else self._split_steps(x) for x in tokens)
        assert values is not None
        if not self.is_full:
            is_token = self.is_token.expand(len(tokens.values), -1, -1)  # (B, T, C)
            mask = is_token if mask is None else mask & is_token
        return [
            Tokens(*(None if x is None else x[:, t] for x in (values, mask, places)))  # type: ignore
            for t in range(len(self.table))
        ]

    def _split_steps(self, x: Shaped[Tensor, "B N *shape"]) -> Shaped[Tensor, "B T C *shape"]:
        return x.index_select(1, self.table.flatten()).unflatten(1, self.table.shape)

    def scatter_weights(self, weights: Float[Tensor, "B H T C"]) -> Float[Tensor, "B H T N"]:
        full = weights.new_zeros(*weights.shape[:3], self.num_tokens)
        return full.scatter_add(-1, self.table.expand_as(weights), weights)


def _present_layout(context: LayerContext, count: int) -> TokenLayout | None:
    """Return the layout of the present step; None where its groups are not all of one step."""
    groups = () if context.layout is None else context.layout.groups
    layout = TokenLayout(tuple(g for g in groups if g.offsets is None or min(g.offsets) == 0))
    return layout if len(layout) == count else None
