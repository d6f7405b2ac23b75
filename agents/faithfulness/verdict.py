"""The rule by which a map is said to explain a policy, or not. numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from attention_agents.agents.evaluation.statistics import bootstrap_interval
from attention_agents.agents.faithfulness.deletion_curves import TOP
from attention_agents.agents.faithfulness.scoring import MapResults

LEAST_CHANGE = 0.01
"""A policy none of whose outputs changes by so large a share, whatever is removed, has nothing that
a map could explain."""
HALF = 0.5
"""A map explains the policy from this share of the way from random order to the causal map on."""

Verdict = Literal[
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


class Estimate(NamedTuple):
    """A mean over steps, with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float
    steps: int
    """How many steps it is a mean of."""


@dataclass(frozen=True)
class MapRating:
    """How well one map explains the policy."""

    results: MapResults
    estimates: dict[str, Estimate | None]
    """Means over steps, by name:

    deletion, insertion, both: see `CurveAreas`.
    gain: of `both` over random order, step by step.
    correlation: rank correlation with the causal map.
    flips: how often the action changes without the heaviest tokens, see `CurveAreas`.
    hit, mass: see `PointingResult`.
    over_shuffled: of `both` over the same map of networks with shuffled weights.
    aim, aum, pgi, pgu: see `xrl_bench.MEASURES`.
    sanity: what that map of networks with shuffled weights gains over random order; it should be 0.
    """
    closed: float | None
    """Share of the way from random order to the causal map; None where these do not differ."""
    verdict: Verdict

    @property
    def ris(self) -> float | None:
        """The largest of its steps, see `xrl_bench.MEASURES`; None where it was not measured."""
        values = [value for scores in self.results.xrl for value in scores.ris]
        return float(np.nanmax(values)) if values and not np.isnan(values).all() else None

    def __getitem__(self, name: str) -> Estimate | None:
        return self.estimates[name]

    @property
    def name(self) -> str:
        return self.results.name

    def to_json(self) -> dict[str, Any]:
        results = self.results
        return {
            "name": results.name,
            "family": results.family,
            "words": results.description,
            **{name: estimate_to_json(value) for name, value in self.estimates.items()},
            "ris": None if self.ris is None else round(self.ris, 4),
            "closed": None if self.closed is None else round(self.closed, 4),
            "deletion_curve": results.mean_curve("deletion_curve"),
            "insertion_curve": results.mean_curve("insertion_curve"),
            "verdict": self.verdict if results.family in ("evidence", "attention") else None,
        }


def rate_map(
    results: MapResults,
    chance: Float[np.ndarray, "S"],
    causal: Float[np.ndarray, "S"],
    policy_changes: bool,
) -> MapRating:
    """Rate a map by its results.

    Args:
        chance: mean of deletion and insertion in random order, by step.
        causal: the same in the order of the causal map.
        policy_changes: whether removing tokens changes the policy at all.
    """
    both, is_tried = results.both, len(results.shuffled_areas) > 0
    shuffled = np.array([areas.both for areas in results.shuffled_areas])
    samples = {
        "deletion": [areas.deletion for areas in results.areas],
        "insertion": [areas.insertion for areas in results.areas],
        "both": both,
        "gain": both - chance if len(both) else [],
        "correlation": results.correlations,
        "flips": [areas.flips for areas in results.areas],
        "hit": [pointing.hit for pointing in results.pointing],
        "mass": [pointing.mass for pointing in results.pointing],
        "over_shuffled": both - shuffled if is_tried else [],
        "sanity": shuffled - chance if is_tried else [],
    }
    for name in ("aim", "aum", "pgi", "pgu"):
        samples[name] = [value for scores in results.xrl for value in getattr(scores, name)]
    estimates = {name: estimate_mean(values) for name, values in samples.items()}
    gain = estimates["gain"]
    room = float((causal - chance).mean()) if len(causal) else 0.0
    closed = None if gain is None or room < LEAST_CHANGE else gain.mean / room
    verdict = verdict_for(
        gain, closed, estimates["correlation"], estimates["over_shuffled"], policy_changes
    )
    return MapRating(results, estimates, closed, verdict)


def verdict_for(
    gain: Estimate | None,
    closed: float | None,
    correlation: Estimate | None,
    over_shuffled: Estimate | None,
    policy_changes: bool,
) -> Verdict:
    """Apply `RULE`."""
    if not policy_changes:
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


def caveats(rating: MapRating, chance: MapRating, top: int = TOP) -> list[str]:
    """Return what speaks against a map beside `RULE`; only what the intervals are clear about."""
    texts = []
    sanity, flips, chance_flips = rating["sanity"], rating["flips"], chance["flips"]
    if sanity is not None and sanity.low > 0:
        texts.append(
            f"yet with shuffled weights too it gains {sanity.low:+.2f} to {sanity.high:+.2f} over "
            "random order"
        )
    if flips is not None and chance_flips is not None and flips.high < chance_flips.low:
        heaviest, random = (
            ("token", "a random one")
            if top == 1
            else (
                f"{top} tokens",
                f"{top} random ones",
            )
        )
        texts.append(
            f"yet without the {heaviest} that it weighs most the action changes in "
            f"{flips.mean:.0%} of states, without {random} in {chance_flips.mean:.0%}"
        )
    hit, chance_hit = rating["hit"], chance["hit"]
    if hit is not None and chance_hit is not None and hit.high < chance_hit.mean:
        texts.append(
            f"yet what weighs most is what matters in {hit.mean:.0%} of states, a random token in "
            f"{chance_hit.mean:.0%}"
        )
    return texts


def verdict_sentence(
    rating: MapRating, chance: MapRating, opening: str = "The map", top: int = TOP
) -> str:
    """Return the verdict on a map in a sentence, by its name: it is read beside other maps too.

    Args:
        chance: the rating of random order.
        opening: what stands before the name.
        top: how many tokens `flips` is about.
    """
    name = f"{opening} {rating.name}"
    if rating.verdict == "nothing to explain":
        return (
            f"{name} does not explain the policy: there is nothing to explain, for "
            "whatever is removed, the policy hardly changes."
        )
    gain, both, chance_both = rating["gain"], rating["both"], chance["both"]
    if gain is None or both is None or chance_both is None:
        return f"{name} does not explain the policy: there was no step to judge it by."
    claim = {
        "explains": "explains the policy",
        "explains in part": "explains the policy in part",
        "does not explain": "does not explain the policy",
        "undecided": "is not shown to explain the policy, for the steps are too few to tell",
    }[rating.verdict]
    texts = [_numbers_text(rating, gain, both, chance_both)]
    over = rating["over_shuffled"]
    if over is not None and over.low <= 0 < gain.low:
        texts.append(
            "over the same map of networks with shuffled weights it gains "
            f"{over.low:+.2f} to {over.high:+.2f}"
        )
    return f"{name} {claim}: its order scores {'; '.join([*texts, *caveats(rating, chance, top)])}."


def _numbers_text(rating: MapRating, gain: Estimate, both: Estimate, chance: Estimate) -> str:
    text = (
        f"{both.mean:.2f} against {chance.mean:.2f} of random order "
        f"(difference {gain.low:+.2f} to {gain.high:+.2f})"
    )
    if rating.closed is not None:
        text += f", {rating.closed:.0%} of the way to the causal map"
    correlation = rating["correlation"]
    if correlation is not None:
        text += f", rank correlation with it {correlation.mean:+.2f}"
    return text


def estimate_mean(values: Float[np.ndarray, "S"] | Sequence[float]) -> Estimate | None:
    """Return the mean of the numbers that are there, with an interval; None where there are none.

    NaN stands for a step that says nothing.
    """
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return None
    low, high = bootstrap_interval(numbers)
    return Estimate(float(numbers.mean()), low, high, len(numbers))


def estimate_to_json(value: Estimate | None) -> dict[str, Any] | None:
    """Return an estimate as JSON."""
    if value is None:
        return None
    return {k: v if k == "steps" else round(v, 5) for k, v in value._asdict().items()}
