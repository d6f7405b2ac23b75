"""All checks of a mechanism, in one call."""

from __future__ import annotations

from collections.abc import Collection

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.testkit.fixtures import (
    Make,
    Order,
    example_tokens,
)
from attention_agents.policies.testkit.invariance import (
    check_absent_tokens,
    check_batch,
    check_modes,
    check_nothing_present,
    check_permutation,
)
from attention_agents.policies.testkit.reported_weights import (
    check_far_scores,
    check_reads,
    check_weights,
)
from attention_agents.policies.testkit.training import (
    check_compiler,
    check_devices,
    check_gradient,
    check_parameters,
    check_saving,
    check_seed,
)
from attention_agents.policies.tokens import Tokens


def check_mechanism(
    make: Make,
    context: LayerContext,
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
        context: of its layer.
        order: "equivariant": permuting tokens permutes the rows given; "invariant": it changes
            nothing; "ordered": the order of tokens, or their places, mean something.
        exact_gradient: False where the gradient is that of a relaxation (straight-through).
        attends: False for a module without attention, such as a pooling readout.
        compiles: whether to try the compiler too, which takes longer than all the rest.
        tokens: some of which are absent in the first sample; `example_tokens(context)` by default.
        idle: names of parameters that can do nothing in this context.

    Raises:
        AssertionError: a property does not hold; the text says which.
    """
    tokens = example_tokens(context) if tokens is None else tokens
    check_weights(make, tokens, attends)
    check_reads(make, tokens)
    check_far_scores(make, context)
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
