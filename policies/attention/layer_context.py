"""What a layer of an encoder may know before the first observation. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig


@dataclass(frozen=True)
class LayerContext:
    """Sizes, tokens and attention of a layer: what each of its pieces is built from."""

    width: int
    """D, a multiple of `heads`."""
    heads: int
    """H."""
    num_tokens: int
    """N, the number of tokens that are read."""
    layout: TokenLayout | None = None
    """What the N tokens are; None where the keys are not tokens of the observation."""
    query_tokens: tuple[int, ...] | None = None
    """The token behind each of the Q queries; None where queries are no tokens."""
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    gain: float = 1.0
    """Scale of the projection that ends an attention or feed-forward layer, at the start."""
    num_queries: int = 4
    """How many learned queries, slots or inducing points a block or readout has."""
    query_source: str = ""
    """Key of the observation whose tokens are the queries, for a readout that crosses two keys."""
    has_positions: bool = True
    """Whether entities, if there are any, come with x and y."""

    @property
    def head_width(self) -> int:
        """K."""
        return self.width // self.heads
