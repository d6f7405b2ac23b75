"""What every kind of hard attention is, and what several of them share."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.normalizers.softmax import Softmax
from attention_agents.policies.registries import NORMALIZERS


class HardAttention(nn.Module):
    """Turn soft weights into those that tokens are read with.

    A subclass gives `forward`; what it does not choose weighs exactly 0, and what it does sums to
    what the normalizer states.

    Raises:
        ValueError: the choice does not go together with the normalizer.
    """

    def __init__(self, context: LayerContext):
        super().__init__()

    def forward(
        self,
        scores: Float[Tensor, "B H Q N"],
        soft: Float[Tensor, "B H Q N"],
        visible: Bool[Tensor, "#B #H #Q N"] | None,
    ) -> Float[Tensor, "B H Q N"]:
        raise NotImplementedError


def straight_through(
    hard: Float[Tensor, "*shape N"], soft: Float[Tensor, "*shape N"]
) -> Float[Tensor, "*shape N"]:
    """Return `hard` to the bit, with the gradient of `soft`.

    Source: Bengio, Léonard and Courville 2013, https://arxiv.org/abs/1308.3432.
    """
    return hard.detach() + (soft - soft.detach())


def top_k_mask(x: Float[Tensor, "*shape N"], count: int) -> Bool[Tensor, "*shape N"]:
    """Return True at the `count` largest numbers of each row; of equal ones the first count."""
    if count >= x.shape[-1]:
        return torch.ones_like(x, dtype=torch.bool)
    x = x.detach()
    least = x.topk(count, -1).values[..., -1:]  # (*shape, 1)
    above, level = x > least, x == least
    room = count - above.sum(-1, keepdim=True)  # for numbers that equal the least one
    return above | (level & (level.cumsum(-1) <= room))


def mask_invisible(
    scores: Float[Tensor, "B H Q N"], visible: Bool[Tensor, "#B #H #Q N"] | None
) -> Float[Tensor, "B H Q N"]:
    """Return the scores with -inf at tokens that are not visible."""
    return scores if visible is None else scores.masked_fill(~visible, -torch.inf)


def check_softmax(context: LayerContext, word: str, reason: str) -> None:
    """Refuse a normalizer other than softmax.

    Args:
        context: of the layer.
        word: of the hard attention.
        reason: why it needs softmax; "{}" stands for the other normalizer.

    Raises:
        ValueError: the normalizer is another one.
    """
    normalizer = context.attention.normalizer
    if NORMALIZERS[normalizer] is not Softmax:
        raise ValueError(
            f"hard_attention={word!r} {reason.format(normalizer)}; use normalizer='softmax', or "
            "hard_attention='top-k'"
        )
