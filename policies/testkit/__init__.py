"""What every attention mechanism must hold to, ours and yours: run `check` on it in a test.

    from attention_agents.policies.attention import Mechanism, SelfAttention
    from attention_agents.policies.testkit import check, site

    place = site(heads=3, mechanism=Mechanism(score="my-score"))
    check(lambda: SelfAttention(place), place)

A module under test takes `Tokens` and gives (B, N, D), a row per token, or (B, D).
"""

from attention_agents.policies.testkit.checks import check
from attention_agents.policies.testkit.fixtures import (
    B,
    K,
    N,
    Order,
    built,
    example,
    listened,
    site,
    with_mechanism,
    without_mask,
)
from attention_agents.policies.testkit.reported_weights import (
    FAR_SCORES,
    check_far_scores,
    check_reads,
    overheard_passes,
)
from attention_agents.policies.testkit.training import check_parameters

__all__ = [
    "FAR_SCORES",
    "B",
    "K",
    "N",
    "Order",
    "built",
    "check",
    "check_far_scores",
    "check_parameters",
    "check_reads",
    "example",
    "listened",
    "overheard_passes",
    "site",
    "with_mechanism",
    "without_mask",
]
