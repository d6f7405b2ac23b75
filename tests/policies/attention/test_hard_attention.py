"""Hard attention: the kit, what is chosen, where the gradient comes from, when noise is drawn."""

import math

import numpy as np
import pytest
import torch
from jaxtyping import config
from torch import Tensor

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.hard_attention.gumbel import gumbel_like
from attention_agents.policies.attention.hard_attention.hard_attention import (
    HardAttention,
    top_k_mask,
)
from attention_agents.policies.attention.hard_attention.perturbed_top_k import NOISE
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.registries import HARD_ATTENTIONS, NORMALIZERS
from attention_agents.policies.testkit import (
    build_module,
    example_tokens,
    layer_context,
    record_weights,
)
from attention_agents.policies.tokens import Tokens
from tests.policies.reads import HARD, READS, check_read

B, H, Q, N = 2, 3, 11, 5
NORMED = [name for name in NORMALIZERS.words if NORMALIZERS[name].normalized_over == "keys"]
CHOICES = [(hard, "softmax") for hard in HARD] + [
    ("top-k", name) for name in list(NORMALIZERS.words)[1:]
]
VISIBLE = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)[:, None, None]
"""(B, 1, 1, N): a row with gaps, and a row in which nothing is visible."""


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def selection_of(name: str, top_k: int = 2, heads: int = H, normalizer: str = "softmax"):
    words = AttentionConfig(hard_attention=name, top_k=top_k, normalizer=normalizer)
    return HARD_ATTENTIONS[name](layer_context(heads, attention=words))


def chosen(selection: HardAttention, scores: Tensor, visible: Tensor | None = None) -> Tensor:
    """Return the weights that a selection makes of scores and their softmax."""
    soft = NORMALIZERS["softmax"](layer_context(H))(scores, visible)
    return selection(scores, soft, visible)


def row(*scores: float) -> Tensor:
    return torch.tensor([[[scores]]], dtype=torch.float32)


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("hard", "normalizer"), [("none", "softmax"), *CHOICES])
def test_kit(hard, normalizer, read, heads):
    check_read(read, heads, hard_attention=hard, normalizer=normalizer, top_k=2)


@pytest.mark.parametrize("size", [1.0, 1e4])
@pytest.mark.parametrize(("hard", "normalizer"), CHOICES)
def test_budget_and_visibility_are_kept(hard, normalizer, size):
    selection = selection_of(hard, normalizer=normalizer)
    scores = (size * torch.randn(B, H, Q, N)).requires_grad_()
    soft = NORMALIZERS[normalizer](layer_context(H))(scores, VISIBLE)
    weights = selection(scores, soft, VISIBLE)
    hidden = (~VISIBLE).expand_as(weights)
    assert weights[hidden].eq(0).all() and weights[1].eq(0).all() and (weights >= 0).all()
    assert (weights > 0).sum(-1).max() <= (1 if hard == "gumbel" else 2)
    if normalizer in NORMED:
        torch.testing.assert_close(weights[0].sum(-1), torch.ones(H, Q))
    (grad,) = torch.autograd.grad((weights * torch.randn_like(weights)).sum(), scores)
    assert grad.isfinite().all() and grad[hidden].eq(0).all()


@pytest.mark.parametrize(("hard", "normalizer"), CHOICES)
def test_soft_weights_are_told_beside_those_used(hard, normalizer):
    place = layer_context(
        H, attention=AttentionConfig(hard_attention=hard, top_k=2, normalizer=normalizer)
    )
    module = build_module(lambda: SelfAttention(place))
    _, [(_, told)] = record_weights(module, example_tokens(place))
    assert told.soft is not None and not torch.equal(told.weights, told.soft)
    soft = AttentionConfig(normalizer=normalizer)
    twin = build_module(lambda: SelfAttention(layer_context(H, attention=soft)))
    twin.load_state_dict(module.state_dict())
    _, [(_, expected)] = record_weights(twin, example_tokens(place))
    torch.testing.assert_close(told.soft, expected.weights)
    assert expected.soft is None


def test_largest_counts_the_first_of_equals():
    x = torch.tensor([[1.0, 3.0, 2.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert top_k_mask(x, 3).int().tolist() == [[0, 1, 1, 1, 0], [1, 1, 1, 0, 0]]
    assert top_k_mask(x, 4).int().tolist() == [[0, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert top_k_mask(x, 1).int().tolist() == [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert top_k_mask(x, 5).all() and top_k_mask(x, 9).all()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_largest_equals_a_stable_sort(count):
    x = torch.randint(0, 4, (101, N)).float()
    order = np.argsort(-x.numpy(), axis=-1, kind="stable")[:, :count]
    expected = np.zeros(x.shape, bool)
    np.put_along_axis(expected, order, True, axis=-1)
    assert np.array_equal(top_k_mask(x, count).numpy(), expected)


def test_top_k_by_hand():
    weights = chosen(selection_of("top-k"), row(math.log(4), 0, math.log(3), 0, math.log(2)))
    # of 4, 1, 3, 1, 2 the two largest, over their sum
    assert weights.flatten().tolist() == pytest.approx([4 / 7, 0, 3 / 7, 0, 0])


def test_top_k_is_soft_attention_where_the_budget_suffices():
    scores = torch.randn(B, H, Q, N)
    soft = scores.softmax(-1)
    assert torch.equal(chosen(selection_of("top-k", top_k=5), scores), soft)
    assert torch.equal(chosen(selection_of("top-k", top_k=50), scores), soft)
    few = NORMALIZERS["softmax"](layer_context(H))(scores, VISIBLE)  # 3 visible
    assert torch.equal(chosen(selection_of("top-k", top_k=3), scores, VISIBLE), few)
    assert not torch.equal(chosen(selection_of("top-k", top_k=2), scores, VISIBLE), few)


@pytest.mark.parametrize("normalizer", NORMALIZERS.words)
def test_top_k_has_the_gradient_of_the_soft_weights(normalizer):
    selection = selection_of("top-k", normalizer=normalizer)
    scores, up = torch.randn(B, H, Q, N, requires_grad=True), torch.randn(B, H, Q, N)
    soft = NORMALIZERS[normalizer](layer_context(H))(scores, None)
    (expected,) = torch.autograd.grad((soft * up).sum(), scores, retain_graph=True)
    (found,) = torch.autograd.grad((selection(scores, soft, None) * up).sum(), scores)
    assert torch.equal(found, expected)


def test_top_k_keeps_gates_as_they_are():
    soft = torch.rand(B, H, Q, N)
    weights = selection_of("top-k", normalizer="sigmoid")(torch.randn(B, H, Q, N), soft, None)
    assert torch.equal(weights, torch.where(top_k_mask(soft, 2), soft, 0.0))


def test_gumbel_reads_the_best_token_alone_whatever_the_noise():
    selection, scores = selection_of("gumbel"), torch.randn(B, H, 101, N, requires_grad=True)
    expected = torch.zeros(B, H, 101, N)
    for index in np.ndindex(B, H, 101):
        expected[(*index, int(scores[index].argmax()))] = 1
    for _ in range(3):
        assert torch.equal(chosen(selection, scores), expected)
    assert chosen(selection, row(2, 7, 7, 1, 7)).flatten().tolist() == [0, 1, 0, 0, 0]


def gradient(selection: HardAttention, scores: Tensor, up: Tensor, visible: Tensor | None = None):
    scores = scores.detach().requires_grad_()
    weights = chosen(selection, scores, visible)
    return torch.autograd.grad((weights * up).sum(), scores)[0]


@pytest.mark.parametrize("name", ["gumbel", "perturbed-top-k"])
def test_noise_of_the_gradient_changes_with_each_draw_but_not_under_a_seed(name):
    selection, scores, up = selection_of(name), torch.randn(B, H, Q, N), torch.randn(N)
    torch.manual_seed(5)
    first, second = gradient(selection, scores, up), gradient(selection, scores, up)
    torch.manual_seed(5)
    assert torch.equal(gradient(selection, scores, up), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", ["gumbel", "perturbed-top-k"])
def test_no_noise_is_drawn_where_no_gradient_is_wanted(name):
    selection, scores = selection_of(name).train(), torch.randn(B, H, Q, N, requires_grad=True)
    state = torch.get_rng_state()
    with torch.no_grad():
        silent = chosen(selection, scores, VISIBLE)
    assert torch.equal(chosen(selection, scores.detach(), VISIBLE), silent)
    assert torch.equal(chosen(selection.eval(), scores, VISIBLE), silent)
    assert torch.equal(torch.get_rng_state(), state)
    chosen(selection.train(), scores, VISIBLE).square().sum().backward()
    assert not torch.equal(torch.get_rng_state(), state)


def test_gumbel_in_evaluation_mode_has_the_gradient_of_softmax():
    scores, up = torch.randn(B, H, Q, N, requires_grad=True), torch.randn(N)
    state = torch.get_rng_state()
    found = gradient(selection_of("gumbel").eval(), scores, up)
    assert torch.equal(torch.get_rng_state(), state)
    (expected,) = torch.autograd.grad((scores.softmax(-1) * up).sum(), scores)
    torch.testing.assert_close(found, expected)


def test_gumbel_gradient_is_that_of_a_softmax_under_gumbel_noise():
    """Its mean equals one by numpy's own noise and the softmax's Jacobian; it points uphill."""
    scores, up = torch.tensor([0.5, -1.0, 0.0, 1.0, 0.3]).double(), torch.randn(N).double()
    many = scores.expand(200, 1, 1000, N)
    found = gradient(selection_of("gumbel"), many, up).flatten(0, 2).mean(0).numpy()
    noise = np.random.default_rng(0).gumbel(size=(200_000, N))
    weights = np.exp(scores.numpy() + noise)
    weights /= weights.sum(-1, keepdims=True)
    lift = up.numpy() - weights @ up.numpy()[:, None]
    expected = (weights * lift).mean(0)
    np.testing.assert_allclose(found, expected, atol=4e-3)  # 5 standard errors or more
    without = gradient(selection_of("gumbel").eval(), scores.view(1, 1, 1, N), up).flatten()
    assert torch.cosine_similarity(torch.tensor(found), without, dim=0) > 0.9


def test_gumbel_noise_has_mean_and_spread_of_its_law():
    noise = gumbel_like(torch.empty(1_000_000))
    assert noise.isfinite().all()
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, rel=0.02)


def test_perturbed_top_k_reads_the_best_tokens_evenly():
    selection, scores = selection_of("perturbed-top-k", top_k=3), row(2, 7, 7, 1, 7)
    assert chosen(selection, scores).flatten().tolist() == pytest.approx(
        [0, 1 / 3, 1 / 3, 0, 1 / 3]
    )
    selection = selection_of("perturbed-top-k", top_k=2)
    assert chosen(selection, scores).flatten().tolist() == [0, 0.5, 0.5, 0, 0]
    seen = torch.tensor([[1, 0, 0, 0, 0]], dtype=torch.bool)[:, None, None]
    assert chosen(selection, scores, seen).flatten().tolist() == [1, 0, 0, 0, 0]


def naive_gradient(scores: np.ndarray, up: np.ndarray, top_k: int, draws: int) -> np.ndarray:
    """`E[(up . Y(scores + sigma Z)) Z] / sigma`, Y the even choice of the best, by numpy."""
    noise = np.random.default_rng(1).standard_normal((draws, len(scores)))
    moved = scores + NOISE * noise
    least = np.sort(moved, axis=-1)[:, -top_k, None]
    read = (moved >= least) @ up / top_k
    return (read[:, None] * noise).mean(0) / NOISE


@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_perturbed_gradient_equals_brute_force(top_k):
    """A plain Monte-Carlo estimate of a million draws, in float64."""
    scores, up = torch.tensor([0.5, -0.4, 0.0, 0.6, 0.3]).double(), torch.randn(N).double()
    expected = naive_gradient(scores.numpy(), up.numpy(), top_k, 1_000_000)
    many = scores.expand(100, 1, 500, N)
    found = gradient(selection_of("perturbed-top-k", top_k), many, up).flatten(0, 2)
    error = found.std(0).numpy() / len(found) ** 0.5
    assert error.max() < 0.01 and np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found.mean(0).numpy(), expected, atol=5 * error.max() + 0.005)


def test_perturbed_gradient_by_hand():
    """Of two visible tokens one is read: `P(first) = Phi(gap / (sigma sqrt(2)))`."""
    seen = torch.tensor([[1, 0, 0, 1, 0]], dtype=torch.bool)[:, None, None]
    scores = torch.tensor([0.7, 9.0, 9.0, 0.3, 9.0]).double().expand(200, 1, 1000, N)
    up = torch.tensor([1.0, 5.0, 5.0, 0.0, 5.0]).double()
    found = gradient(selection_of("perturbed-top-k", 1), scores, up, seen).flatten(0, 2).mean(0)
    u = 0.4 / (NOISE * math.sqrt(2))
    slope = math.exp(-u * u / 2) / math.sqrt(2 * math.pi) / (NOISE * math.sqrt(2))
    assert found.tolist() == pytest.approx([slope, 0, 0, -slope, 0], abs=0.01)
    assert found[[1, 2, 4]].eq(0).all()


def test_perturbed_gradient_is_0_where_all_visible_tokens_are_read():
    scores, up = torch.randn(B, H, Q, N), torch.randn(N)
    assert gradient(selection_of("perturbed-top-k", 3), scores, up, VISIBLE).eq(0).all()
    assert gradient(selection_of("perturbed-top-k", 2), scores, up, VISIBLE).ne(0).any()


@pytest.fixture
def unchecked():
    """Switch off the checks of shapes, which the compiler cannot follow."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", HARD)
def test_the_compiler_takes_the_gradient_too(name):
    place = layer_context(H, attention=AttentionConfig(hard_attention=name, top_k=2))
    module, tokens = build_module(lambda: SelfAttention(place)), example_tokens(place)
    torch.compiler.reset()
    grads = []
    for each in (module, torch.compile(module, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(1)
        x = tokens.values.clone().requires_grad_()
        out = each(Tokens(x, tokens.mask))
        grads.append(torch.autograd.grad(out.square().sum(), x)[0])
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-4)


def test_learning_moves_the_choice_to_the_better_token():
    """Scores climb by gradient alone until the token that pays is the one that is read."""
    for name in HARD:
        selection = selection_of(name, top_k=1, heads=1)
        scores = row(1.0, 0.5, 0.0, -0.5, 0.2).requires_grad_()
        pay = torch.tensor([0.0, 0.0, 0.0, 1.0, 0.1])
        assert chosen(selection, scores)[..., 3].item() == 0
        optimizer = torch.optim.Adam([scores], lr=0.05)
        for _ in range(200):
            optimizer.zero_grad()
            (-chosen(selection, scores) * pay).sum().backward()
            optimizer.step()
        assert chosen(selection, scores)[..., 3].item() == 1, name


def test_refusals():
    def make(**words) -> None:
        SelfAttention(layer_context(attention=AttentionConfig(**words)))

    for normalizer in ("sigmoid", "sparsemax", "entmax15"):
        with pytest.raises(ValueError, match=rf"gumbel' draws from softmax.* from {normalizer} is"):
            make(hard_attention="gumbel", normalizer=normalizer)
        with pytest.raises(
            ValueError, match=rf"evenly, so that {normalizer} would change nothing; use"
        ):
            make(hard_attention="perturbed-top-k", normalizer=normalizer, top_k=2)
    with pytest.raises(
        ValueError, match="below the number of tokens, got top_k=5 of 5 tokens; low"
    ):
        make(hard_attention="perturbed-top-k", top_k=5)
    with pytest.raises(ValueError, match="unknown hard attention 'topk'; did you mean 'top-k'"):
        make(hard_attention="topk")
