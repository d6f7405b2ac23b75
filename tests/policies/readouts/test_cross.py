"""Tokens of one key ask those of the others."""

from dataclasses import replace

import torch

from attention_agents.policies.testkit import build_module, example_tokens, without_mask
from tests.policies.readouts.cases import B, N, P, T, made, maker, place_of, told
from tests.policies.readouts.references import by_torch


def test_cross_equals_torch():
    module, tokens = made("cross")
    tokens.mask[0, 0], tokens.mask[1, 1] = True, False  # one token of the goal in each sample
    query_block = module.query_block
    query, x = tokens.values[:, :2], query_block.token_norm(tokens.values)
    others = tokens.mask & torch.tensor([False, False, True, True, True])
    read, weights = by_torch(query_block.attention, query_block.query_norm(query), x, others)
    rows = query + read
    rows = rows + query_block.ffn(query_block.ffn_norm(rows))
    torch.testing.assert_close(module(tokens), rows[:, 0], atol=1e-5, rtol=1e-4)
    heard = told(module, tokens)
    assert heard.weights.shape == (B, 3, 2, N)
    torch.testing.assert_close(heard.weights[:, :, 0], weights[:, :, 0], atol=1e-6, rtol=1e-5)
    assert heard.weights[:, :, 1].eq(0).all() and torch.equal(heard.mask, tokens.mask)
    assert (query_block.attention.queries, query_block.attention.query_source) == (
        "asking tokens",
        "goal",
    )


def test_cross_takes_the_mean_of_the_askers_in_any_order():
    module, tokens = made("cross")
    tokens = without_mask(tokens)
    moved = tokens._replace(values=tokens.values[:, [1, 0, 4, 2, 3]], places=None)
    torch.testing.assert_close(module(moved), module(tokens), atol=1e-6, rtol=1e-5)
    elsewhere = tokens._replace(values=tokens.values[:, [2, 3, 0, 1, 4]])
    assert not torch.allclose(module(elsewhere), module(tokens))
    each = [
        module(tokens._replace(mask=torch.tensor([alone] * B)))
        for alone in ([True, False, True, True, True], [False, True, True, True, True])
    ]
    torch.testing.assert_close(module(tokens), (each[0] + each[1]) / 2, atol=1e-6, rtol=1e-5)


def test_cross_gives_a_learned_vector_where_nobody_asks():
    module, tokens = made("cross")
    tokens.mask[:, :2] = False
    assert torch.equal(module(tokens), module.empty_vector.expand(B, -1))
    assert told(module, tokens).weights.eq(0).all()


def test_cross_takes_all_frames_of_a_key():
    place = replace(place_of("attention-gru-dict"), query_source="image")
    heard = told(build_module(maker("cross", place)), without_mask(example_tokens(place)))
    assert heard.weights.shape == (B, 3, T * P, 2 + T * P)
    assert heard.weights[..., :2].gt(0).all() and heard.weights[..., 2:].eq(0).all()
