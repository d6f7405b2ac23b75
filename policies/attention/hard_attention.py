"""Hard attention: which tokens are read at all.

The choice is the same in training, evaluation and recording, so that a policy's ratio is 1 before
its first update. Noise, where a mechanism has some, is drawn for the gradient alone.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.normalizers import NORMALISERS
from attention_agents.policies.attention.registry import Registry

SELECTIONS: Registry[type[Selection]] = Registry("hard attention")


class Selection(nn.Module):
    """Turn soft weights into those that tokens are read with.

    A subclass gives `forward`; what it does not choose weighs exactly 0, and what it does sums to
    what the normaliser states.

    Raises:
        ValueError: the choice does not go together with the normaliser.
    """

    def __init__(self, site: Site):
        super().__init__()

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B #H #Q N"] | None,
    ) -> Float[Tensor, "B H Q N"]:
        raise NotImplementedError


@SELECTIONS.register("none", "soft attention: every token with weight is read")
class Soft(Selection):
    """Read with the soft weights themselves."""

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B #H #Q N"] | None,
    ) -> Float[Tensor, "B H Q N"]:
        return soft


@SELECTIONS.register("top-k", "the `budget` largest weights are read, the others are 0")
class TopK(Selection):
    """Keep the `budget` largest weights, scaled up to the total of their row.

    `weights = kept * soft.sum(-1) / kept.sum(-1)`, with the gradient of `soft` (straight-through),
    so that a token that is not read can still come to be. Of equal weights the first count. Where
    no more tokens are visible than the budget, this is soft attention. Gates (a normaliser whose
    rows have no norm) are kept as they are.

    Source: Zhao et al. 2019, Explicit sparse transformer, https://arxiv.org/abs/1912.11637; Bengio,
        Léonard and Courville 2013, https://arxiv.org/abs/1308.3432, for the straight-through
        gradient. Differs: Zhao lets no gradient through to the other tokens.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        self.budget = site.mechanism.budget
        self.gates = NORMALISERS[site.mechanism.normaliser].normalised_over == "none"

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B #H #Q N"] | None,
    ) -> Float[Tensor, "B H Q N"]:
        kept = torch.where(largest(soft, self.budget), soft, 0.0)
        if not self.gates:
            total = kept.sum(-1, keepdim=True).clamp(min=torch.finfo(kept.dtype).tiny)
            kept = kept * (soft.sum(-1, keepdim=True) / total)
        return straight_through(kept, soft)


def straight_through(
    hard: Float[Tensor, "*shape N"], soft: Float[Tensor, "*shape N"]
) -> Float[Tensor, "*shape N"]:
    """Return `hard` to the bit, with the gradient of `soft`."""
    return hard.detach() + (soft - soft.detach())


def largest(x: Float[Tensor, "*shape N"], count: int) -> Bool[Tensor, "*shape N"]:
    """Return True at the `count` largest numbers of each row; of equal ones the first count."""
    if count >= x.shape[-1]:
        return torch.ones_like(x, dtype=torch.bool)
    x = x.detach()
    least = x.topk(count, -1).values[..., -1:]
    above, level = x > least, x == least
    room = count - above.sum(-1, keepdim=True)
    return above | (level & (level.cumsum(-1) <= room))
