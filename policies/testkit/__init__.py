"""What every attention mechanism must hold to, ours and yours: run `check_mechanism` in a test.

    from attention_agents.policies.plugin_api import AttentionConfig, SelfAttention
    from attention_agents.policies.testkit import check_mechanism, layer_context

    context = layer_context(heads=3, attention=AttentionConfig(score="my-score"))
    check_mechanism(lambda: SelfAttention(context), context)

A module under test takes `Tokens` and gives (B, N, D), a row per token, or (B, D).
"""

from attention_agents.policies.testkit.checks import check_mechanism
from attention_agents.policies.testkit.fixtures import (
    B,
    K,
    N,
    Order,
    build_module,
    example_tokens,
    layer_context,
    record_weights,
    with_attention,
    without_mask,
)
from attention_agents.policies.testkit.reported_weights import (
    FAR_SCORES,
    check_far_scores,
    check_reads,
    record_reads,
)
from attention_agents.policies.testkit.training import check_parameters

__all__ = [
    "FAR_SCORES",
    "B",
    "K",
    "N",
    "Order",
    "build_module",
    "check_far_scores",
    "check_mechanism",
    "check_parameters",
    "check_reads",
    "example_tokens",
    "layer_context",
    "record_reads",
    "record_weights",
    "with_attention",
    "without_mask",
]
