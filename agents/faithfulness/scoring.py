"""Rate the maps of a recording: what removing tokens does, and how well each map predicts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from attention_agents.agents.faithfulness.deletion_curves import (
    RANDOM,
    TOP,
    CurveAreas,
    deletion_areas,
    top_count,
)
from attention_agents.agents.faithfulness.rank_metrics import (
    PointingResult,
    pointing_game,
    rank_correlation,
)
from attention_agents.agents.faithfulness.rebuilt_env import GroundTruth
from attention_agents.agents.faithfulness.recorded_episode import distinct_steps, spread_evenly
from attention_agents.agents.faithfulness.recorded_policy import (
    RecordedPolicy,
    Truth,
    measure_removal,
)
from attention_agents.agents.faithfulness.saliency_maps import (
    CAUSAL,
    Family,
    SaliencyMap,
    attention_maps,
    evidence_map,
    means_at,
    sarfa_map,
)
from attention_agents.agents.faithfulness.single_removals import leave_one_out
from attention_agents.agents.faithfulness.weight_shuffle import shuffled_weights
from attention_agents.agents.faithfulness.xrl_bench import K, XrlScores, extreme_count, score_maps
from attention_agents.agents.runs.checkpoint import LoadedPolicy
from attention_agents.policies.inspect.policy_adapter import adapter_of
from attention_agents.recording.leave_one_out import LeaveOneOut, write_leave_one_out
from attention_agents.recording.reader import Recording

SCORE_STEPS = 64
"""Default number of steps along whose orders tokens are removed."""
CAUSAL_REMOVALS = 131_072
"""Removals of a single token that a recording gets: all of its steps have a causal map, unless
tokens times steps are more."""
SHUFFLES = 3
"""Networks with shuffled weights that maps are compared with."""
SEED = 0
"""Of the random orders, and of the first shuffled network."""

OnProgress = Callable[[str, int], Any]
"""Called with the part of the work, and how many steps of it are done."""


@dataclass
class MapResults:
    """The results of one map, step by step."""

    name: str
    family: Family
    description: str
    areas: list[CurveAreas] = field(default_factory=list)
    """Of the steps along whose orders tokens were removed."""
    correlations: list[float] = field(default_factory=list)
    """With the causal map; NaN where that is even."""
    pointing: list[PointingResult] = field(default_factory=list)
    """Of the steps at which it is known which tokens matter."""
    shuffled_areas: list[CurveAreas] = field(default_factory=list)
    """Of networks with shuffled weights, at the steps of `areas`; empty where not tried."""
    xrl: list[XrlScores] = field(default_factory=list)
    """The measures of XRL-Bench, episode by episode, at the steps of `areas`."""

    @property
    def both(self) -> Float[np.ndarray, "S"]:
        """Mean of deletion and insertion at each step."""
        return np.array([areas.both for areas in self.areas])

    def mean_curve(self, name: str) -> list[float]:
        """Return a mean curve over the shares of `GRID`."""
        curves = [getattr(areas, name) for areas in self.areas]
        return [round(float(value), 4) for value in np.mean(curves, 0)] if curves else []


class RecordingScorer:
    """Add up the results of every map, episode by episode.

    Args:
        on_progress: called with the part of the work, and how many steps of it are done.
    """

    def __init__(self, on_progress: OnProgress = lambda part, steps: None):
        self.results: dict[str, MapResults] = {}
        self.largest_changes: list[float] = []
        """At each step along whose orders tokens were removed, as a share."""
        self.unit, self.causal_steps, self.top, self.extremes = "", 0, TOP, K
        self.removal: tuple[str, ...] = ()
        """How tokens are removed, for each part of the observation."""
        self._on_progress, self._rng = on_progress, np.random.default_rng(SEED)

    def score_causal(
        self, recorded: RecordedPolicy, steps: Int[np.ndarray, "S"], mask: np.ndarray | None
    ) -> LeaveOneOut:
        """Compute the causal map at some steps of an episode."""
        on_progress = partial(self._on_progress, "causal maps")
        scores = leave_one_out(recorded, steps, mask, on_progress)
        self.unit, self.removal = recorded.unit, recorded.removal_texts
        self.top = top_count(recorded.present.shape[1])
        self.extremes = extreme_count(recorded.present.shape[1])
        self.causal_steps += len(steps)
        return scores

    def rate_maps(
        self,
        recorded: RecordedPolicy,
        scores: LeaveOneOut,
        counted: Int[np.ndarray, "S"],
        sampled: Int[np.ndarray, "K"],
    ) -> None:
        """Compare maps with the causal one at all counted steps, and remove tokens at some.

        Args:
            counted: rows of `scores`.
            sampled: steps at which tokens are removed in the order of every map.
        """
        steps = scores.steps[counted]
        maps = [evidence_map(recorded, steps), *attention_maps(recorded, steps)]
        by_sarfa = sarfa_map(recorded, steps, scores.distribution[counted])
        maps += [] if by_sarfa is None else [by_sarfa]
        causal = causal_map(recorded, scores, counted)
        maps.append(causal)
        for map_ in maps:
            self._compare_with_causal(map_, causal, recorded, scores, counted)
        rows = np.searchsorted(steps, sampled)
        if len(rows):
            self._rate_orders(recorded, [map_.select_steps(rows) for map_ in maps], steps[rows])
            self._rate_shuffled(recorded, maps, steps[rows])
            own = [map_.select_steps(rows) for map_ in maps]
            random = self._rng.random(own[0].rows.shape)
            own.append(SaliencyMap(RANDOM, "random", "", random))
            for name, scores_of_map in score_maps(recorded, own, steps[rows]).items():
                self.results[name].xrl.append(scores_of_map)

    def _results_of(self, name: str, family: Family, description: str) -> MapResults:
        return self.results.setdefault(name, MapResults(name, family, description))

    def _compare_with_causal(
        self,
        map_: SaliencyMap,
        causal: SaliencyMap,
        recorded: RecordedPolicy,
        scores: LeaveOneOut,
        counted: np.ndarray,
    ) -> None:
        """Compare a map with the causal one, and with the ground truth where that is known."""
        results = self._results_of(map_.name, map_.family, map_.description)
        chance = self._results_of(RANDOM, "random", "random order, on average")
        for k, (row, s) in enumerate(zip(map_.rows, counted, strict=True)):
            present = recorded.present[scores.steps[s]]
            if map_.name != CAUSAL:
                results.correlations.append(correlate_maps(map_, causal, k, present))
            else:
                noise = self._rng.random(len(row))
                chance.correlations.append(rank_correlation(noise, row, present))
            if scores.ground_truth is None:
                continue
            pointing = pointing_game(row, scores.ground_truth[s], present)
            if pointing is not None:
                results.pointing.append(pointing)
                if map_.name == CAUSAL:
                    chance.pointing.append(PointingResult(*[pointing.chance] * 3))

    def _rate_orders(
        self, recorded: RecordedPolicy, maps: list[SaliencyMap], steps: np.ndarray
    ) -> None:
        """Remove tokens in the order of every map."""
        for k, step in enumerate(steps.tolist()):
            rows = {map_.name: map_.rows[k] for map_ in maps}
            areas_by_map = deletion_areas(recorded, step, rows, self._rng)
            for name, areas in areas_by_map.items():
                self.results[name].areas.append(areas)
            largest = max(float(areas.deletion_curve.max()) for areas in areas_by_map.values())
            self.largest_changes.append(largest)
            self._on_progress("orders of removal", 1)

    def _rate_shuffled(
        self, recorded: RecordedPolicy, maps: list[SaliencyMap], steps: np.ndarray
    ) -> None:
        """Remove tokens in the order of maps of networks with shuffled weights."""
        names = [map_.name for map_ in maps if map_.family in ("evidence", "attention")]
        shuffled: list[dict[str, SaliencyMap]] = []
        for k in range(SHUFFLES):
            with shuffled_weights(recorded.policy, SEED + k):
                by_evidence = evidence_map(recorded, steps, means_at(recorded, steps))
                own = [by_evidence, *attention_maps(recorded, steps)]
                shuffled.append({map_.name: map_ for map_ in own})
        for k, step in enumerate(steps.tolist()):
            rows = {f"{n} {i}": maps[n].rows[k] for i, maps in enumerate(shuffled) for n in names}
            areas = deletion_areas(recorded, step, rows, self._rng)
            for name in names:
                mean = CurveAreas.mean([areas[f"{name} {i}"] for i in range(SHUFFLES)])
                self.results[name].shuffled_areas.append(mean)
            self._on_progress("shuffled weights", 1)


def causal_map(
    recorded: RecordedPolicy, scores: LeaveOneOut, counted: Int[np.ndarray, "S"]
) -> SaliencyMap:
    """Return what removing each single token did at the counted steps, as the truth has it."""
    if recorded.truth == "kl":
        description = "change of the policy without each single token"
        return SaliencyMap(CAUSAL, "removal", description, scores.causal[counted])
    assert scores.margin_drop is not None, "scores that were just computed hold it"
    parts = scores.margin_drop[counted]
    description = "drop of the margin of the action when each single token is its mean"
    return SaliencyMap(CAUSAL, "removal", description, recorded.combine_parts(parts), parts)


def correlate_maps(
    map_: SaliencyMap, causal: SaliencyMap, k: int, present: Bool[np.ndarray, "N"]
) -> float:
    """Return the rank correlation of a map with the causal one at its k-th step.

    Where both tell the parts of an action apart, it is the mean over the parts.
    """
    if map_.parts is None or causal.parts is None:
        return rank_correlation(map_.rows[k], causal.rows[k], present)
    pairs = zip(map_.parts[k], causal.parts[k], strict=True)
    defined = [rank_correlation(a, b, present) for a, b in pairs if not np.isnan(b).any()]
    return float(np.mean(defined)) if defined else np.nan


def score_recording(
    recording: Recording,
    loaded: LoadedPolicy,
    ground_truth: GroundTruth,
    score_steps: int = SCORE_STEPS,
    truth: Truth = "margin",
    on_progress: OnProgress = lambda part, steps: None,
) -> RecordingScorer:
    """Rate the maps of every episode of a recording, and write each one's scores beside it.

    Args:
        loaded: the policy that was recorded.
        ground_truth: which tokens matter by the environment.
        score_steps: see `SCORE_STEPS`; more make intervals narrower.
        truth: what counts as the effect of a token.

    Raises:
        ValueError: no step has two tokens, or the recording is of another run.
    """
    policy, scorer = loaded.model.policy, RecordingScorer(on_progress)
    distinct = distinct_steps(recording, adapter_of(policy).is_recurrent)
    sampled = spread_evenly(distinct, score_steps)
    limit = max(1, CAUSAL_REMOVALS // len(recording.header.layout))
    causal = spread_evenly([np.arange(len(episode)) for episode in recording.episodes], limit)
    removal = None
    if truth == "margin":  # one baseline for all episodes, as evidence has
        whole = [episode for episode in recording.episodes if len(episode)]
        removal = measure_removal(policy, loaded.normalize, whole, truth)
    for i, episode in enumerate(recording.episodes):
        steps, mask = np.union1d(causal[i], sampled[i]), ground_truth.masks[i]
        if len(steps):
            recorded = RecordedPolicy.from_episode(
                *(policy, loaded.normalize, episode, truth, removal)
            )
            scores = scorer.score_causal(recorded, steps, None if mask is None else mask[steps])
            write_leave_one_out(episode.folder, scores)
            has_choice = np.any(np.isfinite(recorded.margins), axis=1)  # (T,)
            counted = np.flatnonzero(np.isin(steps, distinct[i]) & has_choice[steps])
            if len(counted):
                scorer.rate_maps(
                    recorded, scores, counted, np.intersect1d(sampled[i], steps[counted])
                )
    if not any(results.areas for results in scorer.results.values()):
        raise ValueError(
            f"no step of {recording.folder} has two tokens or more, and was chosen by the policy, "
            "so there is nothing to score"
        )
    return scorer
