"""What every word of the catalogue makes of a gate: a table, from gates built with each word."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.gate.attention_gate import AttentionGate, GateConfig
from attention_agents.policies.gate.blocks_gate import BlocksGate, GatePlan
from attention_agents.policies.registries import REGISTRIES

N, TOP_K = 12, 4
LARGEST = {float(N): "N", 2.0: "2"}
HEIGHTS = (*(i / 20 for i in range(1, 20)), 60.0)
OPTIONS = ("score", "normalizer", "hard_attention", "head_mixing", "visibility", "positions")


class GateOfWord(NamedTuple):
    """A gate built with one word, measured."""

    option: str
    word: str
    at_zero: str
    """At logits of 0."""
    largest: str
    """Over all logits, with floor 0."""
    refused: str
    """Why there is none; empty where there is one."""


def measure_words() -> Iterator[GateOfWord]:
    """Yield every word of our own that an attention config takes."""
    for option in OPTIONS:
        for word in REGISTRIES[option].builtin:
            config = replace(AttentionConfig(top_k=TOP_K), **{option: word})
            try:
                yield GateOfWord(option, word, *_measure_gate(config), "")
            except ValueError as error:
                yield GateOfWord(option, word, "", "", str(error))


def gate_table() -> str:
    """Return the table of all words in Markdown."""
    lines = ["| option | word | gate at zero logits | largest | refused |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in measure_words()]
    return "\n".join(lines)


def _cells(row: GateOfWord) -> tuple[str, ...]:
    return row.option, f"`{row.word}`", row.at_zero, row.largest, row.refused


def _measure_gate(config: AttentionConfig) -> tuple[str, str]:
    """Return the gate at zero logits, and the largest that any logits can bring."""
    grid = TokenGroup("cells", tuple(f"c{i}" for i in range(N)), grid=(3, 4), offsets=None)
    plan = GatePlan(gate=GateConfig(floor=0.0), attention=config)
    gate: Any = plan.build(TokenLayout((grid,)), 4)
    assert isinstance(gate, AttentionGate) and not isinstance(gate, BlocksGate)
    x = torch.ones(1, 4, N)
    with torch.no_grad():
        start = gate(x)
        largest = 0.0
        for height, count in itertools.product(HEIGHTS, range(1, N)):
            gate.static[:] = 0.0
            gate.static[:, :count] = height  # so many tokens that far above the others
            largest = max(largest, float(gate(x).max()))
    at_zero = "1" if (start - 1).abs().max() < 1e-5 else f"{start.min():.2g} to {start.max():.2g}"
    return at_zero, LARGEST.get(round(largest, 3), f"{largest:.3g} of N = {N}")
