"""Votes are the columns of self-attention added up, by a plain loop and by hand."""

import math

import numpy as np
import torch
from torch import Tensor

from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.tokens import Tokens
from tests.policies.readouts.cases import B, K, N, made, told


def naive_votes(q: np.ndarray, k: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Add up the columns of softmax attention (N, N) over present rows, in plain loops."""
    count = len(q)
    votes = np.zeros(count)
    for i in range(count):
        if mask[i]:
            raised = [math.exp(q[i] @ k[n] / math.sqrt(q.shape[1])) * mask[n] for n in range(count)]
            votes += np.array(raised) / sum(raised)
    return votes / mask.sum()


def pooled_by(module: Readout, tokens: Tokens, weights: Tensor) -> Tensor:
    """Return what the readout makes of the values at some weights."""
    attention = module.attention
    v = attention.value(module.norm(tokens.values)).view(B, N, 3, K).transpose(1, 2)
    pooled = attention.output((weights @ v).transpose(1, 2).reshape(B, 3 * K))
    return pooled + module.ffn(module.ffn_norm(pooled))


def test_votes_follow_the_formula():
    module, tokens = made("votes")
    attention = module.attention
    x = module.norm(tokens.values)
    q, k = attention.inputs(x).detach().double().view(B, N, 2, 3, K).unbind(2)  # (B, N, H, K)
    mask = tokens.mask.numpy()
    votes = np.stack(
        [
            [naive_votes(q[b, :, h].numpy(), k[b, :, h].numpy(), mask[b]) for h in range(3)]
            for b in range(B)
        ]
    )
    heard = told(module, tokens)
    expected = torch.tensor(votes)[:, :, None]
    torch.testing.assert_close(heard.weights.double(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        module(tokens), pooled_by(module, tokens, heard.weights), atol=1e-5, rtol=1e-4
    )
    assert (attention.queries, attention.query_source) == ("readout", "votes")


def test_votes_by_hand():
    """Of 2 tokens the first gives 3/4 to itself and the second 1/2: together 5/8."""
    module, _ = made("votes", heads=1)
    rows = torch.tensor([[[[0.75, 0.25], [0.5, 0.5]]]])
    votes, seen = module.attention.count_votes(rows, None, None)
    assert votes.tolist() == [[[[0.625, 0.375]]]] and seen is None
    only = torch.tensor([[False, True]])
    votes, seen = module.attention.count_votes(rows, only[:, None, None], only)
    assert votes.tolist() == [[[[0.5, 0.5]]]] and seen.tolist() == [[[[False, True]]]]


def test_hard_votes_choose_among_votes_and_not_in_each_row():
    soft, tokens = made("votes")
    hard, _ = made("votes", hard_attention="top-k", top_k=2)
    votes, heard = told(soft, tokens).weights, told(hard, tokens)
    torch.testing.assert_close(heard.soft, votes)
    best = votes.topk(2, -1)
    assert torch.equal(heard.weights.ne(0).nonzero(), (votes >= best.values[..., -1:]).nonzero())
    expected = pooled_by(hard, tokens, heard.weights)
    torch.testing.assert_close(hard(tokens), expected, atol=1e-5, rtol=1e-4)
    total = best.values.sum(-1)
    torch.testing.assert_close(
        heard.weights.topk(2, -1).values, best.values / total[..., None], atol=1e-6, rtol=1e-5
    )
