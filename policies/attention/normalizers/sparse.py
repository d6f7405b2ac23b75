"""Normalizers that give most tokens no weight at all: sparsemax and 1.5-entmax.

Both cut scores off at a threshold that lets each row sum to 1, and find it exactly, by sorting.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_agents.policies.attention.normalizers.normalizer import Normalizer
from attention_agents.policies.registries import NORMALIZERS

FAR = -2.0
"""Stands for all that lies too far below the best score to weigh, as everything below -1 does."""


class Sparse(Normalizer):
    """`weigh_height(x - threshold)` where x is above the threshold, and 0 elsewhere.

    With x the scores, times `slope`, measured from the best one. The threshold of the n best scores
    alone follows from their mean and spread; it is theirs in truth if the last of them is above it.

    A subclass gives `slope`, `compute_threshold` and `weigh_height`. Costs a sort, N log N for each
    row.
    """

    slope: float

    def compute_threshold(self, mean: Tensor, spread: Tensor, count: Tensor) -> Tensor:
        """Return where `count` scores must be cut off for their weights to sum to 1.

        Args:
            mean: of these scores.
            spread: sum of their squared distances from the mean.
            count: how many they are.
        """
        raise NotImplementedError

    def weigh_height(self, height: Tensor) -> Tensor:
        """Return the weight of a score at some height above the threshold."""
        raise NotImplementedError

    def forward(
        self, scores: Float[Tensor, "B H Q N"], visible: Bool[Tensor, "#B #H #Q N"] | None
    ) -> Float[Tensor, "B H Q N"]:
        x = self.slope * (scores - _best_visible(scores, visible))
        support = self._find_support(x.detach(), visible)  # (B, H, Q, N)
        count = support.sum(-1, keepdim=True, dtype=x.dtype).clamp(min=1)  # (B, H, Q, 1)
        middle = torch.where(support, x.detach(), 0.0).sum(-1, keepdim=True) / count
        x = torch.where(support, x - middle, 0.0)  # near 0, so that many of them sum up exactly
        mean = x.sum(-1, keepdim=True) / count
        spread = x.square().sum(-1, keepdim=True) - count * mean.square()
        height = (x - self.compute_threshold(mean, spread, count)).clamp(min=0)
        return torch.where(support, self.weigh_height(height), 0.0)

    @torch.no_grad()
    def _find_support(
        self, x: Float[Tensor, "B H Q N"], visible: Bool[Tensor, "#B #H #Q N"] | None
    ) -> Bool[Tensor, "B H Q N"]:
        """Return which scores get weight."""
        near = x if visible is None else x.masked_fill(~visible, FAR)
        ordered = near.clamp(min=FAR).sort(-1, descending=True).values
        count = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=x.dtype)
        mean = ordered.cumsum(-1) / count
        spread = ordered.square().cumsum(-1) - count * mean.square()
        # entry n is the threshold if the n + 1 best scores were the support; the longest prefix
        # whose last score lies above its own threshold is the true one
        thresholds = self.compute_threshold(mean, spread, count)
        last = (ordered > thresholds).sum(-1, keepdim=True) - 1
        support = near > thresholds.gather(-1, last)
        return support if visible is None else support & visible


@NORMALIZERS.register("sparsemax", "weight for the few best tokens, 0 for the rest; rows sum to 1")
class Sparsemax(Sparse):
    """`relu(scores - threshold)`: the point of the simplex that is nearest to the scores.

    Source: Martins and Astudillo 2016, From softmax to sparsemax, algorithm 1,
        https://arxiv.org/abs/1602.02068.
    """

    slope = 1.0

    def compute_threshold(self, mean: Tensor, spread: Tensor, count: Tensor) -> Tensor:
        return mean - 1 / count

    def weigh_height(self, height: Tensor) -> Tensor:
        return height


@NORMALIZERS.register("entmax15", "between softmax and sparsemax; rows sum to 1")
class Entmax15(Sparse):
    """`relu(scores / 2 - threshold) ** 2`, known as 1.5-entmax.

    Source: Peters, Niculae and Martins 2019, Sparse sequence-to-sequence models, algorithm 2,
        https://arxiv.org/abs/1905.05702.
    """

    slope = 0.5

    def compute_threshold(self, mean: Tensor, spread: Tensor, count: Tensor) -> Tensor:
        return mean - ((1 - spread) / count).clamp(min=0).sqrt()

    def weigh_height(self, height: Tensor) -> Tensor:
        return height.square()


def _best_visible(scores: Tensor, visible: Tensor | None) -> Tensor:
    """Return each row's best visible score; 0 where nothing is visible.

    Without gradient: a shift of all scores changes no weight.
    """
    scores = scores.detach()
    if visible is None:
        return scores.amax(-1, keepdim=True)
    best = scores.masked_fill(~visible, -torch.inf).amax(-1, keepdim=True)
    return torch.where(visible.any(-1, keepdim=True), best, 0.0)
