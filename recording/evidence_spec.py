"""What the evidence of a recording means: for what, against which baseline, at which tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from attention_agents.envs.tokens.json_reader import Index
from attention_agents.recording.map_spec import LONGEST_TEXT, LONGEST_WORD

Baseline = Literal["mean", "zero"]
"""What a token is compared with: its mean over some states, or zeros."""


@dataclass(frozen=True)
class EvidenceSpec:
    """Signed evidence: how much each token contributed to what the policy decided.

    evidence_i = (x_i - baseline_i) . d margin / d x_i, with x_i the values of token i in the pass
    that chose the action. Above 0 it speaks for, below 0 against, see `margin`.
    """

    components: tuple[str, ...]
    """Names of the M parts of an action that are explained one by one: one of a discrete action,
    each dimension of a continuous one."""
    margin: str
    """What is explained, in words, such as "logit of the action taken against all other valid
    ones"."""
    baseline: Baseline = "mean"
    """What tokens are compared with: their mean over states, or zeros."""
    baseline_states: Index = 0
    """Over how many states that mean was taken; 0 for zeros, and where it ran along with the
    recording."""
    baseline_source: str = ""
    """Which states these were, in words."""
    tokens: str = "tokens"
    """What the tokens are, such as "numbers" or "cells of the last convolution"."""

    def __post_init__(self) -> None:
        texts = tuple((name, LONGEST_WORD) for name in self.components)
        sentences = (self.margin, self.tokens, self.baseline_source)
        texts += tuple((sentence, LONGEST_TEXT) for sentence in sentences)
        if (
            any(len(text) > most or not text.isprintable() for text, most in texts)
            or not all((self.components, self.margin, self.tokens, *self.components))
            or self.baseline not in get_args(Baseline)
            or self.baseline_states < 0
        ):
            raise ValueError(f"not a description of evidence: {self}")

    @property
    def baseline_text(self) -> str:
        """The baseline in words."""
        if self.baseline == "zero":
            return "against zeros"
        count = f"{self.baseline_states} states" if self.baseline_states else "states"
        return f"against each token's mean over {self.baseline_source or count}"
