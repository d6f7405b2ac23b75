"""How much tokens could change what follows a gate, whatever they held: an upper bound."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_agents.policies.gate.attention_gate import CONTEXT_SCALE, AttentionGate, symlog


class Influence(NamedTuple):
    """Bounds on the change of the F outputs of a linear layer behind a gate."""

    direct: Float[Tensor, "B F"]
    """By what the tokens themselves hand on."""
    by_attention: Float[Tensor, "B F"]
    """By what they do to the attention to all others; 0 for a gate without context."""

    @property
    def total(self) -> Float[Tensor, "B F"]:
        """Of both together."""
        return self.direct + self.by_attention


@torch.no_grad()
def influence_bound(
    gate: AttentionGate,
    x: Float[Tensor, "B C N"],
    changed: Bool[Tensor, "N"],
    limit: float,
    weight: Float[Tensor, "F CN"],
) -> Influence:
    """Return how far outputs can move when some tokens become anything within a limit.

    With `y = gate(x) * x` and outputs `weight @ flat(y)`, and any x' that differs from x in the
    changed tokens alone, `|outputs' - outputs| <= total`. The direct part is the sum of
    `|gate| * |x| * |weight|` over the changed tokens, before and after, with the largest gate that
    they can have. Logits move by what the glance and the keys can, a softmax by what its logits
    can. A ReLU behind the linear layer moves no further than its input.

    Tokens are those that the gate itself sees: behind self-attention blocks each of them is a mix.

    Args:
        gate: of default words, or without context.
        x: tokens, all present.
        changed: True at the tokens that may change.
        limit: the largest size of a number of theirs, in the observation's units.
        weight: of the linear layer, for tokens that are flattened channels first.

    Raises:
        ValueError: the gate weighs by other words, and has a context.
    """
    B, C, N = x.shape
    weights, count = gate.weights(x), gate.heads
    shift = weights.new_zeros(B, count, N)
    if gate.config.context:
        if gate.weighting is not None:
            raise ValueError(
                "the bound is known for the default words alone, or for a gate without context; "
                "build it with attention='scaled-dot-product' or gate={'context': False}"
            )
        shift = _largest_shift(gate, x, changed, limit)
    now = gate.gates(x)
    low, high = _extreme_gates(gate, weights, shift) if gate.config.context else (now, now)
    now, low, high = (_by_channel(gate, factor, C) for factor in (now, low, high))
    handed_on = now * x.abs() + high * limit  # (B, C, N)
    moved = torch.maximum(high - now, now - low) * x.abs()
    size = weight.abs().view(-1, C, N)
    direct = torch.einsum("bcn,fcn->bf", torch.where(changed, handed_on, 0.0), size)
    by_attention = torch.einsum("bcn,fcn->bf", torch.where(changed, 0.0, moved), size)
    return Influence(direct, by_attention)


def _by_channel(gate: AttentionGate, gates: Float[Tensor, "B H N"], channels: int) -> Tensor:
    """Return the gate of each channel, (B, C, N)."""
    if gate.groups == 1:
        return gates.mean(1, keepdim=True).expand(-1, channels, -1)
    return gates.repeat_interleave(channels // gate.groups, 1)


def _extreme_gates(
    gate: AttentionGate, weights: Float[Tensor, "B H N"], shift: Float[Tensor, "B H N"]
) -> tuple[Tensor, Tensor]:
    """Return the least and the largest gates when every logit moves by at most its shift."""
    up, down = weights * shift.exp(), weights * (-shift).exp()
    high = up / (up + down.sum(-1, keepdim=True) - down)
    low = down / (down + up.sum(-1, keepdim=True) - up)
    floor, N = gate.config.floor, weights.shape[-1]
    return floor + (1 - floor) * N * low, floor + (1 - floor) * N * high


def _largest_shift(
    gate: AttentionGate, x: Tensor, changed: Tensor, limit: float
) -> Float[Tensor, "B H N"]:
    """Return how far each logit can move, through the glance and through its own key."""
    B, C, N = x.shape
    H, K = gate.heads, gate.config.head_width
    most = torch.as_tensor(limit, dtype=x.dtype)
    if C == 1:
        x, most = symlog(x), symlog(most)
    change = torch.where(changed, x.abs() + most, 0.0)  # (B, C, N)
    before = x.reshape(B, C * N) @ gate.glance  # (B, G)
    reach = change.reshape(B, C * N) @ gate.glance.abs()
    glance = torch.tanh(before)
    moved = torch.maximum(torch.tanh(before + reach) - glance, glance - torch.tanh(before - reach))
    q = (glance @ gate.query).view(B, H, K)
    q_moved = (moved @ gate.query.abs()).view(B, H, K)
    places, contents = gate.key.split([N, C], 1)  # (K, N), (K, C)
    keys = places + contents @ x  # (B, K, N)
    keys_moved = contents.abs() @ change  # (B, K, N)
    shift = q_moved @ keys.abs() + (q.abs() + q_moved) @ keys_moved  # (B, H, N)
    return shift * (CONTEXT_SCALE / math.sqrt(K))
