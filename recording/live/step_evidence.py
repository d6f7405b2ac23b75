"""The evidence of the very pass that chose an action, as a recording holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.inspect.evidence import Evidence
from attention_agents.policies.inspect.token_capture import TokenCapture, TokenMeans, TokenPass
from attention_agents.recording.evidence_spec import EvidenceSpec
from attention_agents.recording.header import ActionKind
from attention_agents.recording.map_spec import LONGEST_WORD

RUNNING = "the states recorded so far"
TOKEN_WORDS = {
    "features": "numbers",
    "patches": "cells of the last convolution",
    "cells": "cells",
    "entities": "entities",
    "history": "steps of the history",
}
"""What tokens are called, by the kind of their group."""


@dataclass
class EvidenceBaseline:
    """What the tokens of a recording are compared with.

    Without means of its own it is each token's mean over the states recorded so far: the evidence
    of the first states is then small. `recording.live.warm_up` takes means beforehand.
    """

    kind: Literal["mean", "zero"] = "mean"
    means: TokenMeans = field(default_factory=TokenMeans)
    """Of the tokens of the acting extractor."""
    source: str = ""
    """Over which states these means were taken, in words; "" where they run along."""

    @property
    def runs_along(self) -> bool:
        """Whether every recorded state is added to the means."""
        return self.kind == "mean" and not self.source


BATCH = 16
"""States whose evidence is computed at once: a chunk that is written holds whole batches."""


class StepEvidence:
    """Compute the evidence of a policy's passes while it acts, from those passes' own tokens.

    One backward pass serves several states: their tokens are held until `compute_pending`, which an
    optimizer calls before it changes the weights.

    Args:
        policy: of Stable-Baselines3 or sb3-contrib.
        baseline: what its tokens are compared with.

    Raises:
        ValueError: the policy's networks, or its extractor, are not of a known kind.
    """

    def __init__(self, policy: Any, baseline: EvidenceBaseline):
        self.baseline = baseline
        self._evidence = Evidence(policy, baseline.kind, baseline.means)
        self.capture = TokenCapture(policy)
        self._weights = list(policy.parameters())
        self._versions = 0
        self._pending: list[_PendingState] = []
        self._hook: RemovableHandle | None = None

    @property
    def role(self) -> str:
        """Of the extractor that chooses the action."""
        return self._evidence.role

    @property
    def layout(self) -> TokenLayout:
        return self._evidence.inputs.layout

    def spec(self, kind: ActionKind, names: Sequence[str]) -> EvidenceSpec:
        """Describe the evidence.

        Args:
            kind: of the actions.
            names: of the A choices or dimensions.
        """
        baseline, M = self.baseline, self._evidence.components
        if kind == "discrete":
            names = ("action",)
        elif kind == "multi_discrete":
            names = tuple(f"part {part}" for part in range(M))
        words = dict.fromkeys(TOKEN_WORDS.get(g.kind, g.kind) for g in self.layout.groups)
        is_mean = baseline.kind == "mean"
        return EvidenceSpec(
            components=tuple(name[:LONGEST_WORD] for name in names),
            margin=self._evidence.margin_text,
            baseline=baseline.kind,
            baseline_states=0 if baseline.runs_along else baseline.means.states * is_mean,
            baseline_source=(baseline.source or RUNNING) * is_mean,
            tokens=" and ".join(words),
        )

    def add_state(
        self, passed: TokenPass, index: int, action: np.ndarray, valid: Tensor | None
    ) -> np.ndarray:
        """Take note of a state; return its evidence, (M, N) float32, NaN until it is computed.

        Args:
            passed: of the pass that chose the action.
            index: which of its rows.
            action: that was taken.
            valid: which choices were valid, (1, choices); None where all were.
        """
        versions = self._weight_versions()
        if self._pending and versions != self._versions:
            self._pending.clear()  # their weights are gone
        self._versions = versions
        shape = self._evidence.components, len(self.layout)
        rows = np.full(shape, np.nan, np.float32)
        own = passed.select_states(slice(index, index + 1))
        self._pending.append(_PendingState(own, np.asarray(action), valid, rows))
        return rows

    def compute_pending(self, *_: object) -> None:
        """Compute the evidence of the states since the last call, all at once.

        Where it is not finite, and where the weights that chose the action were overwritten by
        anything but an optimizer, it stays NaN.
        """
        pending, self._pending = self._pending, []
        if not pending or self._weight_versions() != self._versions:
            return
        passed = TokenPass.concatenate([state.passed for state in pending])
        tokens = passed.tokens[self.role]
        running = None
        if self.baseline.runs_along:
            running = self._evidence.means.update_one_by_one(tokens)
        device = tokens[0].values.device
        actions = torch.as_tensor(np.stack([state.action for state in pending]), device=device)
        valid = _join_valid([state.valid for state in pending])
        values = self._evidence.of(passed, actions, valid, running).values  # (B, M, N)
        values = values.float().cpu().numpy()
        values[~np.isfinite(values).all(-1)] = np.nan
        for state, rows in zip(pending, values, strict=True):
            state.rows[:] = rows

    def attach(self) -> None:
        """Start to listen; an optimizer then waits until what is pending is computed."""
        self.capture.attach()
        if self._hook is None:
            self._hook = register_optimizer_step_pre_hook(self.compute_pending)

    def detach(self) -> None:
        """Stop to listen, and compute what is pending."""
        self.capture.detach()
        self.compute_pending()
        if self._hook is not None:
            self._hook.remove()
        self._hook = None

    def _weight_versions(self) -> int:
        """Return a number that changes whenever a weight is written to."""
        return sum(weight._version for weight in self._weights)


class _PendingState(NamedTuple):
    """A state whose evidence is not computed yet."""

    passed: TokenPass
    """Of this state alone."""
    action: np.ndarray
    valid: Tensor | None
    rows: np.ndarray
    """(M, N), to be filled."""


def _join_valid(masks: Sequence[Tensor | None]) -> Tensor | None:
    """Return which choices were valid, (B, choices); None where all were, in every state."""
    known = [mask for mask in masks if mask is not None]
    if not known:
        return None
    every = torch.ones_like(known[0])
    return torch.cat([every if mask is None else mask for mask in masks])
