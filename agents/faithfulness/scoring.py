"""Scoring a recording: what removing tokens does in it, and which maps had told so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from attention_agents.agents.faithfulness.deletion import RANDOM, areas_at
from attention_agents.agents.faithfulness.deletion_curves import Areas
from attention_agents.agents.faithfulness.leave_one_out import leave_one_out
from attention_agents.agents.faithfulness.map_results import Evidence
from attention_agents.agents.faithfulness.rank_metrics import Pointing, pointing, rank_correlation
from attention_agents.agents.faithfulness.recorded_policy import Subject
from attention_agents.agents.faithfulness.saliency_maps import (
    CAUSAL,
    Candidate,
    attention_candidates,
    of_rows,
    sarfa_candidate,
)
from attention_agents.agents.faithfulness.sampling import distinct_steps, spread
from attention_agents.agents.faithfulness.weight_shuffle import shuffled
from attention_agents.recording.reader import Recording
from attention_agents.recording.scores import Scores, write_scores

SCORE_STEPS = 64
"""Steps along whose orders tokens are removed, where nobody says."""
CAUSAL_REMOVALS = 131_072
"""Removals of a single token that a recording gets: all of its steps have a causal map, unless
tokens times steps are more."""
SHUFFLES = 3
"""Networks with shuffled weights that maps are compared with."""
SEED = 0
"""Of the random orders, and of the first shuffled network."""

Tick = Callable[[str, int], Any]
"""Hears what is done, and how many steps of it."""


@dataclass
class Tally:
    """What was found of every map in a recording."""

    evidence: dict[str, Evidence] = field(default_factory=dict)
    shuffled: dict[str, list[Areas]] = field(default_factory=dict)
    """By map: of networks with shuffled weights, at the steps of `Evidence.areas`."""
    moved: list[float] = field(default_factory=list)
    """At each of these steps: the largest change, as a share, that was met on the way."""
    unit: str = ""
    steps: int = 0
    """Steps with a causal map."""

    def of(self, name: str, family: str, words: str) -> Evidence:
        return self.evidence.setdefault(name, Evidence(name, family, words))


def score(
    recording: Recording,
    subject_of: Callable[[Any], Subject],
    remembers: bool,
    true: list[Bool[np.ndarray, "T N"] | None],
    score_steps: int = SCORE_STEPS,
    tick: Tick = lambda what, steps: None,
) -> Tally:
    """Score every episode of a recording, and write each one's scores beside it.

    Args:
        subject_of: gives the policy in an episode.
        remembers: whether the policy has a memory.
        true: what the environment knows to matter, by episode.
        score_steps: see `SCORE_STEPS`; more make intervals narrower.

    Raises:
        ValueError: no step has two tokens, or the recording is of another run.
    """
    tally = Tally()
    rng = np.random.default_rng(SEED)
    distinct = distinct_steps(recording, remembers)
    sampled = spread(distinct, score_steps)
    most = max(1, CAUSAL_REMOVALS // len(recording.header.layout))
    every = spread([np.arange(len(episode)) for episode in recording.episodes], most)
    for i, episode in enumerate(recording.episodes):
        steps = np.union1d(every[i], sampled[i])
        if not len(steps):
            continue
        subject = subject_of(episode)
        known = true[i]
        scores = leave_one_out(
            subject,
            steps,
            None if known is None else known[steps],
            lambda done: tick("causal maps", done),
        )
        write_scores(episode.folder, scores)
        tally.unit, tally.steps = scores.unit, tally.steps + len(steps)
        counted = np.flatnonzero(np.isin(steps, distinct[i]))
        if len(counted):
            _tally(tally, subject, scores, counted, sampled[i], rng, tick)
    if not any(each.areas for each in tally.evidence.values()):
        raise ValueError(
            f"no step of {recording.folder} has two tokens or more, and was chosen by the policy, "
            "so there is nothing to score"
        )
    return tally


def _tally(
    tally: Tally,
    subject: Subject,
    scores: Scores,
    counted: Int[np.ndarray, "S"],
    sampled: Int[np.ndarray, "K"],
    rng: np.random.Generator,
    tick: Tick,
) -> None:
    """Add what an episode shows: ranks and pointing at all counted steps, areas at some."""
    steps = scores.steps[counted]
    candidates = attention_candidates(subject, steps)
    by_sarfa = sarfa_candidate(subject, steps, scores.distribution[counted])
    candidates += [] if by_sarfa is None else [by_sarfa]
    words = "change of the policy without each single token"
    candidates.append(Candidate(CAUSAL, "removal", words, scores.causal[counted]))
    for each in candidates:
        _compare(tally, each, subject, scores, counted)
    some = np.searchsorted(steps, sampled)
    _remove(tally, subject, [of_rows(each, some) for each in candidates], steps[some], rng, tick)
    if len(some):
        _control(tally, subject, candidates, steps[some], rng, tick)


def _compare(
    tally: Tally, candidate: Candidate, subject: Subject, scores: Scores, counted: np.ndarray
) -> None:
    """Compare a map with the causal one, and with the truth where that is known."""
    evidence = tally.of(candidate.name, candidate.family, candidate.words)
    even = tally.of(RANDOM, "random", "random order, on average")
    for row, s in zip(candidate.rows, counted, strict=True):
        present = subject.present[scores.steps[s]]
        if candidate.name != CAUSAL:
            evidence.correlations.append(rank_correlation(row, scores.causal[s], present))
        found = None if scores.true is None else pointing(row, scores.true[s], present)
        if found is not None:
            evidence.pointing.append(found)
            if candidate.name == CAUSAL:
                even.pointing.append(Pointing(found.chance, found.chance, found.chance))


def _remove(
    tally: Tally,
    subject: Subject,
    candidates: list[Candidate],
    steps: np.ndarray,
    rng: np.random.Generator,
    tick: Tick,
) -> None:
    """Remove tokens in the order of every map."""
    for k, step in enumerate(steps.tolist()):
        maps = {each.name: each.rows[k] for each in candidates}
        areas = areas_at(subject, step, maps, subject.scale, rng)
        for name, found in areas.items():
            tally.evidence[name].areas.append(found)
        tally.moved.append(max(float(found.deletion_curve.max()) for found in areas.values()))
        tick("orders of removal", 1)


def _control(
    tally: Tally,
    subject: Subject,
    candidates: list[Candidate],
    steps: np.ndarray,
    rng: np.random.Generator,
    tick: Tick,
) -> None:
    """Remove tokens in the order of maps that networks with shuffled weights give."""
    names = [each.name for each in candidates if each.family == "attention"]
    found: list[dict[str, Candidate]] = []
    for k in range(SHUFFLES):
        with shuffled(subject.policy, SEED + k):
            found.append({each.name: each for each in attention_candidates(subject, steps)})
    for k, step in enumerate(steps.tolist()):
        maps = {f"{n} {i}": own[n].rows[k] for i, own in enumerate(found) for n in names}
        areas = areas_at(subject, step, maps, subject.scale, rng)
        for name in names:
            several = [areas[f"{name} {i}"] for i in range(SHUFFLES)]
            tally.shuffled.setdefault(name, []).append(Areas.mean(several))
        tick("shuffled weights", 1)
