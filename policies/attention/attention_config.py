"""What an attention mechanism is made of, by name. Free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from attention_agents.policies.registries import (
    HARD_ATTENTIONS,
    HEAD_MIXINGS,
    NORMALIZERS,
    POSITION_BIASES,
    SCORES,
    VISIBILITIES,
)

COLDEST, WARMEST = 1e-3, 1e3
"""Temperatures beyond these are slips of the hand."""
OLD_NAMES = {
    "normaliser": "normalizer",
    "hard": "hard_attention",
    "budget": "top_k",
    "where": "visibility",
    "reach": "window",
    "mix": "head_mixing",
}
"""What files of version 0.1 call the fields."""


@dataclass(frozen=True)
class AttentionConfig:
    """How queries weigh tokens: a word for each choice, each from its own registry.

    ```
    scores = score(q, k) / temperature + visibility + positions
    weights = head_mixing(hard_attention(normalizer(head_mixing(scores), visible)))
    ```

    `visibility` says what is visible, and may add to the scores; `head_mixing` lets heads exchange
    scores and weights, and says how much what each has read counts.
    """

    score: str = SCORES.default
    """How well a key answers a query, see `SCORES`."""
    normalizer: str = NORMALIZERS.default
    """From scores to weights, see `NORMALIZERS`."""
    temperature: float = 1.0
    """Divides the scores: below 1 sharpens, above 1 evens out."""
    hard_attention: str = HARD_ATTENTIONS.default
    """Which tokens are read at all, see `HARD_ATTENTIONS`."""
    top_k: int = 4
    """Tokens that a query may read with top-k and perturbed-top-k."""
    visibility: str = VISIBILITIES.default
    """Which tokens a query may see, see `VISIBILITIES`."""
    window: int = 2
    """Of local visibility: cells, patches or steps to each side."""
    positions: str = POSITION_BIASES.default
    """What distance adds to the scores, see `POSITION_BIASES`."""
    head_mixing: str = HEAD_MIXINGS.default
    """How heads combine, see `HEAD_MIXINGS`."""

    def __post_init__(self) -> None:
        for name in ("top_k", "window"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        temperature = self.temperature
        if not isinstance(temperature, (int, float)) or not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be a number above 0, got {temperature!r}")
        if not COLDEST <= temperature <= WARMEST:
            raise ValueError(
                f"temperature must be {COLDEST:g} to {WARMEST:g}, got {temperature!r}; for one "
                "token alone use hard_attention='gumbel', for all tokens alike readout='mean'"
            )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read a pickle, perhaps one of version 0.1 inside a zip file of Stable-Baselines3."""
        vars(self).update({OLD_NAMES.get(name, name): value for name, value in state.items()})
