"""Every attention module, by the same properties: B=2, H=3, N=5, K=7."""

import numpy as np
import pytest
import torch
from torch import nn

from policies.attention import QueryAttention, SelfAttention, attend, attention_weights

B, H, N, K = 2, 3, 5, 7
D = H * K
MASK = torch.tensor([[True, False, True, True, False], [True, True, True, True, True]])


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def tokens() -> torch.Tensor:
    return torch.randn(B, N, D)


class Ask(nn.Module):
    """QueryAttention with a fixed query, so that both modules read as f(tokens, mask)."""

    def __init__(self, attention: QueryAttention):
        super().__init__()
        self.attention = attention
        self.query = torch.randn(B, D)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return self.attention(self.query, x, mask)


def reads() -> list:
    return [
        pytest.param(lambda heads=H: SelfAttention(D, heads), id="self"),
        pytest.param(lambda heads=H: Ask(QueryAttention(D, heads)), id="query"),
    ]


def attention_of(module: nn.Module) -> SelfAttention | QueryAttention:
    return module.attention if isinstance(module, Ask) else module


def heard(module: nn.Module, x: torch.Tensor, mask: torch.Tensor | None):
    """Return output and weights of one pass."""
    found = []
    attention_of(module).listeners = (lambda weights, _: found.append(weights),)
    out = module(x, mask)
    attention_of(module).listeners = ()
    assert len(found) == 1
    return out, found[0]


def naive_attention(q, k, v, mask):
    """The formula of Vaswani et al. 2017 in plain loops."""
    out, weights = np.zeros((*q.shape[:3], v.shape[-1])), np.zeros((*q.shape[:3], k.shape[2]))
    for b, h, i in np.ndindex(*q.shape[:3]):
        scores = np.array(
            [q[b, h, i] @ k[b, h, n] / np.sqrt(q.shape[-1]) for n in range(k.shape[2])]
        )
        raised = np.exp(scores) * mask[b]
        weights[b, h, i] = raised / raised.sum()
        out[b, h, i] = sum(weights[b, h, i, n] * v[b, h, n] for n in range(k.shape[2]))
    return out, weights


def test_attend_follows_the_formula():
    q, k, v = torch.randn(B, H, 11, K), torch.randn(B, H, N, K), torch.randn(B, H, N, 13)
    out, weights = naive_attention(q.numpy(), k.numpy(), v.numpy(), MASK.numpy())
    torch.testing.assert_close(
        attend(q, k, v, MASK, K**-0.5).double(), torch.tensor(out), atol=1e-6, rtol=1e-5
    )
    torch.testing.assert_close(
        attention_weights(q, k, MASK, K**-0.5).double(), torch.tensor(weights), atol=1e-6, rtol=1e-5
    )


def test_attend_by_hand():
    q = torch.tensor([[[[1.0, 0.0]]]])
    k = torch.tensor([[[[np.log(3.0), 5.0], [0.0, -5.0]]]], dtype=torch.float32)
    v = torch.tensor([[[[4.0], [8.0]]]])
    assert attend(q, k, v, None, 1.0).item() == pytest.approx(0.75 * 4 + 0.25 * 8)


def test_self_attention_equals_torch():
    ours = SelfAttention(D, H)
    theirs = nn.MultiheadAttention(D, H, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.inputs.weight)
        theirs.in_proj_bias.copy_(ours.inputs.bias)
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    x = tokens()
    expected, weights = theirs(x, x, x, key_padding_mask=~MASK, average_attn_weights=False)
    out, maps = heard(ours, x, MASK)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(maps, weights, atol=1e-6, rtol=1e-5)


def test_absorbed_projections_are_exact():
    """QueryAttention equals projecting every token to keys and values."""
    module, query, x = QueryAttention(D, H), torch.randn(B, D), tokens()
    q = module.query(query).view(B, 1, H, K).transpose(1, 2)
    k = module.key(x).view(B, N, H, K).transpose(1, 2)
    v = module.value(x).view(B, N, H, K).transpose(1, 2)
    expected = module.output(attend(q, k, v, MASK, K**-0.5).transpose(1, 2).reshape(B, D))
    torch.testing.assert_close(module(query, x, MASK), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("heads", [1, 3, 7])
@pytest.mark.parametrize("make", reads())
def test_rows_sum_to_one_and_absent_tokens_weigh_nothing(make, heads):
    _, weights = heard(make(heads), tokens(), MASK)
    assert weights.shape[:2] == (B, heads) and weights.shape[-1] == N
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    absent = ~MASK[:, None, None, :].expand_as(weights)
    assert weights[absent].eq(0).all() and weights[~absent].gt(0).all()


@pytest.mark.parametrize("make", reads())
def test_weights_at_values_reproduce_the_output(make):
    module, x = make(), tokens()
    out, weights = heard(module, x, MASK)
    attention = attention_of(module)
    if isinstance(attention, SelfAttention):
        v = attention.inputs(x).view(B, N, 3, H, K)[:, :, 2].transpose(1, 2)
    else:
        v = attention.value(x).view(B, N, H, K).transpose(1, 2)
    read = (weights @ v).transpose(1, 2).reshape(B, -1, D)
    torch.testing.assert_close(attention.output(read).view_as(out), out, atol=1e-5, rtol=0)


@pytest.mark.parametrize("make", reads())
def test_content_of_absent_tokens_changes_nothing_gradients_included(make):
    module = make()
    x = tokens().requires_grad_()
    noise = torch.where(MASK[:, :, None], 0.0, torch.randn(B, N, D))
    present = MASK if isinstance(module, SelfAttention) else torch.ones(B, 1, dtype=torch.bool)

    def read(inputs: torch.Tensor) -> torch.Tensor:
        return module(inputs, MASK).view(B, -1, D)[present]

    torch.testing.assert_close(read(x), read(x + noise), atol=0, rtol=0)
    if isinstance(module, Ask):
        (grad,) = torch.autograd.grad(read(x).sum(), x)
        assert grad[~MASK].eq(0).all() and grad[MASK].ne(0).any()


@pytest.mark.parametrize("heads", [1, 3, 7])
@pytest.mark.parametrize("make", reads())
def test_permuting_tokens_permutes_or_leaves_the_read(make, heads):
    module, x, order = make(heads), tokens(), torch.tensor([3, 0, 4, 1, 2])
    out, moved = module(x, MASK), module(x[:, order], MASK[:, order])
    expected = out[:, order] if isinstance(module, SelfAttention) else out
    torch.testing.assert_close(moved, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("make", reads())
def test_a_sample_does_not_depend_on_the_others(make):
    module, x = make(), tokens()
    out = module(x, MASK)
    changed = x.clone()
    changed[1] += 100 * torch.randn(N, D)
    torch.testing.assert_close(module(changed, MASK)[0], out[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("make", reads())
def test_nothing_present_is_finite_learned_and_equal_in_all_modes(make):
    module = make()
    attention = attention_of(module)
    with torch.no_grad():
        attention.nothing.copy_(torch.randn(D))
    x = tokens().requires_grad_()
    mask = torch.stack([torch.zeros(N, dtype=torch.bool), MASK[0]])
    recorded, weights = heard(module.train(), x, mask)
    for mode in (True, False):
        assert torch.equal(module.train(mode)(x, mask), recorded)
    expected = attention.output(attention.nothing).expand_as(recorded[0])
    torch.testing.assert_close(recorded[0], expected, atol=1e-6, rtol=1e-5)
    assert weights[0].eq(0).all()
    recorded.sum().backward()
    assert x.grad.isfinite().all() and x.grad[0].eq(0).all()
    assert attention.nothing.grad.ne(0).any()


@pytest.mark.parametrize("make", reads())
def test_gradients_are_right_in_float64(make):
    module = make(1).double()
    if isinstance(module, Ask):
        module.query = module.query.double()
    x = tokens().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


@pytest.mark.parametrize("make", reads())
def test_listening_changes_no_bit(make):
    module, x = make(), tokens()
    silent = module(x, MASK)
    state = torch.get_rng_state()
    loud, weights = heard(module, x, MASK)
    assert torch.equal(silent, loud) and torch.equal(state, torch.get_rng_state())
    assert not weights.requires_grad
