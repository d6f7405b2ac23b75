"""Every normalizer: the kit, exact zeros, extreme scores, bisection, gradients, cases by hand."""

import math

import pytest
import torch
from torch import Tensor

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.attention.normalizers.normalizer import Normalizer
from attention_agents.policies.registries import NORMALIZERS
from attention_agents.policies.testkit import (
    build_module,
    example_tokens,
    layer_context,
    record_weights,
)
from tests.policies.reads import READS, check_read

B, H, Q, N = 2, 3, 11, 5
NAMES = NORMALIZERS.words
NORMED = [name for name in NAMES if NORMALIZERS[name].normalized_over == "keys"]
SPARSE = {"sparsemax": 2.0, "entmax15": 1.5}
"""Their alpha in the family of Peters et al. 2019."""
VISIBLE = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)[:, None, None]
"""(B, 1, 1, N): a row with gaps, and a row in which nothing is visible."""


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def normalizer_of(name: str) -> Normalizer:
    return NORMALIZERS[name](layer_context(H))


def one_row(name: str, *scores: float) -> list[float]:
    normalizer = NORMALIZERS[name](layer_context(1))
    return normalizer(torch.tensor([[[scores]]], dtype=torch.float32), None).flatten().tolist()


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("name", NAMES)
def test_kit(name, read, heads):
    check_read(read, heads, normalizer=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-3, 1.0, 1e2, 1e4, 1e8])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_visible_weighs_exactly_nothing(name, size, dtype):
    normalizer = normalizer_of(name).to(dtype)
    scores = (size * torch.randn(B, H, Q, N, dtype=dtype)).requires_grad_()
    weights = normalizer(scores, VISIBLE)
    hidden = (~VISIBLE).expand_as(weights)
    assert weights.isfinite().all() and (weights >= 0).all() and (weights <= 1 + 1e-5).all()
    assert weights[hidden].eq(0).all() and weights[1].eq(0).all()
    if name in NORMED:
        torch.testing.assert_close(weights[0].sum(-1), torch.ones(H, Q, dtype=dtype))
    (grad,) = torch.autograd.grad((weights * torch.randn_like(weights)).sum(), scores)
    assert grad.isfinite().all() and grad[hidden].eq(0).all()


@pytest.mark.parametrize("other", [-1e30, 1e30, math.inf, math.nan])
@pytest.mark.parametrize("name", NAMES)
def test_the_value_of_a_score_that_is_not_visible_changes_nothing(name, other):
    normalizer, scores = normalizer_of(name), torch.randn(B, H, Q, N)
    changed = torch.where(VISIBLE, scores, other).requires_grad_()
    weights = normalizer(changed, VISIBLE)
    assert torch.equal(weights, normalizer(scores, VISIBLE))
    (grad,) = torch.autograd.grad(weights.square().sum(), changed)
    assert grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_all_visible_is_no_mask(name):
    normalizer, scores = normalizer_of(name), torch.randn(B, H, Q, N)
    everything = torch.ones(1, 1, 1, N, dtype=torch.bool)
    torch.testing.assert_close(normalizer(scores, everything), normalizer(scores, None))


@pytest.mark.parametrize("name", NORMED)
def test_a_shift_of_all_scores_cancels(name):
    normalizer, scores = normalizer_of(name).double(), torch.randn(B, H, Q, N).double()
    torch.testing.assert_close(normalizer(scores + 13, None), normalizer(scores, None))


@pytest.mark.parametrize("name", NAMES)
def test_order_is_kept_and_ties_weigh_the_same(name):
    scores = torch.tensor([0.3, -0.2, 0.3, 0.1, -5.0]).expand(B, H, Q, N)
    weights = normalizer_of(name)(scores, None)
    assert torch.equal(weights[..., 0], weights[..., 2])
    assert (weights[..., 0] > weights[..., 3]).all() and (weights[..., 3] > weights[..., 1]).all()
    assert (weights[..., 1] >= weights[..., 4]).all()


def bisected(scores: Tensor, visible: Tensor, alpha: float) -> Tensor:
    """Solve `sum(relu((alpha - 1) * scores - threshold) ** (1 / (alpha - 1))) == 1` by halving."""
    x = ((alpha - 1) * scores).masked_fill(~visible, -torch.inf)
    high = x.amax(-1, keepdim=True)
    low = high - 1
    for _ in range(100):
        middle = (low + high) / 2
        weights = (x - middle).clamp(min=0) ** (1 / (alpha - 1))
        enough = weights.sum(-1, keepdim=True) >= 1
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return (x - low).clamp(min=0) ** (1 / (alpha - 1))


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0, 1e4])
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_weights_equal_those_by_bisection(name, size):
    N = 37
    scores = size * torch.randn(B, H, 101, N, dtype=torch.float64)
    visible = torch.rand(B, 1, 101, N) < 0.6
    visible[..., 0] = True
    expected = bisected(scores, visible, SPARSE[name])
    weights = normalizer_of(name)(scores, visible)
    # Weights are a difference of scores: as exact as scores of this size can be.
    torch.testing.assert_close(weights, expected, atol=1e-12 * max(size, 1), rtol=1e-9)
    rounded = normalizer_of(name)(scores.float(), visible)
    near = bisected(scores.float().double(), visible, SPARSE[name])
    torch.testing.assert_close(rounded.double(), near, atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", SPARSE)
def test_many_nearly_equal_scores_still_sum_to_one(name):
    """One score stands out of 500 that barely count: the mean of squares would round too much."""
    scores = torch.full((1, 1, 1, 500), -1.85 if name == "entmax15" else -0.9)
    scores[..., 0] = 0
    weights = NORMALIZERS[name](layer_context(1))(scores + 1e-4 * torch.randn_like(scores), None)
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)


def test_sparsemax_by_hand():
    # the best two: (2 + 1.5 - 1) / 2 = 1.25, above 0
    assert one_row("sparsemax", 2.0, 1.5, 0.0) == pytest.approx([0.75, 0.25, 0])
    assert one_row("sparsemax", 7.0, 6.0, 1.0) == [1, 0, 0]
    assert one_row("sparsemax", 4.0, 4.0, 4.0) == pytest.approx([1 / 3] * 3)


def test_entmax_by_hand():
    # (0.5 - t)^2 + t^2 = 1 for scores 1 and 0: t = (1 - sqrt(7)) / 4
    t = (1 - math.sqrt(7)) / 4
    assert one_row("entmax15", 1.0, 0.0, -9.0) == pytest.approx([(0.5 - t) ** 2, t**2, 0])
    assert one_row("entmax15", 7.0, 5.0, 1.0) == [1, 0, 0]
    assert one_row("entmax15", 4.0, 4.0, 4.0) == pytest.approx([1 / 3] * 3)


def test_sparse_weights_as_published():
    """The example of the entmax package, https://github.com/deep-spin/entmax."""
    assert one_row("sparsemax", -2, 0, 0.5) == pytest.approx([0, 0.25, 0.75], abs=5e-5)
    assert one_row("entmax15", -2, 0, 0.5) == pytest.approx([0, 0.3260, 0.6740], abs=5e-5)


def test_entmax_lies_between_softmax_and_sparsemax():
    scores = torch.randn(B, H, 101, 37)
    zeros = [normalizer_of(n)(scores, None).eq(0).sum() for n in ("softmax", "entmax15")]
    assert zeros[0] == 0 < zeros[1] < normalizer_of("sparsemax")(scores, None).eq(0).sum()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_right_in_float64(name):
    normalizer = normalizer_of(name).double()
    visible = torch.rand(B, 1, 3, N) < 0.7
    visible[..., 0], visible[1, :, 0] = True, False
    scores = torch.randn(B, H, 3, N, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: normalizer(x, visible), scores)
    assert torch.autograd.gradgradcheck(lambda x: normalizer(x, visible), scores)


@pytest.mark.parametrize("name", SPARSE)
def test_gradient_follows_the_papers_formula(name):
    """`diag(s) - s s.T / s.sum()` with `s = weights ** (2 - alpha)` on the support."""
    scores = torch.randn(1, 1, 1, 13, dtype=torch.float64) / 3
    weights = NORMALIZERS[name](layer_context(1))(scores, None).flatten()
    s = torch.where(weights > 0, weights ** (2 - SPARSE[name]), 0.0)
    expected = torch.diag(s) - torch.outer(s, s) / s.sum()
    found = torch.autograd.functional.jacobian(
        lambda x: NORMALIZERS[name](layer_context(1))(x.view(1, 1, 1, -1), None).flatten(),
        scores.flatten(),
    )
    assert (weights > 0).sum() > 2
    torch.testing.assert_close(found, expected)


def test_sigmoid_by_hand_and_near_a_total_of_one_at_the_start():
    assert one_row("sigmoid", 0, 0, 0, math.log(20), -math.inf)[3] == pytest.approx(0.8)
    # 1 / (1 + 5) each
    assert sum(one_row("sigmoid", 0, 0, 0, 0, 0)) == pytest.approx(5 / 6)
    place = layer_context(1, layout=None)
    assert NORMALIZERS["sigmoid"](place).bias.item() == pytest.approx(-math.log(5))
    scores = torch.randn(B, H, 101, N)
    total = normalizer_of("sigmoid")(scores, None).sum(-1).mean().item()
    assert 0.8 < total < 1.6


def test_sigmoid_is_told_as_normalized_over_nothing():
    place = layer_context(H, attention=AttentionConfig(normalizer="sigmoid"))
    module = build_module(lambda: SelfAttention(place))
    _, [(ear, told)] = record_weights(module, example_tokens(place))
    assert ear.normalized_over == "none"
    assert (told.weights >= 0).all() and (told.weights < 1).all()
    assert told.weights.sum(-1).sub(1).abs().max() > 0.1


def test_a_bias_shifts_gates_but_no_normed_weights():
    """Which is why the sigmoid has one of its own: keys have none, and scores need none."""
    normalizer, scores = normalizer_of("sigmoid"), torch.randn(B, H, Q, N)
    assert (normalizer(scores + 1, None) > normalizer(scores, None)).all()
    normalizer(scores, VISIBLE).sum().backward()
    assert normalizer.bias.grad.ne(0).all()


def test_temperature_sharpens_every_normalizer():
    for name in NAMES:
        peaks = []
        for temperature in (0.2, 1.0, 5.0):
            words = AttentionConfig(normalizer=name, temperature=temperature)
            place = layer_context(H, attention=words)
            _, [(_, told)] = record_weights(
                build_module(lambda p=place: SelfAttention(p)), example_tokens(place)
            )
            weights = told.weights[1]
            peaks.append((weights.amax(-1) / weights.sum(-1)).mean().item())
        assert peaks[0] > peaks[1] > peaks[2], (name, peaks)


def test_unknown_normalizer():
    with pytest.raises(ValueError, match="unknown normalizer 'entmax'; did you mean 'entmax15'"):
        SelfAttention(layer_context(attention=AttentionConfig(normalizer="entmax")))
