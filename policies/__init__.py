"""Seeing and thinking: tokens, attention, readout, and the tap that watches them."""

from policies.attention import Mechanism
from policies.extractor import AttentionExtractor
from policies.pointer import PointerPolicy
from policies.tap import AttentionMap, AttentionTap, Pass, extractors_of
from policies.tokens import Tokens

__all__ = [
    "AttentionExtractor",
    "AttentionMap",
    "AttentionTap",
    "Mechanism",
    "Pass",
    "PointerPolicy",
    "Tokens",
    "extractors_of",
]
