"""The encoder as a whole: readouts, masks, errors."""

import pytest
import torch

from policies.encoder import READOUTS, Encoder

B, N, H, D = 2, 5, 3, 21
MASK = torch.tensor([[True, False, True, True, False], [True, True, True, True, True]])


def encoder(readout: str, layers: int = 2, ego: int = 2) -> Encoder:
    torch.manual_seed(1)
    return Encoder(D, H, layers, readout, ego)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("readout", READOUTS)
def test_one_vector_and_one_attention_per_layer(readout, layers):
    module = encoder(readout, layers)
    assert module(torch.randn(B, N, D), MASK).shape == (B, D)
    assert len(module.attentions()) == layers


@pytest.mark.parametrize("ego", [1, 2])  # absent, present
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("readout", READOUTS)
def test_absent_tokens_change_nothing(readout, layers, ego):
    module, x = encoder(readout, layers, ego), torch.randn(B, N, D, requires_grad=True)
    weight = torch.randn(D)  # a plain sum over features is 0 after the last norm
    noise = torch.where(MASK[:, :, None], 0.0, torch.randn(B, N, D))
    torch.testing.assert_close(module(x, MASK), module(x + noise, MASK), atol=1e-6, rtol=1e-6)
    (module(x, MASK) @ weight).sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad[~MASK].eq(0).all() and x.grad[MASK].ne(0).any()


@pytest.mark.parametrize("readout", ["query", "mean", "max"])
def test_order_of_tokens_does_not_matter(readout):
    module, x, order = encoder(readout), torch.randn(B, N, D), torch.tensor([4, 2, 0, 3, 1])
    torch.testing.assert_close(
        module(x[:, order], MASK[:, order]), module(x, MASK), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("readout", ["query", "mean", "max"])
def test_nothing_present_is_finite_and_the_same_in_all_modes(readout):
    module, x = encoder(readout), torch.randn(B, N, D)
    mask = torch.zeros(B, N, dtype=torch.bool)
    out = module.train()(x, mask)
    assert out.isfinite().all() and torch.equal(out, module.eval()(x, mask))
    torch.testing.assert_close(out, module(torch.randn(B, N, D), mask), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("readout", READOUTS)
def test_a_mask_of_present_tokens_equals_no_mask(readout):
    module, x = encoder(readout), torch.randn(B, N, D)
    everything = torch.ones(B, N, dtype=torch.bool)
    torch.testing.assert_close(module(x, everything), module(x, None), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(width=10), "width must be a multiple of heads, got width=10, heads=3; try width=9"),
        (dict(heads=0), "heads must be at least 1, got 0"),
        (dict(layers=-1), "layers must be at least 1, got -1"),
        (dict(readout="median"), "readout must be one of query, ego, mean, max, got 'median'"),
        (dict(readout="ego"), "readout 'ego' needs a token of the agent itself"),
    ],
)
def test_wrong_sizes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Encoder(**(dict(width=D, heads=H, layers=1, readout="query") | change))
