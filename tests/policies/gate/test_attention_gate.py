"""A gate is 1 at the start, hides absent tokens, and reports the weights that it used."""

from __future__ import annotations

import math

import pytest
import torch

from attention_agents.policies.gate.attention_gate import (
    CONTEXT_SCALE,
    STATIC_SCALE,
    AttentionGate,
    GateConfig,
    symlog,
)

B, C, N, H, K, G = 2, 6, 5, 3, 7, 11
CONFIG = GateConfig(heads=H, head_width=K, glance=G)


def trained_gate(channels: int = C, config: GateConfig = CONFIG) -> AttentionGate:
    """A gate whose parameters are anything but zero."""
    torch.manual_seed(0)
    gate = AttentionGate(N, channels, config)
    for parameter in gate.parameters():
        parameter.data = torch.randn_like(parameter)
    return gate


def tokens(channels: int = C) -> torch.Tensor:
    return torch.randn(B, channels, N, generator=torch.Generator().manual_seed(1))


def collect_reports(gate: AttentionGate) -> list:
    reports: list = []
    gate.listeners += (reports.append,)
    return reports


@pytest.mark.parametrize("channels", [1, 4, C])
@pytest.mark.parametrize("masked", [False, True])
def test_an_untrained_gate_changes_nothing(channels: int, masked: bool) -> None:
    x = tokens(channels)
    mask = torch.tensor([[True, False, True, True, False], [True] * N]) if masked else None
    expected = x if mask is None else x * mask[:, None]
    torch.testing.assert_close(
        AttentionGate(N, channels, CONFIG)(x, mask), expected, atol=1e-6, rtol=0
    )


def test_parameters_come_from_a_stream_of_their_own() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = AttentionGate(N, C, CONFIG)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    other = AttentionGate(N, C, CONFIG)
    assert not torch.equal(first.glance, other.glance)
    torch.manual_seed(5)
    assert torch.equal(AttentionGate(N, C, CONFIG).glance, first.glance)


def test_the_gate_by_hand() -> None:
    """One head, two tokens, no context: softmax of 3 * (log 3 / 3, 0) is (3/4, 1/4)."""
    gate = AttentionGate(2, 1, GateConfig(heads=1, floor=0.5, context=False))
    gate.static.data = torch.tensor([[math.log(3) / STATIC_SCALE, 0.0]])
    y = gate(torch.tensor([[[10.0, 100.0]]]))
    torch.testing.assert_close(y, torch.tensor([[[10 * (0.5 + 0.75), 100 * (0.5 + 0.25)]]]))


@pytest.mark.parametrize("channels", [1, C])
def test_logits_against_a_naive_loop(channels: int) -> None:
    """Single numbers are read by their symlog."""
    gate, x = trained_gate(channels), tokens(channels)
    expected = torch.empty(B, H, N)
    for b in range(B):
        s = symlog(x[b]) if channels == 1 else x[b]
        glance = torch.tanh(s.reshape(-1) @ gate.glance)
        query = (glance @ gate.query).view(H, K)
        for n in range(N):
            key = gate.key[:, n] + gate.key[:, gate.static.shape[1] :] @ s[:, n]
            expected[b, :, n] = query @ key / math.sqrt(K)
    expected = STATIC_SCALE * gate.static + CONTEXT_SCALE * expected
    torch.testing.assert_close(gate.weights(x), expected.softmax(-1))


@pytest.mark.parametrize("channels", [1, 4, C])
def test_heads_share_the_channels(channels: int) -> None:
    """Six channels are gated by three heads, two each; one or four channels by their mean."""
    gate, x = trained_gate(channels), tokens(channels)
    floor = CONFIG.floor
    factors = floor + (1 - floor) * N * gate.weights(x)  # (B, H, N)
    per_channel = (
        factors.repeat_interleave(2, 1)
        if channels == 6
        else factors.mean(1, keepdim=True).expand(-1, channels, -1)
    )
    torch.testing.assert_close(gate(x), x * per_channel)


def test_absent_tokens_weigh_nothing_and_change_nothing() -> None:
    gate, x = trained_gate(), tokens()
    mask = torch.tensor([[True, False, True, True, False], [False, True, False, False, False]])
    other = torch.where(mask[:, None], x, torch.randn_like(x))
    weights = gate.weights(x, mask)
    assert (weights.masked_select(~mask[:, None]) == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H))
    assert torch.equal(gate(x, mask), gate(other, mask))


@pytest.mark.parametrize("training", [True, False])
def test_no_token_at_all_is_finite(training: bool) -> None:
    gate, x = trained_gate().train(training), tokens().requires_grad_()
    reports = collect_reports(gate)
    y = gate(x, torch.zeros(B, N, dtype=torch.bool))
    y.sum().backward()
    assert (y == 0).all() and (reports[0].weights == 0).all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in gate.parameters())


def test_samples_do_not_depend_on_each_other() -> None:
    gate, x = trained_gate(), tokens()
    torch.testing.assert_close(gate(x)[1:], gate(x[1:]))


def test_the_floor_keeps_every_present_token_open() -> None:
    gate = AttentionGate(N, 1, GateConfig(heads=1, floor=0.25, context=False))
    gate.static.data = torch.tensor([[50.0, 0, 0, 0, 0]])
    gate(torch.ones(1, 1, N)).sum().backward()
    y = gate(torch.ones(1, 1, N))[0, 0]
    torch.testing.assert_close(y, torch.tensor([0.25 + 0.75 * N, 0.25, 0.25, 0.25, 0.25]))


def test_reports_are_the_weights_that_gated() -> None:
    gate, x = trained_gate(1), tokens(1)
    silent = gate(x)
    reports = collect_reports(gate)
    assert torch.equal(gate(x), silent)
    (report,) = reports
    assert report.weights.shape == (B, H, 1, N)
    floor = CONFIG.floor
    factors = (floor + (1 - floor) * N * report.weights[:, :, 0]).mean(1, keepdim=True)
    torch.testing.assert_close(x * factors, silent)


def test_a_gate_of_some_tokens_reports_over_all() -> None:
    gate, x = trained_gate(), tokens()
    mine = [False, True, True, False, True, True, True]
    gate.place(mine, "camera")
    reports = collect_reports(gate)
    gate(x)
    (report,) = reports
    assert gate.part == "camera"
    assert torch.equal(report.mask, torch.tensor([mine, mine]))
    assert torch.equal(report.weights[..., torch.tensor(mine)], gate.weights(x)[:, :, None])
    assert (report.weights[..., ~torch.tensor(mine)] == 0).all()


def test_both_parts_learn_from_the_start() -> None:
    """The query is zero at the start, and so is its output; its gradient is not."""
    gate = AttentionGate(N, C, CONFIG)
    (gate(tokens()) * tokens(C).roll(1, -1)).sum().backward()
    assert gate.static.grad.abs().max() > 1e-3
    assert gate.query.grad.abs().max() > 1e-5


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"heads": 0}, "heads must be a whole number of at least 1, got 0"),
        ({"glance": 0}, "glance must be a whole number of at least 1, got 0"),
        ({"floor": 1.0}, "floor must be at least 0 and below 1, got 1.0"),
    ],
)
def test_what_a_gate_cannot_be(fields: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        GateConfig(**fields)
