"""What can be seen at each step of a history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention import Geometry, Site
from attention_agents.policies.readouts.history_steps import Steps
from attention_agents.policies.tokens import Tokens


class Glimpses(nn.Module):
    """Give, for each of T steps, the C tokens that can be seen then.

    A subclass sets `site`, gives `forward`, and `spread` where C is not N.
    """

    site: Site
    """Of the C tokens seen in one step."""

    def forward(self, tokens: Tokens) -> list[Tokens]:
        raise NotImplementedError

    def spread(self, weights: Float[Tensor, "B H T C"]) -> Float[Tensor, "B H T N"]:
        """Return the weights of what was seen as weights of all N tokens."""
        return weights


class Window(Glimpses):
    """See the tokens of the step and of all steps before it."""

    past: Tensor

    def __init__(self, site: Site, steps: Steps):
        super().__init__()
        self.site = site
        past = torch.zeros(len(steps), site.keys, dtype=torch.bool)  # (T, N)
        for t, step in enumerate(steps):
            past[t:, list(step)] = True
        self.register_buffer("past", past, persistent=False)

    def forward(self, tokens: Tokens) -> list[Tokens]:
        past = self.past[:, None]  # (T, 1, N)
        B = tokens.values.shape[0]
        seen = past.expand(-1, B, -1) if tokens.mask is None else past & tokens.mask
        return [tokens._replace(mask=mask) for mask in seen]


class Frame(Glimpses):
    """See the tokens of the step alone, each in the column of its own place.

    Places are those of the present step; where another step lacks one, its column is absent.
    """

    table: Tensor
    real: Tensor

    def __init__(self, site: Site, steps: Steps):
        super().__init__()
        spot = Geometry.of(site.layout).spot
        order = [spot[token] for step in reversed(steps) for token in step]
        column = {place: i for i, place in enumerate(dict.fromkeys(order))}
        table = np.full((len(steps), len(column)), -1)  # (T, C)
        for t, step in enumerate(steps):
            table[t, [column[spot[token]] for token in step]] = step
        self.site = replace(site, keys=len(column), layout=_present(site, len(column)))
        self.register_buffer("table", torch.tensor(table.clip(0)), persistent=False)
        self.register_buffer("real", torch.tensor(table >= 0), persistent=False)
        self.count, self.whole = site.keys, bool((table >= 0).all())

    def forward(self, tokens: Tokens) -> list[Tokens]:
        values, mask, places = tokens
        B, (T, C) = values.shape[0], self.table.shape
        order = self.table.flatten()
        values = values.index_select(1, order).unflatten(1, (T, C)).unbind(1)
        if mask is not None:
            mask = mask.index_select(1, order).unflatten(1, (T, C))
        if not self.whole:
            mask = self.real.expand(B, -1, -1) if mask is None else mask & self.real
        if places is not None:
            places = places.index_select(1, order).unflatten(1, (T, C))
        return [
            Tokens(
                values[t],
                None if mask is None else mask[:, t],
                None if places is None else places[:, t],
            )
            for t in range(T)
        ]

    def spread(self, weights: Float[Tensor, "B H T C"]) -> Float[Tensor, "B H T N"]:
        everything = weights.new_zeros(*weights.shape[:3], self.count)
        return everything.scatter_add(-1, self.table.expand_as(weights), weights)


def _present(site: Site, count: int) -> TokenLayout | None:
    """Return the layout of the present step; None where its groups are not all of one step."""
    groups = () if site.layout is None else site.layout.groups
    here = TokenLayout(tuple(g for g in groups if g.offsets is None or min(g.offsets) == 0))
    return here if len(here) == count else None
