"""What an attention mechanism is made of, by name, and where it stands. Free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from attention_agents.envs.tokens.layout import TokenLayout

COLDEST, WARMEST = 1e-3, 1e3
"""Temperatures beyond these are slips of the hand."""


@dataclass(frozen=True)
class Mechanism:
    """How queries weigh tokens: a word for each choice, each from its own registry.

    ```
    scores = score(q, k) / temperature + where + positions
    weights = mix(hard(normaliser(mix(scores), visible)))
    ```

    `where` says what is visible, and may add to the scores; `mix` lets heads exchange scores and
    weights, and says how much what each has read counts.
    """

    score: str = "scaled-dot-product"
    """How well a key answers a query, see `SCORES`."""
    normaliser: str = "softmax"
    """From scores to weights, see `NORMALISERS`."""
    temperature: float = 1.0
    """Divides the scores: below 1 sharpens, above 1 evens out."""
    hard: str = "none"
    """Which tokens are read at all, see `SELECTIONS`."""
    budget: int = 4
    """Tokens that a query may read with top-k and perturbed-top-k."""
    where: str = "global"
    """Which tokens a query may see, see `WHERES`."""
    reach: int = 2
    """Of a local window: cells, patches or steps to each side."""
    positions: str = "none"
    """What distance adds to the scores, see `POSITIONS`."""
    mix: str = "concat"
    """How heads combine, see `MIXES`."""

    def __post_init__(self) -> None:
        for name in ("budget", "reach"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        temperature = self.temperature
        if not isinstance(temperature, (int, float)) or not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be a number above 0, got {temperature!r}")
        if not COLDEST <= temperature <= WARMEST:
            raise ValueError(
                f"temperature must be {COLDEST:g} to {WARMEST:g}, got {temperature!r}; for one "
                "token alone use hard='gumbel', for all tokens alike readout='mean'"
            )


@dataclass(frozen=True)
class Site:
    """Where a piece of an encoder stands: all that it may know before the first observation."""

    width: int
    """D, a multiple of `heads`."""
    heads: int
    """H."""
    keys: int
    """N, the number of tokens that are read."""
    layout: TokenLayout | None = None
    """What the N tokens are; None where the keys are not tokens of the observation."""
    askers: tuple[int, ...] | None = None
    """Which token stands behind each of the Q queries; None where queries are no tokens."""
    mechanism: Mechanism = field(default_factory=Mechanism)
    gain: float = 1.0
    """Scale of the projection that ends an attention or feed-forward layer, at the start."""
    points: int = 4
    """How many learned queries, slots or inducing points a block or readout has."""
    asker: str = ""
    """Key of the observation whose tokens ask, for a readout that crosses two keys."""
    placed: bool = True
    """Whether entities, where there are some, come with x and y."""

    @property
    def head_width(self) -> int:
        """K."""
        return self.width // self.heads
