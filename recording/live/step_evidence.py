"""The evidence of the very pass that chose an action, as a recording holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

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


class StepEvidence:
    """Compute the evidence of a policy's passes while it acts.

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

    def of_state(
        self, passed: TokenPass, index: int, action: np.ndarray, valid: Tensor | None
    ) -> np.ndarray | None:
        """Return the evidence of one state of a pass, (M, N) float32; rows of NaN where undefined.

        Args:
            passed: of the pass that chose the action.
            index: which of its rows.
            action: that was taken.
            valid: which choices were valid, (1, choices); None where all were.

        Returns:
            None where the gradient is not finite.
        """
        own = passed.select_states(slice(index, index + 1))
        if self.baseline.runs_along:
            self._evidence.means.update(own.tokens[self.role])
        device = own.tokens[self.role][0].values.device
        actions = torch.as_tensor(np.asarray(action), device=device)[None]
        values = self._evidence.of(own, actions, valid).values[0].float().cpu().numpy()
        undefined = np.isnan(values).all(-1, keepdims=True)
        return values if (np.isfinite(values) | undefined).all() else None
