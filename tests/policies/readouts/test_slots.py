"""Slots compete for tokens as in algorithm 1 of Locatello et al. 2020, and by hand."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from attention_agents.policies.readouts.readout import Readout
from tests.policies.readouts.cases import B, K, N, made, told


def naive_slots(module: Readout, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Run algorithm 1 of Locatello et al. 2020 for one sample and one head, token by token."""
    attention = module.attention
    D = x.shape[1]
    inputs = F.layer_norm(x, (D,), attention.token_norm.weight, attention.token_norm.bias)[there]
    to_k, to_v = attention.inputs.weight[:D], attention.inputs.weight[D:]
    slots = list(module.slots[0])
    for _ in range(3):
        before = slots
        normed = [attention.slot_norm(slot) for slot in slots]
        attn = torch.zeros(len(slots), len(inputs))
        for n, token in enumerate(inputs):
            dots = [(to_k @ token) @ (attention.query.weight @ s) / math.sqrt(D) for s in normed]
            raised = torch.stack(dots).exp()
            attn[:, n] = raised / raised.sum()
        weights = attn + 1e-8
        weights = weights / weights.sum(1, keepdim=True)
        slots = []
        for s, previous in enumerate(before):
            update = sum(weights[s, n] * (to_v @ token) for n, token in enumerate(inputs))
            slot = attention.gru(update[None], previous[None])[0]
            slots.append(slot + attention.mlp(attention.mlp_norm(slot)))
    return torch.stack(slots), weights


def test_slots_follow_the_algorithm():
    module, tokens = made("slots", heads=1)
    weights = told(module, tokens).weights
    for b in range(B):
        there = tokens.mask[b]
        slots, expected = naive_slots(module, tokens.values[b], there)
        torch.testing.assert_close(weights[b, 0][:, there], expected, atol=1e-5, rtol=1e-4)
        out = module.output(slots.flatten())
        torch.testing.assert_close(module(tokens)[b], out, atol=1e-5, rtol=1e-4)
    assert (module.attention.queries, module.attention.normalized_over) == ("slots", "keys")


def test_slots_by_hand():
    """Slot 0 wins 3/4 of token 0 and 1/2 of token 1: it reads them 3 to 2, slot 1 reads 1 to 2."""
    module, _ = made("slots", heads=1)
    q = torch.tensor([[[[1.0], [0.0]]]])
    k = torch.tensor([[[[math.log(3)], [0.0]]]])
    weights = module.attention.compete_for_tokens(q, k, None)
    torch.testing.assert_close(weights, torch.tensor([[[[0.6, 0.4], [1 / 3, 2 / 3]]]]))
    alone = module.attention.compete_for_tokens(q, k, torch.tensor([[False, True]]))
    assert alone.tolist() == [[[[0.0, 1.0], [0.0, 1.0]]]]


def test_a_slot_that_wins_next_to_nothing_still_reads():
    module, _ = made("slots", heads=1)
    q, k = torch.tensor([[[[100.0], [-100.0]]]]), torch.ones(1, 1, 3, 1)
    torch.testing.assert_close(
        module.attention.compete_for_tokens(q, k, None), torch.full((1, 1, 2, 3), 1 / 3)
    )


def test_slots_compete_head_by_head():
    module, tokens = made("slots")
    x = module.attention.token_norm(tokens.values)
    k = module.attention.inputs(x)[..., : 3 * K].view(B, N, 3, K).transpose(1, 2)
    q = torch.randn(B, 3, 3, K)
    together = module.attention.compete_for_tokens(q, k, tokens.mask)
    for h in range(3):
        alone = module.attention.compete_for_tokens(q[:, h : h + 1], k[:, h : h + 1], tokens.mask)
        torch.testing.assert_close(together[:, h : h + 1], alone)
