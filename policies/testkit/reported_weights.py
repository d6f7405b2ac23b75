"""What a mechanism tells is a map, and the one that it read by."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attention_agents.policies.attention import Heard, MultiHead, Site
from attention_agents.policies.testkit.fixtures import (
    B,
    Make,
    built,
    listened,
)
from attention_agents.policies.tokens import Tokens

FAR_SCORES = torch.tensor([-110.0, -25.0, 25.0, 110.0])
"""Beyond what exponentials of 32 bits hold, and below what 1 can be told from."""


def check_weights(make: Make, tokens: Tokens, attends: bool = True) -> None:
    """Weights are at least 0, sum to what the module says, and are 0 for absent tokens."""
    out, heard = listened(built(make), tokens)
    assert bool(heard) == attends, "the module has no attention that can be listened to"
    count = tokens.values.shape[1]
    for ear, told in heard:
        kind = type(ear).__name__
        for weights in (told.weights, told.soft):
            if weights is None:
                continue
            assert weights.shape[:2] == (len(out), ear.heads), f"{kind}: shape {weights.shape}"
            assert not weights.requires_grad, f"{kind}: weights must be told without gradient"
            if ear.normalised_over != "none":
                assert (weights >= 0).all(), f"{kind}: weights below 0"
                total = weights.sum(-1 if ear.normalised_over == "keys" else -2)
                one = (total - 1).abs() < 1e-5
                assert (one | (total == 0)).all(), f"{kind}: rows sum to {total}"
            if ear.keys == "tokens" and tokens.mask is not None:
                assert weights.shape[-1] == count + len(ear.extra_keys), f"{kind}: {weights.shape}"
                absent = ~tokens.mask[:, None, None].expand_as(weights[..., :count])
                assert weights[..., :count][absent].eq(0).all(), f"{kind}: absent tokens weigh"


def check_reads(make: Make, tokens: Tokens) -> None:
    """The weights told, times the values, are what multi-head attention has given.

    `output(join(weights @ values))`, with `MultiHead.values`. Attention of another kind, which is
    no `MultiHead`, must be tested for this by itself.
    """
    module = built(make)
    passes = overheard_passes(module, tokens)
    for ear, inputs, out, told in passes:
        kind = type(ear).__name__
        assert told is not None, f"{kind}: a pass told no weights"
        seen = told.weights.ne(0).any(1, keepdim=True)  # (B, 1, Q, N)
        expected = ear.combined(told.weights @ ear.values(*inputs), seen)
        if ear.queries == "asking tokens":  # rows of absent ones are told as 0
            asks = seen.any(-1)[:, 0, :, None]
            expected, out = torch.where(asks, expected, 0.0), torch.where(asks, out, 0.0)
        near = torch.isclose(out, expected, atol=1e-5, rtol=1e-3)
        assert near.all(), f"{kind}: the weights told are not those that tokens were read with"


class ReadPass(NamedTuple):
    """One call of multi-head attention in a pass that is listened to."""

    ear: MultiHead
    inputs: tuple[Any, ...]
    out: Tensor
    told: Heard | None
    """The last that it told in this call."""


def overheard_passes(module: nn.Module, tokens: Tokens) -> list[ReadPass]:
    """Return every call of multi-head attention in one pass, with what each told."""
    passes: list[ReadPass] = []
    last: dict[MultiHead, Heard] = {}
    ears = [each for each in module.modules() if isinstance(each, MultiHead)]

    def tell(ear: MultiHead, heard: Heard) -> None:
        last[ear] = heard
        MultiHead.tell(ear, heard)

    def ended(ear: Any, inputs: tuple[Any, ...], out: Tensor) -> None:
        passes.append(ReadPass(ear, inputs, out, last.pop(ear, None)))

    hooks = [ear.register_forward_hook(ended) for ear in ears]
    for ear in ears:
        ear.tell = partial(tell, ear)  # type: ignore[method-assign]
    try:
        listened(module, tokens)
    finally:
        for ear, hook in zip(ears, hooks, strict=True):
            hook.remove()
            del ear.tell
    return passes


def check_far_scores(make: Make, place: Site) -> None:
    """A normaliser keeps its norm where all scores of a row are far from 0, on either side."""
    module = built(make)
    for ear in (each for each in module.modules() if isinstance(each, MultiHead)):
        normaliser = ear.weighing.normaliser
        if normaliser.normalised_over != "keys" or ear.keys != "tokens":
            continue
        count = place.keys + len(ear.extra_keys)
        scores = torch.randn(B, ear.heads, len(FAR_SCORES), count) + FAR_SCORES[:, None]
        visible = torch.ones(B, 1, 1, count, dtype=torch.bool)
        visible[0, ..., 0] = False
        for seen in (None, visible) if count > 1 else (None,):
            weights = normaliser(scores, seen)
            kind, total = type(normaliser).__name__, weights.sum(-1)
            assert (weights >= 0).all(), f"{kind}: weights below 0, or not finite, of far scores"
            assert (total - 1).abs().max() < 1e-4, (
                f"{kind}: rows of scores near {FAR_SCORES.tolist()} sum to {total[0, 0].tolist()}"
            )
