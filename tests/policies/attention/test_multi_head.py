"""The two attention modules and how they weigh: references, absorbed and fused reads, no tokens."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.attention_weighting import (
    AttentionWeighting,
    fused_attention,
)
from attention_agents.policies.attention.multi_head import QueryAttention, SelfAttention
from attention_agents.policies.attention.scores.score import Bilinear
from attention_agents.policies.registries import HARD_ATTENTIONS, NORMALIZERS, SCORES
from attention_agents.policies.testkit import (
    build_module,
    example_tokens,
    layer_context,
    record_weights,
)
from attention_agents.policies.tokens import Tokens
from tests.policies.reads import HARD, READS, Ask, attention_of, check_read

B, H, N, K, Q = 2, 3, 5, 7, 11
D = H * K
MASK = torch.tensor([[True, False, True, True, False], [True, True, True, True, True]])
BILINEAR = [name for name in SCORES.words if issubclass(SCORES[name], Bilinear)]
MECHANISMS = [
    *({"score": name} for name in SCORES.words),
    *({"normalizer": name} for name in list(NORMALIZERS.words)[1:]),
    *({"hard_attention": name, "top_k": 2} for name in list(HARD_ATTENTIONS.words)[1:]),
    {"score": "additive", "normalizer": "entmax15", "hard_attention": "top-k", "temperature": 0.7},
]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def tokens(mask: Tensor | None = MASK) -> Tokens:
    return Tokens(torch.randn(B, N, D), mask)


def made(read: str, heads: int = H, **words) -> nn.Module:
    place = layer_context(heads, attention=AttentionConfig(**words))
    return build_module(lambda: READS[read][0](place))


def heard(module: nn.Module, read: Tokens) -> tuple[Tensor, Tensor]:
    """Return output and weights of one pass."""
    out, [(_, told)] = record_weights(module, read)
    return out, told.weights


def values_of(module: nn.Module, x: Tensor) -> Tensor:
    """Return what the heads read, (B, H, N, K), projected token by token."""
    attention = attention_of(module)
    if isinstance(attention, SelfAttention):
        return attention.inputs(x).view(B, N, 3, H, K)[:, :, 2].transpose(1, 2)
    return attention.value(x).view(B, N, H, K).transpose(1, 2)


def naive_attention(q, k, v, mask, bias):
    """The formula of Vaswani et al. 2017 in plain loops."""
    out = np.zeros((*q.shape[:3], v.shape[-1]))
    for b, h, i in np.ndindex(*q.shape[:3]):
        scores = np.array([q[b, h, i] @ k[b, h, n] / np.sqrt(K) + bias[h, i, n] for n in range(N)])
        raised = np.exp(scores) * mask[b]
        weights = raised / raised.sum()
        out[b, h, i] = sum(weights[n] * v[b, h, n] for n in range(N))
    return out


@pytest.mark.parametrize("biased", [False, True])
def test_attend_follows_the_formula(biased):
    q, k, v = torch.randn(B, H, Q, K), torch.randn(B, H, N, K), torch.randn(B, H, N, 13)
    bias = torch.randn(H, Q, N) if biased else torch.zeros(H, Q, N)
    out = naive_attention(q.numpy(), k.numpy(), v.numpy(), MASK.numpy(), bias.numpy())
    found = fused_attention(q, k, v, MASK[:, None, None], K**-0.5, bias[None] if biased else None)
    torch.testing.assert_close(found.double(), torch.tensor(out), atol=1e-6, rtol=1e-5)


def test_attend_by_hand():
    q = torch.tensor([[[[1.0, 0.0]]]])
    k = torch.tensor([[[[np.log(3.0), 5.0], [0.0, -5.0]]]], dtype=torch.float32)
    v = torch.tensor([[[[4.0], [8.0]]]])
    assert fused_attention(q, k, v, None, 1.0).item() == pytest.approx(0.75 * 4 + 0.25 * 8)


def test_self_attention_equals_torch():
    ours = build_module(lambda: SelfAttention(layer_context(H)))
    theirs = nn.MultiheadAttention(D, H, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.inputs.weight)
        theirs.in_proj_bias.copy_(ours.inputs.bias)
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    x = tokens()
    expected, weights = theirs(
        x.values, x.values, x.values, key_padding_mask=~MASK, average_attn_weights=False
    )
    out, maps = heard(ours, x)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(maps, weights, atol=1e-6, rtol=1e-5)


def test_query_attention_equals_torch():
    ours, theirs = (
        build_module(lambda: Ask(layer_context(H))),
        nn.MultiheadAttention(D, H, batch_first=True),
    )
    inner = ours.attention
    with torch.no_grad():
        parts = (inner.query, inner.key, inner.value)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([inner.query.bias, torch.zeros(2 * D)]))
        theirs.out_proj.weight.copy_(inner.output.weight)
        theirs.out_proj.bias.copy_(inner.output.bias)
    x = tokens()
    query = ours.query.expand(B, -1, -1)
    expected, weights = theirs(
        query, x.values, x.values, key_padding_mask=~MASK, average_attn_weights=False
    )
    out, maps = heard(ours, x)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps, weights, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mask", [MASK, None], ids=["some", "all"])
@pytest.mark.parametrize("score", BILINEAR)
def test_absorbed_projections_are_exact(score, mask):
    """QueryAttention equals projecting every token to keys and values."""
    module = build_module(
        lambda: QueryAttention(layer_context(H, attention=AttentionConfig(score=score)))
    )
    query, x = torch.randn(B, Q, D), tokens(mask)
    q, k, v = (
        part(values).view(B, -1, H, K).transpose(1, 2)
        for part, values in (
            (module.query, query),
            (module.key, x.values),
            (module.value, x.values),
        )
    )
    weights = NORMALIZERS["softmax"](layer_context(H))(
        module.weighting.score(q, k), None if mask is None else mask[:, None, None]
    )
    expected = module.output((weights @ v).transpose(1, 2).reshape(B, Q, D))
    torch.testing.assert_close(module(query, x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("heads", [1, 2, 3, 7])
@pytest.mark.parametrize("read", READS)
def test_kit(read, heads):
    check_read(read, heads)


@pytest.mark.parametrize("words", MECHANISMS, ids=lambda words: "-".join(map(str, words.values())))
@pytest.mark.parametrize("mask", [MASK, None], ids=["some", "all"])
@pytest.mark.parametrize("read", READS)
def test_weights_at_values_reproduce_the_output(read, mask, words):
    module, x = made(read, **words), tokens(mask)
    out, weights = heard(module, x)
    assert weights.shape == (B, H, N if read == "self" else Q, N)
    if mask is not None:
        absent = ~mask[:, None, None].expand_as(weights)
        assert weights[absent].eq(0).all()
    joined = (weights @ values_of(module, x.values)).transpose(1, 2).reshape(B, -1, D)
    expected = attention_of(module).output(joined)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("heads", [1, 3, 7])
@pytest.mark.parametrize("read", READS)
def test_rows_sum_to_one_and_every_present_token_weighs(read, heads):
    place = layer_context(heads)
    module = build_module(lambda: READS[read][0](place))
    x = Tokens(torch.randn(B, N, place.width), MASK)
    _, weights = heard(module, x)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert weights[MASK[:, None, None].expand_as(weights)].gt(0).all()


@pytest.mark.parametrize("read", READS)
def test_nothing_present_reads_a_learned_vector_in_all_modes(read):
    module = made(read)
    attention = attention_of(module)
    x = torch.randn(B, N, D, requires_grad=True)
    mask = torch.stack([torch.zeros(N, dtype=torch.bool), MASK[0]])
    recorded, weights = heard(module.train(), Tokens(x, mask))
    for mode in (True, False):
        assert torch.equal(module.train(mode)(Tokens(x, mask)), recorded)
    expected = attention.output(attention.empty_vector).expand_as(recorded[0])
    torch.testing.assert_close(recorded[0], expected, atol=1e-6, rtol=1e-5)
    assert weights[0].eq(0).all() and attention.empty_vector.ne(0).any()
    recorded.sum().backward()
    assert x.grad.isfinite().all() and x.grad[0].eq(0).all()
    assert attention.empty_vector.grad.ne(0).any()


@pytest.mark.parametrize("read", READS)
def test_gradients_are_right_in_float64_for_every_entry(read):
    module = made(read, heads=1).double()
    x = torch.randn(B, N, K, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: module(Tokens(x, MASK)), (x,))


@pytest.mark.parametrize("words", MECHANISMS, ids=lambda words: "-".join(map(str, words.values())))
@pytest.mark.parametrize("read", READS)
def test_listening_changes_no_bit_of_the_gradient(read, words):
    module, x = made(read, **words), tokens()
    grads = []
    for listen in (module, lambda x: record_weights(module, x)[0]):
        torch.manual_seed(1)
        module.zero_grad()
        listen(x).square().sum().backward()
        grads.append([p.grad for p in module.parameters() if p.grad is not None])
    assert grads[0] and all(map(torch.equal, *grads))


class Leaning(nn.Module):
    """Add a learned preference to the scores, as positions do."""

    def __init__(self, count: int):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(1, H, count, N))

    def forward(self, places: Tensor | None) -> Tensor:
        return self.bias


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("mask", [MASK, None], ids=["some", "all"])
@pytest.mark.parametrize("score", BILINEAR)
@pytest.mark.parametrize("read", READS)
def test_fused_equals_unfused(read, score, mask, biased):
    """Output, told weights and gradients of the kernel are those of the plain formula."""
    module, x = made(read, score=score, temperature=0.7), tokens(mask)
    weighting = attention_of(module).weighting
    if biased:
        weighting.positions = Leaning(N if read == "self" else Q)
    found = []
    for fused in (True, False):
        assert weighting.is_fused
        weighting.is_fused = fused
        module.zero_grad()
        out, weights = heard(module, x)
        out.square().sum().backward()
        found.append([out, weights, *(p.grad for p in module.parameters() if p.grad is not None)])
        weighting.is_fused = True
    assert len(found[0]) == len(found[1]) >= 6
    for fused, plain in zip(*found, strict=True):
        torch.testing.assert_close(fused, plain, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-5, rtol=1e-5)


def test_only_a_soft_read_of_a_bilinear_score_is_fused():
    fused = {
        name
        for name in SCORES.words
        if AttentionWeighting(layer_context(attention=AttentionConfig(name))).is_fused
    }
    assert fused == set(BILINEAR) == {"scaled-dot-product", "dot", "general"}
    for words in MECHANISMS[len(SCORES.words) :]:
        assert not AttentionWeighting(layer_context(attention=AttentionConfig(**words))).is_fused, (
            words
        )


@pytest.mark.parametrize("temperature", [1e-300, 1e-40, 0.00099, 1001.0, 1e40])
def test_temperatures_beyond_what_scores_can_hold_are_refused(temperature):
    text = f"temperature must be 0.001 to 1000, got {temperature}; for one token alone use"
    with pytest.raises(ValueError, match=re.escape(text)):
        AttentionConfig(temperature=temperature)


@pytest.mark.parametrize("normalizer", NORMALIZERS.words)
@pytest.mark.parametrize("temperature", [1e-3, 1e3])
def test_the_coldest_and_the_warmest_temperature_learn(temperature, normalizer):
    place = layer_context(attention=AttentionConfig(temperature=temperature, normalizer=normalizer))
    module = build_module(lambda: SelfAttention(place))
    x = example_tokens(place)
    module(x).square().sum().backward()
    assert all(each.grad.isfinite().all() for each in module.parameters())


def test_weighing_divides_scores_by_the_temperature_and_then_adds_places():
    weighting = AttentionWeighting(layer_context(1, attention=AttentionConfig(temperature=0.5)))
    scores = torch.tensor([[[[0.5, 0.0, 0.0, 9.0, 9.0]]]])
    bias = torch.tensor([[[[0.0, 0.0, 2.0, 9.0, 9.0]]]])
    visible = torch.tensor([[[[True, True, True, False, False]]]])
    weights, _, soft, _ = weighting(scores, visible, bias)
    raised = np.exp([1.0, 0.0, 2.0])
    expected = [*(raised / raised.sum()), 0, 0]
    assert weights.flatten().tolist() == pytest.approx(expected) and soft is None


@pytest.mark.parametrize("read", READS)
def test_a_temperature_is_a_factor_of_the_scores(read):
    plain, sharp = made(read), made(read, temperature=0.25)
    sharp.load_state_dict(plain.state_dict())
    attention_of(plain).weighting.score.scale *= 4
    x = tokens()
    for one, other in zip(heard(sharp, x), heard(plain, x), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("words", MECHANISMS, ids=lambda words: "-".join(map(str, words.values())))
@pytest.mark.parametrize("read", READS)
def test_stable_baselines_does_not_initialise_it_again(read, words):
    module = made(read, **words)
    before = {name: each.clone() for name, each in module.state_dict().items()}
    module.apply(partial(ActorCriticPolicy.init_weights, gain=2**0.5))
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())


def test_words_that_nobody_knows():
    for kind, word in (
        ("score", "dots"),
        ("normalizer", "softmx"),
        ("hard attention", "top-n"),
        ("visibility", "globl"),
        ("positions", "non"),
        ("head mixing", "concatt"),
    ):
        name = kind.replace(" ", "_")
        with pytest.raises(ValueError, match=f"unknown {kind} '{word}'; did you mean"):
            AttentionWeighting(layer_context(attention=AttentionConfig(**{name: word})))


def test_every_hard_choice_is_in_the_tests():
    assert {"none", *HARD} <= set(HARD_ATTENTIONS.words)
    assert set(HARD_ATTENTIONS.builtin) == {"none", *HARD}
