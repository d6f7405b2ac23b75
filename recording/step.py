"""One recorded decision: an observation, the action that followed and the maps behind it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from attention_agents.envs.tokens.layout import TokenPlaces


@dataclass
class Step:
    """One decision: what the policy observed and did, and what followed.

    Observation, frame, places, maps, value and distribution are of the moment before the action;
    reward, terminated and truncated are what the action brought.
    """

    observation: dict[str, np.ndarray]
    """By key; key "" where the observation is one array."""
    action: np.ndarray
    maps: dict[str, np.ndarray]
    """(H, Q, K) float32 by map name, the weights of the pass that chose the action; read back
    within 1/508 of each row's largest weight, and 0 exactly where they were 0."""
    frame: np.ndarray | None = None
    """(height, width, 3) uint8, or None where nothing was rendered."""
    distribution: np.ndarray | None = None
    """(A,) or (3, A) float32, see `Header.distribution`; None where it is unknown."""
    value: float | None = None
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    mask: np.ndarray | None = None
    """(N,) bool, True where a token is present; None means that all are."""
    places: TokenPlaces | None = None
    """Where the tokens stand on the frame; None where that is unknown."""
    attended: bool = True
    """False where the action did not come from the policy, and so the maps are all 0."""
    soft: dict[str, np.ndarray] = field(default_factory=dict)
    """(H, Q, K) float32 by map name, weights before a hard choice, of the maps that make one. What
    was chosen has a weight in `maps`."""
    heads: dict[str, np.ndarray | None] = field(default_factory=dict)
    """(H,) float32 by map name, how much each head counts, averaging 1; None where all count the
    same."""
    shares: dict[str, float] = field(default_factory=dict)
    """By map name, the share of the present tokens that any head and query read, 0 to 1; of other
    keys likewise. Counted when a step is read; not needed to write one."""

    evidence: np.ndarray | None = None
    """(M, N) float32, how much each token spoke for (above 0) or against (below 0) what was done,
    see `Header.evidence`; a row of NaN where that is undefined. Read back within 1/254 of each
    row's largest magnitude, and 0 exactly where it was 0. None where none was recorded."""

    @property
    def num_tokens(self) -> int:
        """N, the number of tokens; without mask and places, those of its maps or evidence."""
        if self.mask is not None:
            return len(self.mask)
        if self.places is not None:
            return len(self.places.ids)
        if not self.maps and self.evidence is not None:
            return self.evidence.shape[-1]
        return next(iter(self.maps.values())).shape[-1]

    @property
    def present(self) -> np.ndarray:
        """(N,) bool, True where a token is present."""
        return np.ones(self.num_tokens, bool) if self.mask is None else self.mask

    @property
    def ids(self) -> np.ndarray:
        """(N,) int64, identities of objects; -1 for none."""
        return (self.places or TokenPlaces.unknown(self.num_tokens)).ids

    @property
    def boxes(self) -> np.ndarray:
        """(N, 4) float32, boxes on the frame; NaN for absent tokens and those without a place."""
        places = self.places or TokenPlaces.unknown(self.num_tokens)
        return np.where(self.present[:, None], places.boxes, np.float32(np.nan))
