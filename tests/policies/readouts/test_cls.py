"""The CLS token reads as the last row of self-attention over tokens and itself."""

import torch

from attention_agents.policies.readouts.cls import CLSToken
from tests.policies.readouts.cases import B, N, made, told
from tests.policies.readouts.references import by_torch


def test_cls_is_the_last_row_of_self_attention_over_tokens_and_cls():
    module, tokens = made("cls")
    assert isinstance(module, CLSToken)
    x = torch.cat([tokens.values, module.token.expand(B, -1, -1)], 1)
    there = torch.cat([tokens.mask, torch.ones(B, 1, dtype=torch.bool)], 1)
    normed = module.norm(x)
    read, weights = by_torch(module.attention, normed, normed, there)
    x = x + read
    x = x + module.ffn(module.ffn_norm(x))
    torch.testing.assert_close(module(tokens), x[:, -1], atol=1e-5, rtol=1e-4)
    heard = told(module, tokens)
    assert heard.weights.shape == (B, 3, 1, N + 1)
    torch.testing.assert_close(heard.weights, weights[:, :, -1:], atol=1e-6, rtol=1e-5)
    assert torch.equal(heard.mask, tokens.mask)
    assert module.attention.extra_keys == ("CLS",)


def test_cls_reads_itself_alone_where_there_is_nothing():
    module, tokens = made("cls")
    weights = told(module, tokens._replace(mask=torch.zeros(B, N, dtype=torch.bool))).weights
    assert weights[..., -1].eq(1).all() and weights[..., :-1].eq(0).all()
