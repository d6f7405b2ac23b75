"""Listen to the passes of a policy: their maps, where it has attention, and their tokens."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.inspect.attention_modules import (
    acting_role,
    attention_modules,
    token_layouts,
)
from attention_agents.policies.inspect.tap import AttentionMap, AttentionTap, probe_maps
from attention_agents.policies.inspect.token_capture import TokenPass
from attention_agents.recording.live.step_evidence import EvidenceBaseline, StepEvidence


class ListenedPass(NamedTuple):
    """The latest pass of a policy."""

    maps: tuple[AttentionMap, ...]
    """Empty where the policy has no attention."""
    features: dict[str, Float[Tensor, "B D"]]
    """The extractor's output by role."""
    tokens: TokenPass | None
    """None where no evidence is wanted, or the acting extractor was not called."""


class PassListener:
    """Hear the passes of a policy while attached. Changes no number.

    Args:
        policy: of Stable-Baselines3 or sb3-contrib.
        evidence: whether evidence is wanted, where the policy's networks are of a known kind.
        baseline: of the evidence; None for means that run along.

    Raises:
        ValueError: there is neither attention nor evidence to hear.
    """

    def __init__(self, policy: Any, evidence: bool, baseline: EvidenceBaseline | None = None):
        self._policy = policy
        self._tap = AttentionTap(policy) if attention_modules(policy) else None
        self.evidence: StepEvidence | None = None
        """How evidence is computed; None where it is not wanted, or cannot be."""
        if evidence:
            self.evidence = self._find_evidence(baseline or EvidenceBaseline())
        if self._tap is None and self.evidence is None:
            AttentionTap(policy)  # refuses a policy without attention
        if self.evidence is not None and self._tap is None:
            self.role, self.layout = self.evidence.role, self.evidence.layout
        else:
            layouts = token_layouts(policy)
            self.role = acting_role(layouts)
            self.layout: TokenLayout = layouts[self.role]

    @property
    def has_attention(self) -> bool:
        """Whether the policy has attention."""
        return self._tap is not None

    def attach(self) -> None:
        """Start to listen."""
        if self._tap is not None:
            self._tap.attach()
        if self.evidence is not None:
            self.evidence.attach()

    def detach(self) -> None:
        """Stop to listen."""
        if self._tap is not None:
            self._tap.detach()
        if self.evidence is not None:
            self.evidence.detach()

    def take(self) -> ListenedPass | None:
        """Return the latest pass since the last call, or None, and forget it."""
        tokens = None if self.evidence is None else self.evidence.capture.take()
        if self._tap is None:
            return None if tokens is None else ListenedPass((), tokens.features, tokens)
        heard = self._tap.take()
        return None if heard is None else ListenedPass(*heard, tokens)

    def probe_maps(self) -> list[AttentionMap]:
        """Return what the maps of the acting extractor will look like; none without attention."""
        if self._tap is None:
            return []
        return [map_ for map_ in probe_maps(self._policy).maps if map_.role == self.role]

    def _find_evidence(self, baseline: EvidenceBaseline) -> StepEvidence | None:
        try:
            return StepEvidence(self._policy, baseline)
        except ValueError:
            if self._tap is None:
                raise
            return None  # attention alone is recorded of a policy of an unknown kind
