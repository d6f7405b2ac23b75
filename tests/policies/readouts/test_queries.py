"""Learned queries equal torch's attention, and one of them is the readout `query`."""

from dataclasses import replace

import torch

from attention_agents.policies.testkit import build_module, example_tokens
from tests.policies.readouts.cases import B, N, made, maker, place_of, told
from tests.policies.readouts.references import by_torch


def test_queries_equal_torch():
    """Pooling by multi-head attention, with the norms first."""
    module, tokens = made("queries")
    query_block = module.query_block
    query, x = module.queries.expand(B, -1, -1), query_block.token_norm(tokens.values)
    read, weights = by_torch(query_block.attention, query_block.query_norm(query), x, tokens.mask)
    rows = query + read
    rows = rows + query_block.ffn(query_block.ffn_norm(rows))
    expected = torch.cat([rows[:, i] for i in range(3)], 1) @ module.output.weight.T
    torch.testing.assert_close(module(tokens), expected + module.output.bias, atol=1e-5, rtol=1e-4)
    heard = told(module, tokens)
    assert heard.weights.shape == (B, 3, 3, N)
    torch.testing.assert_close(heard.weights, weights, atol=1e-6, rtol=1e-5)
    assert (query_block.attention.queries, query_block.attention.query_source) == (
        "readout",
        "learned queries",
    )


def test_one_query_is_the_readout_query_projected():
    place = replace(place_of("queries"), num_queries=1)
    several, one = build_module(maker("queries", place)), build_module(maker("query", place))
    one.load_state_dict(
        {
            name.replace("queries", "query"): value
            for name, value in several.state_dict().items()
            if not name.startswith("output")
        }
    )
    tokens = example_tokens(place)
    torch.testing.assert_close(several(tokens), several.output(one(tokens)))
