"""Every score: the kit, the paper's formula in plain loops, a case by hand, what is refused."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.attention.scores.score import Score
from attention_agents.policies.registries import SCORES
from attention_agents.policies.testkit import layer_context
from tests.policies.reads import READS, check_read

B, H, Q, N, K = 2, 3, 11, 5, 7
NAMES = SCORES.words


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def score_of(name: str, heads: int = H, place: LayerContext | None = None) -> Score:
    return SCORES[name](layer_context(heads) if place is None else place)


def inputs() -> tuple[Tensor, Tensor]:
    return torch.randn(B, H, Q, K), torch.randn(B, H, N, K)


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("name", NAMES)
def test_kit(name, read, heads):
    check_read(read, heads, score=name)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


FORMULAS = {
    "scaled-dot-product": lambda p, h, n, q, k: q @ k / math.sqrt(K),
    "dot": lambda p, h, n, q, k: q @ k,
    "general": lambda p, h, n, q, k: q @ p["matrix"][h] @ k,
    "cosine": lambda p, h, n, q, k: np.log1p(np.exp(p["raw_strength"][h])) * cosine(q, k),
    "additive": lambda p, h, n, q, k: p["v"][h] @ np.tanh(q + k),
    "location": lambda p, h, n, q, k: p["places"][h, n] @ q,
}
"""The score of one query and one key, of head h and token n, from the papers' formulas."""


def test_every_score_of_ours_has_a_formula():
    assert set(FORMULAS) <= set(NAMES)
    ours = {
        name
        for name in NAMES
        if SCORES[name].__module__.startswith("attention_agents.policies.attention")
    }
    assert ours == set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_score_follows_the_formula(name):
    score, (q, k) = score_of(name), inputs()
    p = {key: value.detach().double().numpy() for key, value in score.named_parameters()}
    expected = np.zeros((B, H, Q, N))
    for b, h, i, n in np.ndindex(B, H, Q, N):
        one, other = q[b, h, i].double().numpy(), k[b, h, n].double().numpy()
        expected[b, h, i, n] = FORMULAS[name](p, h, n, one, other)
    torch.testing.assert_close(
        score(q, k).detach().double(), torch.tensor(expected), atol=2e-6, rtol=1e-5
    )


def by_hand(name: str, q: list[float], k: list[float], **parameters: list) -> float:
    """Return the score of one query and one key by a single head of width 2."""
    place = LayerContext(
        width=2, heads=1, num_tokens=1, layout=TokenLayout((TokenGroup("cells", ("a",)),))
    )
    score = score_of(name, place=place)
    for key, value in parameters.items():
        getattr(score, key).data = torch.tensor(value)
    return score(torch.tensor([[[q]]]), torch.tensor([[[k]]])).item()


def test_scores_by_hand():
    q, k = [1.0, 2.0], [3.0, -1.0]
    assert by_hand("dot", q, k) == pytest.approx(1)
    assert by_hand("scaled-dot-product", q, k) == pytest.approx(1 / math.sqrt(2))
    # q W = [1 * 2 + 2 * 0, 1 * 5 + 2 * 1] = [2, 7], and 2 * 3 - 7 = -1
    assert by_hand("general", q, k, matrix=[[[2.0, 5.0], [0.0, 1.0]]]) == pytest.approx(-1)
    # tanh([4, 1])
    tanh = 10 * math.tanh(4) - 3 * math.tanh(1)
    assert by_hand("additive", q, k, v=[[10.0, -3.0]]) == pytest.approx(tanh)
    assert by_hand("location", q, k, places=[[[0.5, 4.0]]]) == pytest.approx(8.5)
    # softplus(log(e^3 - 1)) = 3
    strong = [math.log(math.expm1(3))]
    assert by_hand("cosine", q, k, raw_strength=strong) == pytest.approx(3 / math.sqrt(5 * 10))


@pytest.mark.parametrize("name", NAMES)
def test_scores_start_with_a_spread_of_one_over_the_tokens(name):
    spreads = []
    for width, heads in ((64, 4), (32, 4), (64, 1)):
        K = width // heads
        place = LayerContext(width, heads, 401, TokenLayout((TokenGroup("cells", ("a",) * 401),)))
        q, k = torch.randn(1, heads, 53, K), torch.randn(1, heads, 401, K)
        made = [score_of(name, place=place) for _ in range(20)]  # each with parameters of its own
        spread = torch.stack([score(q, k).std(-1).mean() for score in made]).mean().item()
        spreads.append(spread / math.sqrt(K) if name == "dot" else spread)
    assert spreads == pytest.approx([1, 1, 1], abs=0.15)


@pytest.mark.parametrize("name", ["general", "cosine", "additive", "location"])
def test_every_parameter_of_a_score_learns(name):
    score, (q, k) = score_of(name), inputs()
    score(q, k).square().sum().backward()
    [parameter] = score.parameters()
    assert parameter.grad is not None and parameter.grad.ne(0).all()


@pytest.mark.parametrize("name", NAMES)
def test_layout_in_memory_does_not_matter(name):
    score, (q, k) = score_of(name), inputs()
    moved = score(q.transpose(1, 2).contiguous().transpose(1, 2), k.mT.contiguous().mT)
    torch.testing.assert_close(moved, score(q, k), atol=1e-6, rtol=1e-5)


def test_general_with_the_identity_is_the_dot_product():
    general, (q, k) = score_of("general"), inputs()
    general.matrix.data = torch.eye(K).expand(H, K, K)
    torch.testing.assert_close(general(q, k), score_of("dot")(q, k))


def test_cosine_does_not_see_lengths_and_is_bounded_by_its_strength():
    score, (q, k) = score_of("cosine"), inputs()
    torch.testing.assert_close(score(30 * q, 700 * k), score(q, k), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(score(q, q)[:, :, 0, 0], torch.full((B, H), math.sqrt(K)))
    assert (score(1e4 * q, 1e4 * k).abs() <= math.sqrt(K) + 1e-4).all()
    score.raw_strength.data = torch.tensor([-9.0, 0.0, 9.0])
    own = score(k, k).diagonal(dim1=-2, dim2=-1)
    assert own.gt(0).all()
    torch.testing.assert_close(own[0, :, 0], torch.tensor([-9.0, 0.0, 9.0]).exp().log1p())


def test_cosine_of_a_key_of_zeros_is_0_with_a_finite_gradient():
    score, (q, _) = score_of("cosine"), inputs()
    k = torch.zeros(B, H, N, K, requires_grad=True)
    scores = score(q, k)
    assert scores.eq(0).all()
    (grad,) = torch.autograd.grad(scores.sum(), k)
    assert grad.isfinite().all() and grad.abs().max() < 1e5


def test_location_does_not_look():
    score, (q, k) = score_of("location"), inputs()
    assert torch.equal(score(q, k), score(q, torch.randn_like(k)))
    assert not torch.equal(score(q, k), score(q + 1, k))


def entities() -> TokenLayout:
    names = tuple(f"vehicle {i}" for i in range(N))
    return TokenLayout((TokenGroup("features", ("speed",)), TokenGroup("entities", names)))


def test_refusals():
    mechanism = AttentionConfig(score="location")
    with pytest.raises(
        ValueError, match=r"entities \('vehicle 0', ...\) may stand in any row; use"
    ):
        SelfAttention(layer_context(layout=entities(), attention=mechanism))
    nowhere = LayerContext(width=H * K, heads=H, num_tokens=N, attention=mechanism)
    with pytest.raises(ValueError, match="'location' needs tokens of the observation, whose order"):
        SelfAttention(nowhere)
    narrow = LayerContext(width=3, heads=3, num_tokens=N, attention=AttentionConfig(score="cosine"))
    with pytest.raises(ValueError, match=r"heads of width 2 or more, .* got width=3, heads=3; use"):
        SelfAttention(narrow)
    with pytest.raises(ValueError, match="unknown score 'additiv'; did you mean 'additive'"):
        SelfAttention(layer_context(attention=AttentionConfig(score="additiv")))
