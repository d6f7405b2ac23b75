"""Blocks before a gate change nothing at the start, hide absent tokens, and draw on their own."""

from __future__ import annotations

import pytest
import torch
import torch.utils.flop_counter
from torch import nn

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.blocks.block import Block
from attention_agents.policies.gate.attention_gate import AttentionGate, GateConfig
from attention_agents.policies.gate.blocks_gate import BlocksGate, GatePlan
from attention_agents.policies.registries import BLOCKS
from attention_agents.policies.tokens import Tokens

B, C, N, D, H = 2, 6, 5, 21, 3
LAYOUT = TokenLayout((TokenGroup("features", tuple(f"x{i}" for i in range(N))),))
MASK = torch.tensor([[True, False, True, True, False], [False, True, False, False, False]])


def plan(**words: object) -> GatePlan:
    return GatePlan(gate=GateConfig(heads=2), layers=3, width=D, heads=H, **words)


def tokens(channels: int = C) -> torch.Tensor:
    return torch.randn(B, channels, N, generator=torch.Generator().manual_seed(1))


def trained(channels: int = C, **words: object) -> BlocksGate:
    """Blocks and a gate whose parameters are anything but zero."""
    torch.manual_seed(0)
    gate = plan(**words).build(LAYOUT, channels)
    assert isinstance(gate, BlocksGate)
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return gate


@pytest.mark.parametrize("channels", [1, C])
@pytest.mark.parametrize("block", [word for word in BLOCKS.builtin if word != "space-time"])
def test_untrained_blocks_change_no_bit(channels: int, block: str) -> None:
    gate, x = plan(block=block).build(LAYOUT, channels), tokens(channels)
    assert isinstance(gate, BlocksGate)
    assert torch.equal(gate.blocks(x), x)
    torch.testing.assert_close(gate(x), x, atol=1e-6, rtol=0)


def test_one_layer_is_the_gate_alone() -> None:
    assert type(GatePlan().build(LAYOUT, C)) is AttentionGate


@pytest.mark.parametrize("channels", [1, C])
def test_the_sum_by_hand(channels: int) -> None:
    """y = x + norm(blocks(place + content)) @ output / sqrt(D), token by token."""
    gate, x = trained(channels), tokens(channels)
    blocks = gate.blocks
    for b in range(B):
        if channels == 1:
            s = torch.sign(x[b, 0]) * torch.log1p(x[b, 0].abs())
            embedded = torch.stack([blocks.place[n] + s[n] * blocks.content[n] for n in range(N)])
        else:
            unit = x[b] / (x[b].square().mean() + 1e-6).sqrt()
            embedded = torch.stack(
                [blocks.place[n] + unit[:, n] @ blocks.content for n in range(N)]
            )
        mixed = blocks.blocks[1](blocks.blocks[0](Tokens(embedded[None], None))).values[0]
        expected = x[b] + (blocks.norm(mixed) @ blocks.output).T / D**0.5
        torch.testing.assert_close(blocks(x)[b], expected)


def test_torch_s_stream_stays_where_it_is() -> None:
    def contents(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        parameters = list(plan().build(LAYOUT, C).parameters())
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.initial_seed() == seed
        return parameters

    first, again, other = contents(5), contents(5), contents(6)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("channels", [1, C])
@pytest.mark.parametrize("block", ["residual", "isab", "gtrxl", "channel"])
def test_absent_tokens_change_nothing(channels: int, block: str) -> None:
    gate, x = trained(channels, block=block), tokens(channels)
    other = torch.where(MASK[:, None], x, torch.randn_like(x))
    y = gate(x, MASK)
    assert torch.equal(y, gate(other, MASK))
    assert (y.masked_select(~MASK[:, None]) == 0).all()


@pytest.mark.parametrize("channels", [1, C])
def test_no_token_at_all_is_finite(channels: int) -> None:
    gate, x = trained(channels), tokens(channels).requires_grad_()
    y = gate(x, torch.zeros(B, N, dtype=torch.bool))
    y.sum().backward()
    assert (y == 0).all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in gate.parameters())


@pytest.mark.parametrize("channels", [1, C])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("normalizer", ["softmax", "entmax15"])
def test_absent_tokens_may_hold_anything(channels: int, layers: int, normalizer: str) -> None:
    """NaN and inf go into no gradient either."""
    config = GateConfig(heads=2, sparsity=0.1)
    words = AttentionConfig(normalizer=normalizer)
    torch.manual_seed(0)
    gate = GatePlan(config, layers, D, H, attention=words).build(LAYOUT, channels)
    x = tokens(channels)
    gradients = []
    for anything in (0.0, torch.nan, torch.inf):
        gate.zero_grad()
        y = gate(torch.where(MASK[:, None], x, anything), MASK)
        y.square().sum().backward()
        assert y.isfinite().all()
        gradients.append([p.grad for p in gate.parameters() if p.grad is not None])
    assert gradients[0]
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=0, atol=0)


def test_a_token_hears_of_another_at_a_distance() -> None:
    """Through the blocks the first token depends on the last; the gate's own part is held even."""
    gate, x = trained(), tokens()
    changed = x.clone()
    changed[:, :, -1] += 1
    moved = (gate.blocks(changed) - gate.blocks(x))[:, :, 0]
    assert moved.abs().max() > 1e-3


class WithLinear(Block):
    def __init__(self, context):
        super().__init__(context)
        self.layer = nn.Linear(context.width, context.width)

    def forward(self, tokens: Tokens) -> Tokens:
        return tokens


def test_layers_that_sb3_draws_again_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BLOCKS._pieces, "test-linear", (WithLinear, "drawn again"))
    with pytest.raises(ValueError, match=r"'test-linear' holds an nn.Linear, .* use Projection"):
        plan(block="test-linear").build(LAYOUT, C)


def test_the_work_of_a_block_beside_nature_cnn() -> None:
    """Multiply-adds of one sample: all products of the block with 49 cells of 64 channels.

    NatureCNN on 84 x 84 x 4 makes 9.4 million; a block of width 64, its embedding and its
    projection a quarter of that, and half of it is attention.
    """
    convolutions = 400 * 32 * 4 * 64 + 81 * 64 * 32 * 16 + 49 * 64 * 64 * 9
    nature = convolutions + 3136 * 512
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        layout = TokenLayout((TokenGroup("features", tuple(f"x{i}" for i in range(49))),))
        gate = GatePlan(layers=2).build(layout, 64)
        assert isinstance(gate, BlocksGate)
        gate.blocks(torch.randn(1, 64, 49))
    assert 0.20 < counter.get_total_flops() / 2 / nature < 0.26
