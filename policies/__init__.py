"""Seeing and thinking: tokens, attention, readout, and the tap that watches them."""

from policies.extractor import AttentionExtractor
from policies.tap import AttentionMap, AttentionTap, Pass, extractors_of

__all__ = ["AttentionExtractor", "AttentionMap", "AttentionTap", "Pass", "extractors_of"]
