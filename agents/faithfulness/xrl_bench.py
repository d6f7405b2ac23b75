"""The measures of XRL-Bench: does a map name what decides, and does it stay when little changes?

They are taken on what attention reads, the tokens, in place of the numbers of the observation; for
a policy whose tokens are numbers that is the same.

Source: Xiong et al. 2024, XRL-Bench: a benchmark for evaluating and comparing explainable
reinforcement learning techniques, section 3.3, https://arxiv.org/abs/2402.12685, and its code,
https://github.com/fuxiAIlab/xrl-bench (`k=3`, `is_abs=True`, noise of 0.5). Differs: no more
than half of the tokens are important; relative changes are measured in magnitudes, for its code
clips what is below 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attention_agents.agents.faithfulness.recorded_policy import RecordedPolicy
from attention_agents.agents.faithfulness.saliency_maps import (
    SaliencyMap,
    attention_maps,
    evidence_map,
    split_into_runs,
)
from attention_agents.policies.inspect.action_distribution import PolicyOutputs

K = 3
"""Most tokens that count as the important ones, and as the unimportant ones."""
NOISE = 0.5
"""Standard deviation of the noise that is added to tokens."""
LEAST = 1e-3
"""Magnitude below which a relative change is not measured."""
SEED = 0

SOURCE = "Xiong et al. 2024, XRL-Bench, https://arxiv.org/abs/2402.12685, section 3.3; on tokens"
MEASURES = {
    "aim": ("lower", "share of actions that stay when the k heaviest tokens are zeros"),
    "aum": ("higher", "share of actions that stay when the k lightest tokens are zeros"),
    "pgi": ("higher", "change of the prediction when noise is added to the k heaviest tokens"),
    "pgu": ("lower", "change of the prediction when noise is added to the k lightest tokens"),
    "ris": ("lower", "largest relative change of the map by that of the tokens, with noise on all"),
}
"""Which direction is better, and what is measured. The prediction is the probability or Q value of
the action, or the mean of a continuous action's numbers. `ris` is given for maps of one pass."""


class XrlScores(NamedTuple):
    """The measures of one map at S steps, see `MEASURES`."""

    aim: Bool[np.ndarray, "S"]
    aum: Bool[np.ndarray, "S"]
    pgi: Float[np.ndarray, "S"]
    pgu: Float[np.ndarray, "S"]
    ris: Float[np.ndarray, "S"]
    """NaN for a map that one pass does not give."""


def extreme_count(N: int) -> int:
    """Return k, how many of N tokens count as important, and how many as unimportant."""
    return max(1, min(K, N // 2))


def score_maps(
    recorded: RecordedPolicy, maps: list[SaliencyMap], steps: Int[np.ndarray, "S"]
) -> dict[str, XrlScores]:
    """Return the measures of maps at some steps, by name.

    Args:
        maps: at these steps.
    """
    sampled = recorded.select_steps(steps)
    generator = torch.Generator().manual_seed(SEED)
    noise = [
        (NOISE * torch.randn(len(steps), len(part.index), part.width, generator=generator)).to(
            recorded.policy.device
        )
        for part in recorded.inputs.parts
    ]
    shaken, moved = _shaken_maps(sampled, noise)
    scores = {}
    for map_ in maps:
        heavy, light = _extremes(np.abs(map_.rows), sampled.present)
        aim, pgi = _outcomes(sampled, heavy, noise)
        aum, pgu = _outcomes(sampled, light, noise)
        ris = np.full(len(steps), np.nan)
        if map_.name in shaken:
            change = map_.rows - shaken[map_.name].rows
            ris = _relative(change, map_.rows) / np.maximum(moved, LEAST)
        scores[map_.name] = XrlScores(aim, aum, pgi, pgu, ris)
    return scores


def _outcomes(
    recorded: RecordedPolicy, chosen: Bool[np.ndarray, "S N"], noise: list[Tensor]
) -> tuple[Bool[np.ndarray, "S"], Float[np.ndarray, "S"]]:
    """Return whether actions stay when tokens are zeros, and how predictions change by noise."""
    none = np.zeros_like(chosen)
    kind = recorded.kind
    zeroed = recorded.outputs_perturbed(chosen, none, noise)
    before = kind.likeliest_actions(recorded.outputs)
    stays = ~kind.actions_changed(before, kind.likeliest_actions(zeroed))
    noisy = recorded.outputs_perturbed(none, chosen, noise)
    gap = np.abs(_prediction(recorded, noisy) - _prediction(recorded, recorded.outputs))
    return stays, gap.mean(1)


def _prediction(recorded: RecordedPolicy, outputs: PolicyOutputs) -> Float[np.ndarray, "S G"]:
    """Return the probability or the Q value of the action taken, or the mean action."""
    kind, actions = recorded.kind, recorded.states.actions
    if not kind.is_choice:
        rows = kind.likeliest_actions(outputs)
        return rows.reshape(len(rows), -1).astype(np.float64)
    targets = kind.gradient_targets(outputs, actions).detach().cpu().numpy().astype(np.float64)
    return np.exp(targets) if kind.name == "probabilities" else targets


def _shaken_maps(
    recorded: RecordedPolicy, noise: list[Tensor]
) -> tuple[dict[str, SaliencyMap], Float[np.ndarray, "S"]]:
    """Return the maps of one pass with noise on all tokens, and the tokens' relative change."""
    shaken: dict[str, list[SaliencyMap]] = {}
    moved = []
    for run in split_into_runs(recorded, np.arange(len(recorded.present))):
        own = recorded.select_steps(np.arange(run.start, run.stop))
        none = torch.zeros(own.present.shape, dtype=torch.bool, device=recorded.policy.device)
        at_run = [part[run] for part in noise]
        steps = np.arange(len(own.present))
        tokens = own.tokens_at(slice(0, len(steps)))
        with own.removal.perturb_tokens(torch.as_tensor(steps), none, ~none, at_run):
            for map_ in (evidence_map(own, steps), *attention_maps(own, steps)):
                shaken.setdefault(map_.name, []).append(map_)
        x = torch.cat([part.values.flatten(1) for part in tokens], 1).cpu().numpy()
        moved.append(_relative(torch.cat([p.flatten(1) for p in at_run], 1).cpu().numpy(), x))
    joined = {name: _join(parts) for name, parts in shaken.items()}
    return joined, np.concatenate(moved)


def _join(parts: list[SaliencyMap]) -> SaliencyMap:
    first = parts[0]
    rows = np.concatenate([part.rows for part in parts])
    return SaliencyMap(first.name, first.family, first.description, rows)


def _extremes(
    weights: Float[np.ndarray, "S N"], present: Bool[np.ndarray, "S N"]
) -> tuple[Bool[np.ndarray, "S N"], Bool[np.ndarray, "S N"]]:
    """Return the k heaviest of the present tokens at each step, and the k lightest."""
    heavy, light = np.zeros_like(present), np.zeros_like(present)
    k = extreme_count(present.shape[1])
    for s, (row, here) in enumerate(zip(weights, present, strict=True)):
        tokens = np.flatnonzero(here)
        order = tokens[np.argsort(row[tokens], kind="stable")]
        light[s, order[:k]] = True
        heavy[s, order[::-1][:k]] = True
    return heavy, light


def _relative(
    change: Float[np.ndarray, "S W"], value: Float[np.ndarray, "S W"]
) -> Float[np.ndarray, "S"]:
    """Return the Euclidean norm of changes relative to what they change."""
    return np.linalg.norm(change / np.maximum(np.abs(value), LEAST), axis=1)
