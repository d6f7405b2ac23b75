"""What every attention mechanism must hold to, ours and yours: run `check` on it in a test.

    from policies.attention import Mechanism, SelfAttention
    from policies.testkit import check, site

    place = site(heads=3, mechanism=Mechanism(score="my-score"))
    check(lambda: SelfAttention(place), place)

A module under test takes `Tokens` and gives (B, N, D), a row per token, or (B, D).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import config
from torch import Tensor, nn

from envs.layout import TokenGroup, TokenLayout
from policies.attention import Attentive, Heard, Mechanism, MultiHead, Site
from policies.tokens import Tokens

Make = Callable[[], nn.Module]
Order = Literal["equivariant", "invariant", "ordered"]
B, N, K = 2, 5, 7
FAR_SCORES = torch.tensor([-110.0, -25.0, 25.0, 110.0])
"""Beyond what exponentials of 32 bits hold, and below what 1 can be told from."""


def site(heads: int = 3, layout: TokenLayout | None = None, **parts: Any) -> Site:
    """Return a place of prime sizes: 5 feature tokens of width 7 per head, unless told otherwise.

    Args:
        heads: H.
        layout: of the tokens.
        parts: further fields of `Site`.
    """
    if layout is None:
        layout = TokenLayout((TokenGroup("features", tuple(f"x{i}" for i in range(N))),))
    count = len(layout)
    parts = {"askers": tuple(range(count)), "mechanism": Mechanism(), **parts}
    return Site(width=heads * K, heads=heads, keys=count, layout=layout, **parts)


def example(place: Site, seed: int = 0) -> Tokens:
    """Return tokens of two samples; in the first, every third from the second on is absent."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(B, place.keys, place.width, generator=generator)
    mask = torch.ones(B, place.keys, dtype=torch.bool)
    mask[0, 1::3] = False
    return Tokens(values, mask, torch.randn(B, place.keys, 2, generator=generator))


def check(
    make: Make,
    place: Site,
    order: Order = "equivariant",
    exact_gradient: bool = True,
    attends: bool = True,
    compiles: bool = True,
    tokens: Tokens | None = None,
    idle: Collection[str] = (),
) -> None:
    """Check every property of a mechanism.

    Args:
        make: builds the module afresh.
        place: where it stands.
        order: "equivariant": permuting tokens permutes the rows given; "invariant": it changes
            nothing; "ordered": the order of tokens, or their places, mean something.
        exact_gradient: False where the gradient is that of a relaxation (straight-through).
        attends: False for a module without attention, such as a pooling readout.
        compiles: whether to try the compiler too, which takes longer than all the rest.
        tokens: an example with absent tokens in the first sample; `example(place)` by default.
        idle: names of parameters that can do nothing at this place.

    Raises:
        AssertionError: a property does not hold; the text says which.
    """
    tokens = example(place) if tokens is None else tokens
    check_weights(make, tokens, attends)
    check_reads(make, tokens)
    check_far_scores(make, place)
    check_absent_tokens(make, tokens)
    if order != "ordered":
        check_permutation(make, tokens, order)
    check_batch(make, tokens)
    check_nothing_present(make, tokens)
    check_modes(make, tokens)
    check_gradient(make, tokens, exact_gradient)
    check_parameters(make, tokens, idle)
    check_seed(make, tokens)
    check_devices(make, tokens)
    check_saving(make, tokens)
    if compiles:
        check_compiler(make, tokens)


def built(make: Make, seed: int = 0) -> nn.Module:
    """Build a module under a seed, and give parameters that start at 0 something to do."""
    torch.manual_seed(seed)
    module = make()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.eq(0).all():
                parameter.normal_(std=0.1)
    return module


def listened(module: nn.Module, tokens: Tokens) -> tuple[Tensor, list[tuple[Attentive, Heard]]]:
    """Return the output of a pass and what each of its attention modules told."""
    heard: list[tuple[Attentive, Heard]] = []
    ears = [each for each in module.modules() if isinstance(each, Attentive)]
    for ear in ears:
        ear.listeners += (lambda told, ear=ear: heard.append((ear, told)),)
    try:
        return module(tokens), heard
    finally:
        for ear in ears:
            ear.listeners = ear.listeners[:-1]


def check_weights(make: Make, tokens: Tokens, attends: bool = True) -> None:
    """Weights are at least 0, sum to what the module says, and are 0 for absent tokens."""
    out, heard = listened(built(make), tokens)
    assert bool(heard) == attends, "the module has no attention that can be listened to"
    count = tokens.values.shape[1]
    for ear, told in heard:
        kind = type(ear).__name__
        for weights in (told.weights, told.soft):
            if weights is None:
                continue
            assert weights.shape[:2] == (len(out), ear.heads), f"{kind}: shape {weights.shape}"
            assert not weights.requires_grad, f"{kind}: weights must be told without gradient"
            if ear.normalised_over != "none":
                assert (weights >= 0).all(), f"{kind}: weights below 0"
                total = weights.sum(-1 if ear.normalised_over == "keys" else -2)
                one = (total - 1).abs() < 1e-5
                assert (one | (total == 0)).all(), f"{kind}: rows sum to {total}"
            if ear.keys == "tokens" and tokens.mask is not None:
                assert weights.shape[-1] == count + len(ear.extra_keys), f"{kind}: {weights.shape}"
                absent = ~tokens.mask[:, None, None].expand_as(weights[..., :count])
                assert weights[..., :count][absent].eq(0).all(), f"{kind}: absent tokens weigh"


def check_reads(make: Make, tokens: Tokens) -> None:
    """The weights told, times the values, are what multi-head attention has given.

    `output(join(weights @ values))`, with `MultiHead.values`. Attention of another kind, which is
    no `MultiHead`, must be tested for this by itself.
    """
    module = built(make)
    passes = overheard_passes(module, tokens)
    for ear, inputs, out, told in passes:
        kind = type(ear).__name__
        assert told is not None, f"{kind}: a pass told no weights"
        seen = told.weights.ne(0).any(1, keepdim=True)  # (B, 1, Q, N)
        expected = ear.combined(told.weights @ ear.values(*inputs), seen)
        if ear.queries == "asking tokens":  # rows of absent ones are told as 0
            asks = seen.any(-1)[:, 0, :, None]
            expected, out = torch.where(asks, expected, 0.0), torch.where(asks, out, 0.0)
        near = torch.isclose(out, expected, atol=1e-5, rtol=1e-3)
        assert near.all(), f"{kind}: the weights told are not those that tokens were read with"


class ReadPass(NamedTuple):
    """One call of multi-head attention in a pass that is listened to."""

    ear: MultiHead
    inputs: tuple[Any, ...]
    out: Tensor
    told: Heard | None
    """The last that it told in this call."""


def overheard_passes(module: nn.Module, tokens: Tokens) -> list[ReadPass]:
    """Return every call of multi-head attention in one pass, with what each told."""
    passes: list[ReadPass] = []
    last: dict[MultiHead, Heard] = {}
    ears = [each for each in module.modules() if isinstance(each, MultiHead)]

    def tell(ear: MultiHead, heard: Heard) -> None:
        last[ear] = heard
        MultiHead.tell(ear, heard)

    def ended(ear: Any, inputs: tuple[Any, ...], out: Tensor) -> None:
        passes.append(ReadPass(ear, inputs, out, last.pop(ear, None)))

    hooks = [ear.register_forward_hook(ended) for ear in ears]
    for ear in ears:
        ear.tell = partial(tell, ear)  # type: ignore[method-assign]
    try:
        listened(module, tokens)
    finally:
        for ear, hook in zip(ears, hooks, strict=True):
            hook.remove()
            del ear.tell
    return passes


def check_far_scores(make: Make, place: Site) -> None:
    """A normaliser keeps its norm where all scores of a row are far from 0, on either side."""
    module = built(make)
    for ear in (each for each in module.modules() if isinstance(each, MultiHead)):
        normaliser = ear.weighing.normaliser
        if normaliser.normalised_over != "keys" or ear.keys != "tokens":
            continue
        count = place.keys + len(ear.extra_keys)
        scores = torch.randn(B, ear.heads, len(FAR_SCORES), count) + FAR_SCORES[:, None]
        visible = torch.ones(B, 1, 1, count, dtype=torch.bool)
        visible[0, ..., 0] = False
        for seen in (None, visible) if count > 1 else (None,):
            weights = normaliser(scores, seen)
            kind, total = type(normaliser).__name__, weights.sum(-1)
            assert (weights >= 0).all(), f"{kind}: weights below 0, or not finite, of far scores"
            assert (total - 1).abs().max() < 1e-4, (
                f"{kind}: rows of scores near {FAR_SCORES.tolist()} sum to {total[0, 0].tolist()}"
            )


def check_absent_tokens(make: Make, tokens: Tokens) -> None:
    """What absent tokens hold changes nothing, gradients included."""
    module = built(make)
    absent = ~_mask(tokens)[:, :, None]
    noise = torch.where(absent, torch.randn_like(tokens.values), 0.0)
    x = tokens.values.clone().requires_grad_()
    read = _present(module(tokens._replace(values=x)), tokens)
    other = _present(module(tokens._replace(values=x + noise)), tokens)
    torch.testing.assert_close(read, other, atol=0, rtol=0, msg="absent tokens are read")
    (grad,) = torch.autograd.grad(read.square().sum(), x)
    assert grad[absent.expand_as(grad)].eq(0).all(), "absent tokens get gradient"
    assert grad.ne(0).any(), "no token gets gradient"


def check_permutation(make: Make, tokens: Tokens, order: Order) -> None:
    """Permuting tokens permutes the rows given, or changes nothing."""
    module = built(make)
    count = tokens.values.shape[1]
    moved = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    out = module(tokens)
    again = module(_each(tokens, lambda part: part[:, moved]))
    expected = out[:, moved] if order == "equivariant" else out
    assert order != "equivariant" or out.dim() == 3, "a row per token was expected"
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=1e-4)


def check_batch(make: Make, tokens: Tokens) -> None:
    """A sample does not depend on the others of its batch."""
    module = built(make)
    alone = module(_each(tokens, lambda part: part[:1]))
    torch.testing.assert_close(alone[0], module(tokens)[0], atol=1e-5, rtol=1e-4)
    values = tokens.values.clone()
    values[1] = values[1] * 50 + 3
    beside = module(tokens._replace(values=values))
    torch.testing.assert_close(beside[0], module(tokens)[0], atol=1e-5, rtol=1e-4)


def check_nothing_present(make: Make, tokens: Tokens) -> None:
    """With no token present all is finite, and the content of tokens still changes nothing."""
    module = built(make)
    mask = _mask(tokens).clone()
    mask[0] = False
    x = tokens.values.clone().requires_grad_()
    empty = tokens._replace(values=x, mask=mask)
    out, heard = listened(module, empty)
    assert out.isfinite().all(), "an observation without tokens gives no finite numbers"
    for ear, told in heard:
        if ear.keys == "tokens":
            weights = told.weights[0, ..., : mask.shape[1]]
            assert weights.eq(0).all(), f"{type(ear).__name__}: weights on absent tokens"
    _present(out, empty).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all(), "an observation without tokens gives no finite gradient"
    grads = [p.grad for p in module.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads), "a parameter's gradient is not finite"


def check_modes(make: Make, tokens: Tokens) -> None:
    """Training, evaluation and recording give the same bits, and listening draws nothing."""
    module = built(make)
    out = module.train()(tokens)
    assert torch.equal(module.eval()(tokens), out), "training and evaluation differ"
    with torch.no_grad():
        assert torch.equal(module(tokens), out), "with and without gradient differ"
        state = torch.get_rng_state()
        loud, _ = listened(module, tokens)
    assert torch.equal(loud, out), "listening changes the output"
    assert torch.equal(state, torch.get_rng_state()), "listening draws random numbers"


def check_gradient(make: Make, tokens: Tokens, exact: bool) -> None:
    """The gradient is right in float64; a straight-through one is finite and not all 0."""
    module = built(make).double()
    places = None if tokens.places is None else tokens.places.double()
    x = tokens.values.double().requires_grad_()

    def read(values: Tensor) -> Tensor:
        return _present(module(Tokens(values, tokens.mask, places)), tokens)

    if exact:
        assert torch.autograd.gradcheck(read, (x,), fast_mode=True), "the gradient is wrong"
    (grad,) = torch.autograd.grad(read(x).square().sum(), x)
    assert grad.isfinite().all() and grad.ne(0).any()


def check_parameters(make: Make, tokens: Tokens, idle: Collection[str] = ()) -> None:
    """Every parameter gets a gradient that is not 0, over passes with and without tokens.

    But for `MultiHead.nothing` where something can always be read, and those in `idle`.
    """
    module = built(make)
    nothing = _mask(tokens).clone()
    nothing[0] = False
    torch.manual_seed(5)
    for each in (tokens, tokens._replace(mask=nothing)):
        out = module(each)
        (out * torch.randn_like(out)).sum().backward()
    spare = {id(each.nothing) for each in module.modules() if isinstance(each, MultiHead)}
    lost = [
        name
        for name, each in module.named_parameters()
        if id(each) not in spare and (each.grad is None or not each.grad.any())
    ]
    wrong = ", ".join(sorted(set(lost) - set(idle)))
    assert not wrong, f"parameters that get no gradient, so that nothing is learned: {wrong}"


def check_seed(make: Make, tokens: Tokens) -> None:
    """The same seed gives the same parameters, output and gradient."""
    outs, grads = [], []
    for _ in range(2):
        module = built(make, seed=3)
        x = tokens.values.clone().requires_grad_()
        out = module(tokens._replace(values=x))
        outs.append(out)
        grads.append(torch.autograd.grad(_present(out, tokens).square().sum(), x)[0])
    assert torch.equal(*outs), "the same seed gives another output"
    assert torch.equal(*grads), "the same seed gives another gradient"


def check_devices(make: Make, tokens: Tokens) -> None:
    """Nothing stays behind on the CPU when a module moves."""
    meta = _each(tokens, lambda part: part.to("meta"))
    assert built(make).to("meta")(meta).shape == built(make)(tokens).shape


def check_compiler(make: Make, tokens: Tokens) -> None:
    """The compiler takes it as one graph, which computes the same."""
    module = built(make)
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
    module, other = built(make, seed=1), built(make, seed=2)
    other.load_state_dict({name: each.clone() for name, each in module.state_dict().items()})
    assert torch.equal(other(tokens), module(tokens)), "a loaded module computes something else"


def _each(tokens: Tokens, change: Callable[[Tensor], Tensor]) -> Tokens:
    """Change every tensor of some tokens alike."""
    values, mask, places = tokens
    return Tokens(
        change(values),
        None if mask is None else change(mask),
        None if places is None else change(places),
    )


def _mask(tokens: Tokens) -> Tensor:
    if tokens.mask is None:
        return tokens.values.new_ones(tokens.values.shape[:2], dtype=torch.bool)
    return tokens.mask


def _present(out: Tensor, tokens: Tokens) -> Tensor:
    """Return the rows of present tokens; a module without a row per token gives all it has."""
    mask = _mask(tokens)
    return out[mask] if out.shape[:2] == mask.shape and out.dim() == 3 else out


def without_mask(tokens: Tokens) -> Tokens:
    """Return the same tokens, all present."""
    return tokens._replace(mask=None)


def with_mechanism(place: Site, **words: Any) -> Site:
    """Return a place with some words of its mechanism changed."""
    return replace(place, mechanism=replace(place.mechanism, **words))
