"""Both attention modules as functions of tokens alone, for tests of what they are made of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import QueryAttention, SelfAttention
from attention_agents.policies.testkit import Order, check_mechanism, layer_context
from attention_agents.policies.tokens import Tokens

Q = 11
HARD = ("top-k", "gumbel", "perturbed-top-k")


class Ask(nn.Module):
    """Let Q fixed queries read the tokens."""

    def __init__(self, place: LayerContext):
        super().__init__()
        self.attention = QueryAttention(place)
        self.query = nn.Parameter(torch.randn(1, Q, place.width))

    def forward(self, tokens: Tokens) -> Tensor:
        return self.attention(self.query.expand(len(tokens.values), -1, -1), tokens)


READS: dict[str, tuple[type[nn.Module], Order]] = {
    "self": (SelfAttention, "equivariant"),
    "query": (Ask, "invariant"),
}


def check_read(read: str, heads: int, **words: Any) -> None:
    """Run the kit on one of `READS` with a mechanism of these words."""
    place = layer_context(heads, attention=AttentionConfig(**words))
    kind, order = READS[read]
    if words.get("score") == "location":
        order = "ordered"
    scored_without_keys = read == "query" and words.get("score") == "location"
    check_mechanism(
        lambda: kind(place),
        place,
        order,
        words.get("hard_attention") not in HARD,
        compiles=place.heads == 3,
        idle=("attention.key.weight",) if scored_without_keys else (),
    )


def attention_of(module: nn.Module) -> SelfAttention | QueryAttention:
    """Return the attention module of one of `READS`."""
    found = module.attention if isinstance(module, Ask) else module
    assert isinstance(found, SelfAttention | QueryAttention)
    return found
