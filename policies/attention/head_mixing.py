"""How the heads of one layer combine."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.registry import Registry

MIXES: Registry[type[Mix]] = Registry("mix of heads")


class Mix(nn.Module):
    """Let heads talk before or after the normaliser, or weigh what each has read.

    A subclass overrides what it changes. One that changes scores or weights is not read by the
    fused kernel, which knows neither.
    """

    talks = False
    """Whether a subclass overrides `scores` or `weights`; rows then no longer sum to 1."""

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        cls.talks = cls.scores is not Mix.scores or cls.weights is not Mix.weights

    def __init__(self, site: Site):
        super().__init__()

    def scores(self, scores: Float[Tensor, "B H Q N"]) -> Float[Tensor, "B H Q N"]:
        """Mix scores over heads, before the normaliser."""
        return scores

    def weights(self, weights: Float[Tensor, "B H Q N"]) -> Float[Tensor, "B H Q N"]:
        """Mix weights over heads, after the normaliser."""
        return weights

    def heads(self) -> Float[Tensor, "H"] | None:
        """Return how much each head's read counts, averaging 1; None when all count the same."""
        return None


@MIXES.register("concat", "heads side by side, then projected")
class Concat(Mix):
    """Set what heads have read side by side.

    Source: Vaswani et al. 2017, section 3.2.2, https://arxiv.org/abs/1706.03762.
    """


@MIXES.register("weighted", "what each head has read counts by a learned weight")
class Weighted(Mix):
    """Multiply what head h has read by `H * softmax(importance)[h]`, before the projection.

    Source: Ahmed et al. 2017, Weighted transformer network for machine translation, section 3,
        https://arxiv.org/abs/1711.02132.
    Differs: only its first weights (kappa); those after the feed-forward layer (alpha) are left
        out. They average 1 in place of 1 / H, so that at the start nothing changes.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        self.importance = nn.Parameter(torch.zeros(site.heads))

    def heads(self) -> Float[Tensor, "H"]:
        return len(self.importance) * self.importance.softmax(0)


@MIXES.register("talking", "heads exchange scores before the normaliser, and weights after it")
class Talking(Mix):
    """Mix heads before and after the normaliser: `before @ scores`, then `after @ weights`.

    Both are H x H and begin at the identity. Weights may be below 0, and rows no longer sum to 1;
    what no head may see still weighs exactly 0.

    Source: Shazeer et al. 2020, Talking-heads attention, section 3, https://arxiv.org/abs/2003.02436.
    Differs: as many heads for keys as for values; both begin at the identity.
    """

    def __init__(self, site: Site):
        super().__init__(site)
        self.before = nn.Parameter(torch.eye(site.heads))
        self.after = nn.Parameter(torch.eye(site.heads))

    def scores(self, scores: Float[Tensor, "B H Q N"]) -> Float[Tensor, "B H Q N"]:
        return mixed(self.before, scores)

    def weights(self, weights: Float[Tensor, "B H Q N"]) -> Float[Tensor, "B H Q N"]:
        return mixed(self.after, weights)


def mixed(mixing: Float[Tensor, "H H"], maps: Float[Tensor, "B H Q N"]) -> Float[Tensor, "B H Q N"]:
    """Return `mixing @ maps` over heads; as a batched product it costs a quarter."""
    each = mixing.expand(maps.shape[0], -1, -1)
    return torch.bmm(each, maps.flatten(2)).view_as(maps)
