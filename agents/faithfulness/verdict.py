"""The rule by which a map is said to explain a policy, or not. numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from attention_agents.agents.faithfulness.deletion_curves import TOP
from attention_agents.agents.faithfulness.map_results import Estimate, Evidence, as_json, estimate

LEAST = 0.01
"""A policy none of whose answers changes by so large a share, whatever is removed, has nothing that
a map could explain."""
HALF = 0.5
"""A map explains the policy from this share of the way from random order to the causal map on."""

Word = Literal[
    "explains", "explains in part", "does not explain", "undecided", "nothing to explain"
]
RULE = (
    "A map explains the policy when its order beats random order (mean of deletion and insertion, "
    "95% interval of the difference above 0), goes at least half the way from random order to the "
    "causal map, correlates with the causal map (95% interval above 0), and, where that was "
    "tried, beats the same map of a network with shuffled weights (95% interval above 0). It "
    "explains it in part when it beats random order and shuffled weights. Where it goes half the "
    "way and is ahead of both on average, but an interval holds 0, the steps are too few to tell. "
    "Else it does not explain the policy."
)


@dataclass(frozen=True)
class Finding:
    """What one map comes to."""

    evidence: Evidence
    deletion: Estimate | None
    insertion: Estimate | None
    both: Estimate | None
    """Mean of deletion and insertion."""
    gain: Estimate | None
    """Of `both` over random order, step by step; None for random order itself."""
    closed: float | None
    """Share of the way from random order to the causal map; None where these do not differ."""
    correlation: Estimate | None
    """Rank correlation with the causal map."""
    flips: Estimate | None
    """How often the action changes without the heaviest tokens, see `Areas.flips`."""
    hit: Estimate | None
    mass: Estimate | None
    over_shuffled: Estimate | None = None
    """Of `both` over the same map of networks with shuffled weights; None where not tried."""
    sanity: Estimate | None = None
    """What that map of networks with shuffled weights gains over random order: it should be 0."""
    word: Word = "does not explain"

    @property
    def name(self) -> str:
        return self.evidence.name

    def to_json(self) -> dict[str, Any]:
        evidence = self.evidence
        names = ("deletion", "insertion", "both", "gain", "correlation", "flips", "hit", "mass")
        return {
            "name": evidence.name,
            "family": evidence.family,
            "words": evidence.words,
            **{name: as_json(getattr(self, name)) for name in names},
            "over_shuffled": as_json(self.over_shuffled),
            "sanity": as_json(self.sanity),
            "closed": None if self.closed is None else round(self.closed, 4),
            "deletion_curve": evidence.curve("deletion_curve"),
            "insertion_curve": evidence.curve("insertion_curve"),
            "verdict": self.word if evidence.family == "attention" else None,
        }


def finding(
    evidence: Evidence,
    chance: Float[np.ndarray, "S"],
    causal: Float[np.ndarray, "S"],
    shuffled: Float[np.ndarray, "S"] | None,
    moves: bool,
) -> Finding:
    """Weigh what was found of a map.

    Args:
        chance: mean of deletion and insertion in random order, by step.
        causal: the same in the order of the causal map.
        shuffled: the same for this map of networks with shuffled weights; None where not tried.
        moves: whether removing tokens changes the policy at all.
    """
    both = evidence.per_step("both")
    gain = estimate(both - chance) if len(both) else None
    room = float((causal - chance).mean()) if len(causal) else 0.0
    closed = None if gain is None or room < LEAST else gain.mean / room
    correlation = estimate(evidence.correlations)
    over = None if shuffled is None else estimate(both - shuffled)
    return Finding(
        evidence,
        deletion=estimate(evidence.per_step("deletion")),
        insertion=estimate(evidence.per_step("insertion")),
        both=estimate(both),
        gain=gain,
        closed=closed,
        correlation=correlation,
        flips=estimate(evidence.per_step("flips")),
        hit=estimate(evidence.point("hit")),
        mass=estimate(evidence.point("mass")),
        over_shuffled=over,
        sanity=None if shuffled is None else estimate(shuffled - chance),
        word=word_for(gain, closed, correlation, over, moves),
    )


def word_for(
    gain: Estimate | None,
    closed: float | None,
    correlation: Estimate | None,
    over_shuffled: Estimate | None,
    moves: bool,
) -> Word:
    """Apply `RULE`."""
    if not moves:
        return "nothing to explain"
    if gain is None:
        return "does not explain"
    far = closed is not None and closed >= HALF
    rivals = [gain] if over_shuffled is None else [gain, over_shuffled]
    if not all(rival.low > 0 for rival in rivals):
        ahead = far and all(rival.mean > 0 for rival in rivals)
        return "undecided" if ahead else "does not explain"
    ranks = correlation is not None and correlation.low > 0
    return "explains" if ranks and far else "explains in part"


def against(found: Finding, chance: Finding) -> list[str]:
    """Say what speaks against a map beside `RULE`; only what the intervals are clear about."""
    said = []
    sanity, flips, even = found.sanity, found.flips, chance.flips
    if sanity is not None and sanity.low > 0:
        said.append(
            f"yet with shuffled weights too it gains {sanity.low:+.2f} to {sanity.high:+.2f} over "
            "random order"
        )
    if flips is not None and even is not None and flips.high < even.low:
        said.append(
            f"yet without the {TOP} tokens that it weighs most the action changes in "
            f"{flips.mean:.0%} of states, without {TOP} random ones in {even.mean:.0%}"
        )
    hit, guess = found.hit, chance.hit
    if hit is not None and guess is not None and hit.high < guess.mean:
        said.append(
            f"yet what weighs most is what matters in {hit.mean:.0%} of states, a random token in "
            f"{guess.mean:.0%}"
        )
    return said


def sentence(found: Finding, chance: Finding, opening: str = "The map") -> str:
    """Say in a sentence what a map is worth, by its name: it is read beside other maps too.

    Args:
        chance: what random order comes to.
        opening: what stands before the name.
    """
    name = f"{opening} {found.name}"
    if found.word == "nothing to explain":
        return (
            f"{name} does not explain the policy: there is nothing to explain, for "
            "whatever is removed, the policy hardly changes."
        )
    gain, both, even = found.gain, found.both, chance.both
    if gain is None or both is None or even is None:
        return f"{name} does not explain the policy: there was no step to judge it by."
    numbers = (
        f"{both.mean:.2f} against {even.mean:.2f} of random order "
        f"(difference {gain.low:+.2f} to {gain.high:+.2f})"
    )
    if found.closed is not None:
        numbers += f", {found.closed:.0%} of the way to the causal map"
    if found.correlation is not None:
        numbers += f", rank correlation with it {found.correlation.mean:+.2f}"
    over = found.over_shuffled
    if over is not None and over.low <= 0 < gain.low:
        numbers += (
            "; over the same map of networks with shuffled weights it gains "
            f"{over.low:+.2f} to {over.high:+.2f}"
        )
    numbers += "".join(f"; {each}" for each in against(found, chance))
    claim = {
        "explains": "explains the policy",
        "explains in part": "explains the policy in part",
        "does not explain": "does not explain the policy",
        "undecided": "is not shown to explain the policy, for the steps are too few to tell",
    }[found.word]
    return f"{name} {claim}: its order scores {numbers}."
