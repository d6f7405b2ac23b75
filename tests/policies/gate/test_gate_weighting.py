"""Every word of the catalogue in a gate: 1 at the start, by its own scale, or refused."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.normalizers.normalizer import Normalizer
from attention_agents.policies.attention.normalizers.sparse import Sparsemax
from attention_agents.policies.attention.scores.score import Score
from attention_agents.policies.gate.attention_gate import (
    CONTEXT_SCALE,
    STATIC_SCALE,
    AttentionGate,
    GateConfig,
)
from attention_agents.policies.gate.gate_weighting import GateWeighting
from attention_agents.policies.gate.word_table import gate_table
from attention_agents.policies.inspect.attention_modules import mechanism_text
from attention_agents.policies.registries import (
    HARD_ATTENTIONS,
    HEAD_MIXINGS,
    NORMALIZERS,
    SCORES,
)

B, C, N, H, K, G = 2, 6, 5, 3, 7, 11
CONFIG = GateConfig(heads=H, head_width=K, glance=G, floor=0.0)
LAYOUT = TokenLayout((TokenGroup("features", tuple(f"x{i}" for i in range(N))),))
MASK = torch.tensor([[True, False, True, True, False], [True] * N])
WORDS = [
    AttentionConfig(normalizer=normalizer, hard_attention=hard, head_mixing=mixing, top_k=2)
    for normalizer, hard, mixing in itertools.product(
        NORMALIZERS.builtin, HARD_ATTENTIONS.builtin, HEAD_MIXINGS.builtin
    )
    if normalizer == "softmax" or hard in ("none", "top-k")
]


def build(attention: AttentionConfig, channels: int = C) -> AttentionGate:
    return AttentionGate(N, channels, CONFIG, attention, LAYOUT)


def trained(attention: AttentionConfig, channels: int = C) -> AttentionGate:
    torch.manual_seed(0)
    gate = build(attention, channels)
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter += 0.7 * torch.randn_like(parameter)
    return gate


def tokens(channels: int = C) -> torch.Tensor:
    return torch.randn(B, channels, N, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("words", WORDS, ids=str)
def test_every_gate_is_1_at_the_start_and_learns(words: AttentionConfig, masked: bool) -> None:
    gate, x = build(words), tokens()
    mask = MASK if masked else None
    y = gate(x, mask)
    torch.testing.assert_close(y, x if mask is None else x * mask[:, None], atol=2e-6, rtol=0)
    (y * tokens().roll(1, -1)).sum().backward()
    assert gate.static.grad.abs().max() > 1e-3
    assert gate.query.grad.abs().max() > 1e-5


@pytest.mark.parametrize("channels", [1, C])
@pytest.mark.parametrize("score", SCORES.builtin)
def test_every_score_starts_as_nothing_and_learns(score: str, channels: int) -> None:
    gate, x = build(AttentionConfig(score), channels), tokens(channels)
    y = gate(x)
    torch.testing.assert_close(y, x, atol=1e-6, rtol=0)
    (y * tokens(channels).roll(1, -1)).sum().backward()
    assert gate.query.grad.abs().max() > 1e-5


def test_default_words_by_the_long_path_are_the_short_path() -> None:
    gate, x = trained(AttentionConfig()), tokens()
    assert gate.weighting is None
    short = gate(x), gate(x, MASK), gate.gates(x, MASK)
    context = LayerContext(H * K, H, N, LAYOUT, None, AttentionConfig())
    gate.weighting = GateWeighting(context)
    torch.testing.assert_close((gate(x), gate(x, MASK), gate.gates(x, MASK)), short)


def test_additive_logits_against_a_naive_loop() -> None:
    """The score of a query, less that of a query of zeros."""
    gate, x = trained(AttentionConfig("additive")), tokens()
    weighting = gate.weighting
    assert weighting is not None
    v = weighting.weighting.score.v
    expected = torch.empty(B, H, N)
    for b in range(B):
        q = (torch.tanh(x[b].reshape(-1) @ gate.glance) @ gate.query).view(H, K)
        for n in range(N):
            k = gate.key[:, n] + gate.key[:, N:] @ x[b, :, n]
            expected[b, :, n] = ((torch.tanh(q + k) - torch.tanh(k)) * v).sum(-1)
    logits = STATIC_SCALE * gate.static + CONTEXT_SCALE * expected
    torch.testing.assert_close(gate.weights(x), logits.softmax(-1))


def test_a_sigmoid_gate_is_twice_the_sigmoid() -> None:
    gate = AttentionGate(
        3, 1, GateConfig(heads=1, floor=0.0, context=False), AttentionConfig(normalizer="sigmoid")
    )
    gate.static.data = torch.tensor([[0.0, 1.0, -2.0]]) / STATIC_SCALE
    y = gate(torch.ones(1, 1, 3))[0, 0]
    torch.testing.assert_close(y, 2 * torch.sigmoid(torch.tensor([0.0, 1.0, -2.0])))


def test_sparsemax_gates_are_n_times_its_weights_and_can_be_0() -> None:
    config = GateConfig(heads=1, floor=0.0, context=False)
    gate = AttentionGate(3, 1, config, AttentionConfig(normalizer="sparsemax"))
    gate.static.data = torch.tensor([[0.5, 0.3, -2.0]]) / STATIC_SCALE
    torch.testing.assert_close(gate(torch.ones(1, 1, 3))[0, 0], 3 * torch.tensor([0.6, 0.4, 0.0]))


def test_temperature_divides_the_logits() -> None:
    cold, plain, x = trained(AttentionConfig(temperature=0.5)), trained(AttentionConfig()), tokens()
    plain.static.data *= 2
    plain.query.data *= 2
    torch.testing.assert_close(cold(x), plain(x))


@pytest.mark.parametrize(
    ("top", "hard"),
    [
        (0.0, 0.0),  # even: nothing is chosen
        (0.25, None),  # on the way
        (10.0, 1.0),  # two tokens stand out: the others are not read at all
    ],
)
def test_top_k_sets_in_softly(top: float, hard: float | None) -> None:
    """k / N = 2 / 5: hard attention is whole where the best two have 0.7 of the weight."""
    config = GateConfig(heads=1, floor=0.0, context=False)
    gate = AttentionGate(N, 1, config, AttentionConfig(hard_attention="top-k", top_k=2), LAYOUT)
    gate.static.data = torch.tensor([[top, top, 0, 0, 0]]) / STATIC_SCALE
    e = math.exp(top)
    soft = torch.tensor([e, e, 1, 1, 1]) / (2 * e + 3)
    risen = (2 * e / (2 * e + 3) - 0.4) / 0.6
    expected = min(1.0, max(0.0, (risen - 0.005) / 0.495))
    assert hard is None or expected == hard
    chosen = torch.tensor([0.5, 0.5, 0, 0, 0])
    y = gate(torch.ones(1, 1, N))[0, 0]
    torch.testing.assert_close(y, N * (soft + expected * (chosen - soft)))
    if hard == 1.0:
        assert (y[2:] == 0).all()


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_absent_tokens_weigh_nothing_and_change_nothing(words: AttentionConfig) -> None:
    gate, x = trained(words), tokens()
    other = torch.where(MASK[:, None], x, torch.randn_like(x))
    assert (gate.weights(x, MASK).masked_select(~MASK[:, None]) == 0).all()
    assert torch.equal(gate(x, MASK), gate(other, MASK))
    nothing = gate(x, torch.zeros(B, N, dtype=torch.bool))
    assert (nothing == 0).all()


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_reports_are_what_gated(words: AttentionConfig) -> None:
    gate, x = trained(words), tokens()
    silent, reports = gate(x), []
    gate.listeners += (reports.append,)
    assert torch.equal(gate(x), silent)
    (report,) = reports
    weighting = gate.weighting
    if weighting is None:
        return
    factors = weighting.gate(report).repeat_interleave(C // H, 1)
    torch.testing.assert_close(x * factors, silent)
    assert (report.soft is not None) == (words.hard_attention != "none")
    assert (report.heads is not None) == (words.head_mixing == "weighted")
    assert gate.normalized_over == (
        "none" if words.normalizer == "sigmoid" or words.head_mixing == "talking" else "keys"
    )


def test_the_mechanism_of_a_gate_is_named() -> None:
    words = AttentionConfig("additive", "entmax15", hard_attention="top-k", top_k=2)
    assert mechanism_text(build(words)) == "additive, entmax15, top-k 2"


@SCORES.register("test-distance", "minus the squared distance of q and k")
class Distance(Score):
    def forward(self, q, k):
        return -(q[:, :, :, None] - k[:, :, None]).square().sum(-1) * self.scale


@NORMALIZERS.register("test-softplus", "softplus, divided by its sum")
class Softplus(Normalizer):
    def forward(self, scores, visible):
        weights = F.softplus(scores)
        weights = weights if visible is None else weights * visible
        return weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)


@NORMALIZERS.register("test-uneven", "the first token counts twice")
class Uneven(Sparsemax):
    def forward(self, scores, visible):
        first = torch.zeros_like(scores)
        first[..., 0] = 0.1
        return super().forward(scores + first, visible)


def test_words_of_plugins() -> None:
    gate, x = build(AttentionConfig("test-distance", "test-softplus")), tokens()
    torch.testing.assert_close(gate(x), x, atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match=r"leave every token as it is .*'test-uneven'.* 1\.4;"):
        build(AttentionConfig(normalizer="test-uneven"))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"hard_attention": "gumbel", "normalizer": "sigmoid"}, "gumbel"),
        ({"hard_attention": "perturbed-top-k", "top_k": 5}, "below the number of tokens"),
        ({"normalizer": "softmin"}, "unknown normalizer 'softmin'; did you mean 'softmax'"),
    ],
)
def test_words_that_do_not_go_together(words: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        build(replace(AttentionConfig(), **words))


def test_the_table_of_the_documentation_is_what_gates_are() -> None:
    text = (Path(__file__).parents[3] / "docs" / "attention.md").read_text("utf-8")
    assert gate_table() in text
