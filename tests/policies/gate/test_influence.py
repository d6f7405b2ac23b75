"""What a gate does not look at cannot matter: no change of such tokens goes beyond the bound."""

from __future__ import annotations

import pytest
import torch

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.gate.attention_gate import STATIC_SCALE, AttentionGate, GateConfig
from attention_agents.policies.gate.influence import influence_bound

B, N, H, F = 3, 5, 2, 7
CHANGED = torch.tensor([False, True, False, True, True])


def trained(channels: int, **config: object) -> AttentionGate:
    torch.manual_seed(0)
    gate = AttentionGate(N, channels, GateConfig(heads=H, glance=4, head_width=3, **config))
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter += 0.4 * torch.randn_like(parameter)
    return gate


def attack(gate: AttentionGate, x: torch.Tensor, weight: torch.Tensor, limit: float):
    """Return the largest changes of many replacements, corners of the box among them."""
    generator = torch.Generator().manual_seed(3)
    before = gate(x).flatten(1) @ weight.T
    largest = torch.zeros_like(before)
    for trial in range(300):
        new = limit * (2 * torch.rand(x.shape, generator=generator) - 1)
        new = limit * new.sign() if trial % 2 else new
        after = gate(torch.where(CHANGED, new, x)).flatten(1) @ weight.T
        largest = torch.maximum(largest, (after - before).abs())
    return largest


@torch.no_grad()
@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("floor", [0.0, 0.25])
def test_no_replacement_goes_beyond_the_bound(channels: int, context: bool, floor: float) -> None:
    gate, limit = trained(channels, context=context, floor=floor), 2.0
    generator = torch.Generator().manual_seed(2)
    x = limit * (2 * torch.rand(B, channels, N, generator=generator) - 1)
    weight = torch.randn(F, channels * N, generator=generator)
    bound = influence_bound(gate, x, CHANGED, limit, weight)
    largest = attack(gate, x, weight, limit)
    assert (largest <= bound.total + 1e-5).all()
    assert (largest > 0.2 * bound.direct).any()  # and it is of the right size
    assert (bound.by_attention == 0).all() != context


@torch.no_grad()
def test_the_bound_without_context_by_hand() -> None:
    """Gates (0, 2): the second token of size 3 may become -5, and weighs 7 behind its gate."""
    gate = AttentionGate(2, 1, GateConfig(heads=1, floor=0.0, context=False))
    gate.static[:] = torch.tensor([[-30.0, 30.0]])
    x, weight = torch.tensor([[[4.0, 3.0]]]), torch.tensor([[1.0, -7.0]])
    second = influence_bound(gate, x, torch.tensor([False, True]), 5.0, weight)
    torch.testing.assert_close(second.total, torch.tensor([[2 * 7 * (3.0 + 5.0)]]))
    first = influence_bound(gate, x, torch.tensor([True, False]), 5.0, weight)
    assert first.total < 1e-6


@torch.no_grad()
def test_what_a_sparse_gate_does_not_look_at_cannot_matter() -> None:
    gate = trained(1, sparsity=0.01)
    gate.static[:] = torch.where(CHANGED, -3.0, 1.0)
    gate.query *= 0.1
    x, weight = torch.rand(B, 1, N), torch.randn(F, N)
    hidden = influence_bound(gate, x, CHANGED, 1.0, weight)
    seen = influence_bound(gate, x, ~CHANGED, 1.0, weight)
    assert STATIC_SCALE == 3
    assert hidden.direct.max() < 1e-3 and seen.direct.min() > 0.1


def test_other_words_are_refused() -> None:
    gate = AttentionGate(N, 1, attention=AttentionConfig(normalizer="sigmoid"))
    with pytest.raises(ValueError, match="default words alone, or for a gate without context"):
        influence_bound(gate, torch.zeros(1, 1, N), CHANGED, 1.0, torch.zeros(F, N))
