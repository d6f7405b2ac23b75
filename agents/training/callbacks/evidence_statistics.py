"""Where the evidence of a policy lies while it trains: numbers for TensorBoard."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from attention_agents.agents.rollouts.episodes import stack_observations
from attention_agents.agents.rollouts.policy_calls import Observation
from attention_agents.agents.training.callbacks.observation_sample import SampleCallback
from attention_agents.policies.inspect.evidence import Evidence
from attention_agents.policies.inspect.token_capture import TokenCapture

NOT_IN_TABLES = ("csv", "stdout", "log")
"""Outputs of SB3's logger that have no room for long names."""
MAX_NAMED = 32
"""Tokens of an observation of one group have a number each where there are at most so many."""


class EvidenceStatisticsCallback(SampleCallback):
    """Record the share of absolute evidence on each group of tokens, and how far it spreads.

    It is the evidence for the likeliest actions in the latest observations of the training itself,
    against each token's mean over them, under names such as `evidence/share/pole angle`. Where the
    observation is one group of few tokens, each token has a share. Policies with a memory or with
    masks need more than an observation, and those of unknown networks cannot be looked into: they
    are left out. It draws nothing at random and trains bit for bit as without it.

    Args:
        interval: environment steps between two measurements.
    """

    def on_interval(self) -> None:
        evidence = find_evidence(self.model.policy)
        if evidence is None:
            return
        observations = stack_observations(self.sample, np.concatenate)
        for name, value in evidence_statistics(self.model.policy, evidence, observations).items():
            self.logger.record(f"evidence/{name}", value, exclude=NOT_IN_TABLES)


def find_evidence(policy: Any) -> Evidence | None:
    """Return how to compute a policy's evidence from observations alone; None where that cannot
    be."""
    try:
        evidence = Evidence(policy)
    except ValueError:
        return None
    adapter = evidence.adapter
    return None if adapter.is_recurrent or adapter.masks_actions else evidence


def evidence_statistics(
    policy: Any, evidence: Evidence, observations: Observation
) -> dict[str, float]:
    """Return shares of absolute evidence by name, and over how many tokens it spreads.

    Args:
        policy: of Stable-Baselines3.
        evidence: of it; its means are taken over these observations.
        observations: B of them, as the policy takes them.

    Returns:
        Empty where no observation has any evidence.
    """
    with TokenCapture(policy) as capture:
        actions, _ = policy.predict(observations, deterministic=True)
        passed = capture.take()
    assert passed is not None, "the policy acted, and its tokens were not seen"
    evidence.means.update(passed.tokens[evidence.role])
    device = passed.tokens[evidence.role][0].values.device
    values = evidence.of(passed, torch.as_tensor(actions, device=device)).values  # (B, M, N)
    shares = absolute_shares(values.nan_to_num().flatten(0, 1))
    if shares is None:
        return {}
    layout = evidence.inputs.layout
    if len(layout.groups) == 1:
        named = dict(zip(layout.names, shares.tolist(), strict=True))
        named = named if len(named) <= MAX_NAMED else {}
    else:
        pairs = zip(layout.groups, layout.slices, strict=True)
        named = {(g.key or g.kind): float(shares[part].sum()) for g, part in pairs}
    spread = torch.special.entr(shares).sum().exp()
    named = {f"share/{_tensorboard_name(name)}": share for name, share in named.items()}
    return {**named, "effective_tokens": float(spread)}


def absolute_shares(values: Float[torch.Tensor, "R N"]) -> Float[torch.Tensor, "N"] | None:
    """Return each token's share of the absolute evidence, the mean over rows; None where no row
    has any."""
    sizes = values.abs()
    totals = sizes.sum(1, keepdim=True)
    rows = (sizes / totals.clamp(min=1e-30))[totals[:, 0] > 0]
    return rows.mean(0) if len(rows) else None


def _tensorboard_name(text: str) -> str:
    """Return text that may stand in a name of TensorBoard."""
    return re.sub(r"[^\w .-]+", "_", text)
