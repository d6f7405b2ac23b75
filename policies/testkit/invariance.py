"""Checks of what must change nothing: absent tokens, the order, the batch, the mode."""

from __future__ import annotations

import torch

from attention_agents.policies.testkit.fixtures import (
    Make,
    Order,
    build_module,
    map_tensors,
    present_rows,
    record_weights,
)
from attention_agents.policies.tokens import Tokens, present_mask


def check_absent_tokens(make: Make, tokens: Tokens) -> None:
    """What absent tokens hold changes nothing, gradients included."""
    module = build_module(make)
    absent = ~present_mask(tokens)[:, :, None]
    noise = torch.where(absent, torch.randn_like(tokens.values), 0.0)
    x = tokens.values.clone().requires_grad_()
    read = present_rows(module(tokens._replace(values=x)), tokens)
    read_with_noise = present_rows(module(tokens._replace(values=x + noise)), tokens)
    torch.testing.assert_close(read, read_with_noise, atol=0, rtol=0, msg="absent tokens are read")
    (grad,) = torch.autograd.grad(read.square().sum(), x)
    assert grad[absent.expand_as(grad)].eq(0).all(), "absent tokens get gradient"
    assert grad.ne(0).any(), "no token gets gradient"


def check_permutation(make: Make, tokens: Tokens, order: Order) -> None:
    """Permuting tokens permutes the rows given, or changes nothing."""
    module = build_module(make)
    count = tokens.values.shape[1]
    moved = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    out = module(tokens)
    again = module(map_tensors(tokens, lambda part: part[:, moved]))
    expected = out[:, moved] if order == "equivariant" else out
    assert order != "equivariant" or out.dim() == 3, "a row per token was expected"
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=1e-4)


def check_batch(make: Make, tokens: Tokens) -> None:
    """A sample does not depend on the others of its batch."""
    module = build_module(make)
    alone = module(map_tensors(tokens, lambda part: part[:1]))
    torch.testing.assert_close(alone[0], module(tokens)[0], atol=1e-5, rtol=1e-4)
    values = tokens.values.clone()
    values[1] = values[1] * 50 + 3
    beside = module(tokens._replace(values=values))
    torch.testing.assert_close(beside[0], module(tokens)[0], atol=1e-5, rtol=1e-4)


def check_nothing_present(make: Make, tokens: Tokens) -> None:
    """With no token present all is finite, and the content of tokens still changes nothing."""
    module = build_module(make)
    mask = present_mask(tokens).clone()
    mask[0] = False
    x = tokens.values.clone().requires_grad_()
    empty = tokens._replace(values=x, mask=mask)
    out, reports = record_weights(module, empty)
    assert out.isfinite().all(), "an observation without tokens gives no finite numbers"
    for attention, report in reports:
        if attention.keys == "tokens":
            weights = report.weights[0, ..., : mask.shape[1]]
            assert weights.eq(0).all(), f"{type(attention).__name__}: weights on absent tokens"
    present_rows(out, empty).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all(), "an observation without tokens gives no finite gradient"
    grads = [p.grad for p in module.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads), "a parameter's gradient is not finite"


def check_modes(make: Make, tokens: Tokens) -> None:
    """Training, evaluation and recording give the same bits, and listening draws nothing."""
    module = build_module(make)
    out = module.train()(tokens)
    assert torch.equal(module.eval()(tokens), out), "training and evaluation differ"
    with torch.no_grad():
        assert torch.equal(module(tokens), out), "with and without gradient differ"
        state = torch.get_rng_state()
        watched, _ = record_weights(module, tokens)
    assert torch.equal(watched, out), "listening changes the output"
    assert torch.equal(state, torch.get_rng_state()), "listening draws random numbers"
