"""Saliency maps of a recorded policy: attention in all its readings, gradients, and SARFA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_agents.agents.faithfulness.recorded_policy import FLOATS_AT_ONCE, RecordedPolicy
from attention_agents.agents.faithfulness.saliency import relevance, sarfa, sarfa_of_parts
from attention_agents.policies.attention.attention_weighting import AttentionWeighting
from attention_agents.policies.inspect.action_distribution import CategoricalActions, QValues
from attention_agents.policies.inspect.attention_modules import AttentionModule, attention_modules
from attention_agents.policies.inspect.evidence import Evidence
from attention_agents.policies.inspect.tap import AttentionMap, AttentionTap
from attention_agents.policies.inspect.token_capture import TokenMeans, TokenPass, copy_tokens
from attention_agents.recording.live.header import map_spec
from attention_agents.recording.map_view import MapView
from attention_agents.recording.rollout import RolloutChain, build_rollout_chain
from attention_agents.recording.step import Step

Family = Literal["evidence", "attention", "gradient", "removal", "random"]
"""What a map is made of."""
EVIDENCE = "evidence"
GRADIENT_ROLLOUT = "gradient rollout"
GRADIENT, SARFA, CAUSAL = "gradient x input", "SARFA", "causal"


@dataclass(frozen=True)
class SaliencyMap:
    """A map at S steps of an episode."""

    name: str
    family: Family
    description: str
    """How it is made."""
    rows: Float[np.ndarray, "S N"]
    parts: Float[np.ndarray, "S M N"] | None = None
    """For every part of the action, where the map tells these apart; `rows` are made of them."""

    def select_steps(self, index: Int[np.ndarray, "K"]) -> SaliencyMap:
        """Return the map at some of its steps."""
        parts = None if self.parts is None else self.parts[index]
        return replace(self, rows=self.rows[index], parts=parts)


def attention_maps(recorded: RecordedPolicy, steps: Int[np.ndarray, "S"]) -> list[SaliencyMap]:
    """Return every reading of attention, if there is any, and gradient x input, at some steps.

    A module's own weights are read as they are drawn (`map_view.MapView`): mean over heads
    and over queries, or the readout's own row.
    """
    modules = [entry for entry in attention_modules(recorded.policy) if entry.role == recorded.role]
    runs = [_maps_at(recorded, run, modules) for run in split_into_runs(recorded, steps)]
    order = np.argsort(np.argsort(steps))
    return [
        replace(maps[0], rows=np.concatenate([part.rows for part in maps])[order])
        for maps in zip(*runs, strict=True)
    ]


def evidence_map(
    recorded: RecordedPolicy, steps: Int[np.ndarray, "S"], means: TokenMeans | None = None
) -> SaliencyMap:
    """Return what each token spoke for, and against, in the actions taken at some steps.

    Args:
        means: of the tokens; None for those over the episode.
    """
    if means is None:
        means = recorded.removal.means[recorded.role]
    evidence, rows = Evidence(recorded.policy, "mean", means), []
    for run in split_into_runs(recorded, steps):
        states, valid = recorded.states[run], recorded.states[run].valid
        found = evidence.of(pass_of_states(recorded, run), states.actions, valid)
        rows.append(_float32(found.values))
    parts = np.concatenate(rows)[np.argsort(np.argsort(steps))]  # (S, M, N)
    if recorded.truth == "kl":
        values = np.abs(np.nan_to_num(parts)).sum(1)
    else:
        values = recorded.combine_parts(parts)
    description = "gradient of the margin of the action, times the difference from the mean"
    return SaliencyMap(EVIDENCE, "evidence", description, values, parts)


def pass_of_states(recorded: RecordedPolicy, steps: slice) -> TokenPass:
    """Return the tokens of some steps, as the policy makes them."""
    own = tuple(copy_tokens(part) for part in recorded.tokens_at(steps))
    state = recorded.states[steps].recurrent_state
    return TokenPass({recorded.role: own}, {}, None if state is None else state[:2])


def means_at(recorded: RecordedPolicy, steps: Int[np.ndarray, "S"]) -> TokenMeans:
    """Return the mean of every token over some steps, as the policy makes tokens now."""
    means = TokenMeans()
    for run in split_into_runs(recorded, steps):
        means.update(pass_of_states(recorded, run).tokens[recorded.role])
    return means


def sarfa_map(
    recorded: RecordedPolicy,
    steps: Int[np.ndarray, "S"],
    distribution: Float[np.ndarray, "S N ..."],
) -> SaliencyMap | None:
    """Return the map by SARFA; None where actions are continuous, for which it is not defined.

    Args:
        distribution: without each token, see `Scores.distribution`.
    """
    kind = recorded.kind
    if not isinstance(kind, (CategoricalActions, QValues)):
        return None
    index = torch.as_tensor(steps, device=recorded.policy.device)
    before = kind.compact_distribution(recorded.outputs.select_states(index)).astype(np.float64)
    without = distribution.astype(np.float64)  # (S, N, A), and `before` (S, A)
    actions = recorded.states.actions[index].cpu().numpy().reshape(len(steps), -1).astype(int)
    if isinstance(kind, QValues):
        rows = [sarfa(q, w, int(a[0])) for q, w, a in zip(before, without, actions, strict=True)]
    else:
        if before.shape[1] < sum(kind.sizes):  # bits: probabilities of a 1
            before, without = (
                np.stack([1 - p, p], -1).reshape(*p.shape[:-1], -1) for p in (before, without)
            )
        pairs = zip(np.log(before + 1e-8), np.log(without + 1e-8), actions, strict=True)
        rows = [sarfa_of_parts(p, w, a, kind.sizes) for p, w, a in pairs]
    description = "specific and relevant feature attribution, by removing one token at a time"
    return SaliencyMap(SARFA, "removal", description, np.stack(rows))


class Gradients(NamedTuple):
    """Gradients of the action taken in S steps."""

    tokens: Float[np.ndarray, "S N"]
    """`|gradient . embedding|` of each token, added up over the targets."""
    weights: dict[str, Float[np.ndarray, "S Q K"]]
    """By module, `max(0, gradient * weights)`, mean over heads; of modules whose weights are read
    directly alone."""


def gradients_at(
    recorded: RecordedPolicy, steps: slice, modules: list[AttentionModule]
) -> Gradients:
    """Return gradients of the log-probability or Q value of the action that was taken.

    Of a continuous action, of each of its numbers.

    Args:
        steps: of the episode.
        modules: whose weights get a gradient.

    Source: Shrikumar et al. 2016, Not just a black box, https://arxiv.org/abs/1605.01713, for
        gradient x input; Chefer, Gur and Wolf 2021, Generic attention-model explainability,
        https://arxiv.org/abs/2103.15679, for weights.
    """
    states, adapter, removal = recorded.states[steps], recorded.adapter, recorded.removal
    rows = torch.arange(len(states), device=recorded.policy.device)
    with torch.no_grad(), removal.capture_tokens() as tokens:
        adapter.evaluate(states, rows)
    given = tokens[recorded.role]
    leaves = [part.values.clone().requires_grad_() for part in given]
    pairs = zip(given, leaves, strict=True)
    changed = tuple(part._replace(values=leaf) for part, leaf in pairs)
    replaced = removal.replace_tokens({recorded.role: changed})
    with torch.enable_grad(), replaced, collect_weights(modules) as collected:
        outputs = adapter.evaluate(states, rows)
        targets = adapter.kind.gradient_targets(outputs, states.actions)  # (S, G)
        weights = {name: part for name, part in collected.items() if part.requires_grad}
        total = np.zeros((len(states), len(recorded.inputs.layout)), np.float32)
        sums: dict[str, Any] = dict.fromkeys(weights, np.float32(0))
        for target in targets.unbind(1):
            gradients: tuple[Any, ...] = torch.autograd.grad(
                target.sum(), [*leaves, *weights.values()], retain_graph=True, allow_unused=True
            )
            by_part = [_product(leaf, g) for leaf, g in zip(leaves, gradients, strict=False)]
            total += _float32(recorded.inputs.join(by_part).abs())
            others = gradients[len(leaves) :]
            for (name, part), gradient in zip(weights.items(), others, strict=True):
                gradient = torch.zeros_like(part) if gradient is None else gradient
                weighted = (part * gradient).clamp(min=0).mean(1)  # (S, H, Q, K) to (S, Q, K)
                sums[name] = sums[name] + _float32(weighted)
    return Gradients(total, sums)


@contextmanager
def collect_weights(modules: list[AttentionModule]) -> Iterator[dict[str, Tensor]]:
    """Let attention be computed by its weights, with gradient, and hold those of the latest pass.

    The fused kernel has no weights to take a gradient of; without it features are the same up to
    rounding.
    """
    collected: dict[str, Tensor] = {}

    def collect(name: str, _module: nn.Module, _inputs: tuple, weighed: Any) -> None:
        collected[name] = weighed.weights

    with ExitStack() as stack:
        for entry in modules:
            for module in entry.module.children():
                if isinstance(module, AttentionWeighting):
                    stack.callback(setattr, module, "is_fused", module.is_fused)
                    module.is_fused = False
                    hook = module.register_forward_hook(partial(collect, entry.name))
                    stack.callback(hook.remove)
        yield collected


def _product(leaf: Tensor, gradient: Tensor | None) -> Float[Tensor, "B n"]:
    """Return gradient times input; 0 where nothing depends on it."""
    return (leaf * (torch.zeros_like(leaf) if gradient is None else gradient)).detach().sum(-1)


def _maps_at(
    recorded: RecordedPolicy, run: slice, modules: list[AttentionModule]
) -> list[SaliencyMap]:
    """Return the maps of neighbouring steps."""
    present = recorded.present[run]
    by_name = _attention_at(recorded, run) if modules else {}
    specs = [map_spec(map_, full=True) for map_ in by_name.values()]
    map_steps = [_step_of_maps(by_name, t, mask) for t, mask in enumerate(present)]
    maps: list[SaliencyMap] = []
    for view in (MapView(spec, None) for spec in specs if spec.keys == "tokens"):
        weights = np.stack([view.token_weights(step) for step in map_steps])
        maps.append(SaliencyMap(view.spec.name, "attention", "; ".join(view.description), weights))
    gradients = gradients_at(recorded, run, modules)
    N, chain = present.shape[1], build_rollout_chain(specs, present.shape[1])
    if not chain.reason:
        weights = np.stack([chain.compute_row(step)[:N] for step in map_steps])
        description = "attention followed through all layers"
        maps.append(SaliencyMap(chain.spec.name, "attention", description, weights))
    if chain.names and chain.names <= gradients.weights.keys():
        weights = _gradient_rollout(chain, gradients, present)
        description = "attention times its gradient, all layers"
        maps.append(SaliencyMap(GRADIENT_ROLLOUT, "attention", description, weights))
    description = "gradient of the output for the action taken, times the embedding"
    return [*maps, SaliencyMap(GRADIENT, "gradient", description, gradients.tokens)]


def _attention_at(recorded: RecordedPolicy, run: slice) -> dict[str, AttentionMap]:
    """Return the attention of the extractor that acts in neighbouring steps, by name."""
    states = recorded.states[run]
    rows = torch.arange(len(states), device=recorded.policy.device)
    with torch.no_grad(), AttentionTap(recorded.policy) as tap:
        recorded.adapter.evaluate(states, rows)
        passed = tap.take()
    assert passed is not None, "an extractor ran and its tap got nothing"
    return {map_.name: map_ for map_ in passed.maps if map_.role == recorded.role}


def _gradient_rollout(
    chain: RolloutChain, gradients: Gradients, present: Bool[np.ndarray, "S N"]
) -> Float[np.ndarray, "S N"]:
    rows = []
    for t, mask in enumerate(present):
        if chain.readout is None:
            row = mask / max(mask.sum(), 1)
        else:
            row = gradients.weights[chain.readout.name][t].mean(0)[: len(mask)]
        layers = [gradients.weights[layer.name][t] for layer in chain.layers]
        rows.append(relevance(layers, row, mask))
    return np.stack(rows)


def _step_of_maps(maps: Mapping[str, AttentionMap], t: int, present: np.ndarray) -> Step:
    """Return a step that holds these maps alone."""
    heads = {
        name: None if map_.heads is None else map_.heads.float().cpu().numpy()
        for name, map_ in maps.items()
    }
    weights = {name: map_.weights[t].float().cpu().numpy() for name, map_ in maps.items()}
    return Step(observation={}, action=np.zeros(0), maps=weights, mask=present, heads=heads)


def split_into_runs(recorded: RecordedPolicy, steps: Int[np.ndarray, "S"]) -> list[slice]:
    """Split steps into runs of neighbours that are small enough for one pass."""
    limit = max(1, FLOATS_AT_ONCE // recorded.inputs.floats)
    runs: list[slice] = []
    for step in np.sort(steps).tolist():
        if runs and runs[-1].stop == step and step - runs[-1].start < limit:
            runs[-1] = slice(runs[-1].start, step + 1)
        else:
            runs.append(slice(step, step + 1))
    return runs


def _float32(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)
