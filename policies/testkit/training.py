"""A mechanism trains, repeats itself, compiles, moves and is saved."""

from __future__ import annotations

from collections.abc import Collection

import torch
from jaxtyping import config
from torch import Tensor

from attention_agents.policies.attention.multi_head import MultiHead
from attention_agents.policies.testkit.fixtures import (
    Make,
    build_module,
    map_tensors,
    present_rows,
)
from attention_agents.policies.tokens import Tokens, present_mask


def check_gradient(make: Make, tokens: Tokens, exact: bool) -> None:
    """The gradient is right in float64; a straight-through one is finite and not all 0."""
    module = build_module(make).double()
    places = None if tokens.places is None else tokens.places.double()
    x = tokens.values.double().requires_grad_()

    def read(values: Tensor) -> Tensor:
        return present_rows(module(Tokens(values, tokens.mask, places)), tokens)

    if exact:
        assert torch.autograd.gradcheck(read, (x,), fast_mode=True), "the gradient is wrong"
    (grad,) = torch.autograd.grad(read(x).square().sum(), x)
    assert grad.isfinite().all() and grad.ne(0).any()


def check_parameters(make: Make, tokens: Tokens, idle: Collection[str] = ()) -> None:
    """Every parameter gets a gradient that is not 0, over passes with and without tokens.

    But for `MultiHead.empty_vector` where something can always be read, and those in `idle`.
    """
    module = build_module(make)
    mask = present_mask(tokens).clone()
    mask[0] = False
    torch.manual_seed(5)
    for inputs in (tokens, tokens._replace(mask=mask)):
        out = module(inputs)
        (out * torch.randn_like(out)).sum().backward()
    optional = {id(part.empty_vector) for part in module.modules() if isinstance(part, MultiHead)}
    without_gradient = [
        name
        for name, parameter in module.named_parameters()
        if id(parameter) not in optional and (parameter.grad is None or not parameter.grad.any())
    ]
    faulty = ", ".join(sorted(set(without_gradient) - set(idle)))
    assert not faulty, f"parameters that get no gradient, so that nothing is learned: {faulty}"


def check_seed(make: Make, tokens: Tokens) -> None:
    """The same seed gives the same parameters, output and gradient."""
    outs, grads = [], []
    for _ in range(2):
        module = build_module(make, seed=3)
        x = tokens.values.clone().requires_grad_()
        out = module(tokens._replace(values=x))
        outs.append(out)
        grads.append(torch.autograd.grad(present_rows(out, tokens).square().sum(), x)[0])
    assert torch.equal(*outs), "the same seed gives another output"
    assert torch.equal(*grads), "the same seed gives another gradient"


def check_devices(make: Make, tokens: Tokens) -> None:
    """Nothing stays behind on the CPU when a module moves."""
    meta = map_tensors(tokens, lambda part: part.to("meta"))
    assert build_module(make).to("meta")(meta).shape == build_module(make)(tokens).shape


def check_compiler(make: Make, tokens: Tokens) -> None:
    """The compiler takes it as one graph, which computes the same."""
    module = build_module(make)
    torch.compiler.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    checked = not config.jaxtyping_disable
    config.update("jaxtyping_disable", True)  # the compiler cannot follow checks of shapes
    try:
        torch.testing.assert_close(compiled(tokens), module(tokens), atol=1e-6, rtol=1e-5)
    finally:
        config.update("jaxtyping_disable", not checked)


def check_saving(make: Make, tokens: Tokens) -> None:
    """The state is all that a module needs to give the same bits again."""
    module, copy = build_module(make, seed=1), build_module(make, seed=2)
    copy.load_state_dict({name: value.clone() for name, value in module.state_dict().items()})
    assert torch.equal(copy(tokens), module(tokens)), "a loaded module computes something else"
