"""The token of the present step asks the history."""

from dataclasses import replace

import torch

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.testkit import build_module
from tests.policies.readouts.cases import B, N, features, made, maker, place_of, told
from tests.policies.readouts.references import by_torch


def test_present_asks_with_the_token_of_offset_0():
    module, tokens = made("present")
    tokens = tokens._replace(mask=torch.ones(B, N, dtype=torch.bool))
    query_block, row = module.query_block, tokens.values[:, -1:]
    x = query_block.token_norm(tokens.values)
    read, weights = by_torch(query_block.attention, query_block.query_norm(row), x, tokens.mask)
    row = row + read
    expected = (row + query_block.ffn(query_block.ffn_norm(row)))[:, 0]
    torch.testing.assert_close(module(tokens), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(told(module, tokens).weights, weights, atol=1e-6, rtol=1e-5)
    assert query_block.attention.query_source == "present step"


def test_present_finds_the_step_wherever_it_stands():
    backwards = TokenLayout((TokenGroup("history", ("now", "then"), offsets=(0, -1)), features(3)))
    place = replace(place_of("present"), layout=backwards)
    assert build_module(maker("present", place)).row == 0
