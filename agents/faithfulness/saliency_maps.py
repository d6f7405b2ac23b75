"""The maps that claim to show what a policy goes by: attention in all its readings, and others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from attention_agents.agents.faithfulness.gradients import Gradients, gradients_at
from attention_agents.agents.faithfulness.output_distance import Choices, QValues
from attention_agents.agents.faithfulness.recorded_policy import FLOATS_AT_ONCE, Subject
from attention_agents.agents.faithfulness.saliency import relevance, sarfa, sarfa_of_parts
from attention_agents.policies.inspect.attention_modules import AttentionModule, attention_modules
from attention_agents.policies.inspect.tap import AttentionMap, AttentionTap
from attention_agents.recording.live.header import map_spec
from attention_agents.recording.map_view import View
from attention_agents.recording.rollout import Chain, chain_of
from attention_agents.recording.step import Step

Family = Literal["attention", "gradient", "removal"]
GRADIENT_WEIGHTED = "gradient rollout"
GRADIENT, SARFA, CAUSAL = "gradient x input", "SARFA", "causal"


@dataclass(frozen=True)
class Candidate:
    """One map at S steps of an episode."""

    name: str
    family: Family
    """What it is made of: attention, gradients alone, or removing tokens."""
    words: str
    """How it is made."""
    rows: Float[np.ndarray, "S N"]


def attention_candidates(subject: Subject, steps: Int[np.ndarray, "S"]) -> list[Candidate]:
    """Return every reading of attention, and gradient x input, at some steps.

    A module's own weights are read as they are drawn (`recording.map_view.View`): mean over heads
    and over queries, or the readout's own row.
    """
    seats = [seat for seat in attention_modules(subject.policy) if seat.role == subject.role]
    found: dict[str, tuple[Family, str, list[np.ndarray]]] = {}
    for part in _runs(subject, steps):
        for name, (family, words, rows) in _at(subject, part, seats).items():
            found.setdefault(name, (family, words, []))[2].extend(rows)
    places = np.argsort(np.argsort(steps))
    return [
        Candidate(name, family, words, np.stack(rows)[places])
        for name, (family, words, rows) in found.items()
    ]


def sarfa_candidate(
    subject: Subject, steps: Int[np.ndarray, "S"], distribution: Float[np.ndarray, "S N ..."]
) -> Candidate | None:
    """Return the map by SARFA; None where actions are continuous, for which it is not defined.

    Args:
        distribution: without each token, see `Scores.distribution`.
    """
    kind = subject.reader.kind
    if not isinstance(kind, (Choices, QValues)):
        return None
    index = torch.as_tensor(steps, device=subject.policy.device)
    before = kind.distribution(subject.said.rows(index)).astype(np.float64)  # (S, A)
    chosen = subject.states.chosen[index].cpu().numpy().reshape(len(steps), -1).astype(int)
    rows = []
    for s in range(len(steps)):
        own, without = before[s], distribution[s].astype(np.float64)
        if isinstance(kind, QValues):
            rows.append(sarfa(own, without, int(chosen[s, 0])))
            continue
        if own.size < sum(kind.sizes):  # bits: chances of a 1
            own = np.stack([1 - own, own], -1).ravel()
            without = np.stack([1 - without, without], -1).reshape(len(without), -1)
        own, without = np.log(own + 1e-8), np.log(without + 1e-8)
        rows.append(sarfa_of_parts(own, without, chosen[s], kind.sizes))
    words = "specific and relevant feature attribution, by removing one token at a time"
    return Candidate(SARFA, "removal", words, np.stack(rows))


def _at(
    subject: Subject, part: slice, seats: list[AttentionModule]
) -> dict[str, tuple[Family, str, list[np.ndarray]]]:
    """Return the maps of neighbouring steps by name, with what each is made of."""
    states = subject.states[part]
    index = torch.arange(len(states), device=subject.policy.device)
    with torch.no_grad(), AttentionTap(subject.policy) as tap:
        subject.reader.ask(states, index)
        heard = tap.take()
    assert heard is not None, "an extractor ran and its tap heard nothing"
    maps = {one.name: one for one in heard.maps if one.role == subject.role}
    specs = [map_spec(one, full=True) for one in maps.values()]
    present = subject.present[part]
    seen = [_step(maps, t, there) for t, there in enumerate(present)]
    found: dict[str, tuple[Family, str, list[np.ndarray]]] = {}
    for view in (View(spec, None) for spec in specs if spec.keys == "tokens"):
        rows = [view.weights(step) for step in seen]
        found[view.spec.name] = ("attention", "; ".join(view.lines), rows)
    gradients = gradients_at(subject, part, seats)
    chain = chain_of(specs, present.shape[1])
    if not chain.reason:
        rows = [chain.row(step)[: present.shape[1]] for step in seen]
        found[chain.spec.name] = ("attention", "attention followed through all layers", rows)
    if chain.names and chain.names <= gradients.weights.keys():
        rows = _relevant(chain, gradients, present)
        found[GRADIENT_WEIGHTED] = ("attention", "attention times its gradient, all layers", rows)
    words = "gradient of what was said of the action, times the embedding"
    found[GRADIENT] = ("gradient", words, list(gradients.tokens))
    return found


def _relevant(chain: Chain, gradients: Gradients, present: np.ndarray) -> list[np.ndarray]:
    N = present.shape[1]
    rows = []
    for t, there in enumerate(present):
        if chain.readout is None:
            row = there / max(there.sum(), 1)
        else:
            row = gradients.weights[chain.readout.name][t].mean(0)[:N]
        own = [gradients.weights[one.name][t] for one in chain.layers]
        rows.append(relevance(own, row, there))
    return rows


def _step(maps: Mapping[str, AttentionMap], t: int, present: np.ndarray) -> Step:
    """Return a step that holds these maps alone."""
    heads = {
        name: None if one.heads is None else one.heads.float().cpu().numpy()
        for name, one in maps.items()
    }
    weights = {name: one.weights[t].float().cpu().numpy() for name, one in maps.items()}
    return Step(observation={}, action=np.zeros(0), maps=weights, mask=present, heads=heads)


def _runs(subject: Subject, steps: np.ndarray) -> list[slice]:
    """Cut steps into runs of neighbours that are small enough to be asked about at once."""
    site = subject.removal.extractors[subject.role].site
    most = max(1, FLOATS_AT_ONCE // (site.heads * site.keys**2))
    runs: list[slice] = []
    for step in np.sort(steps).tolist():
        if runs and runs[-1].stop == step and step - runs[-1].start < most:
            runs[-1] = slice(runs[-1].start, step + 1)
        else:
            runs.append(slice(step, step + 1))
    return runs


def of_rows(candidate: Candidate, index: np.ndarray) -> Candidate:
    """Return a map at some of its steps."""
    return replace(candidate, rows=candidate.rows[index])
