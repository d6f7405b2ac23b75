"""AUGRU and AttGRU: GRUs whose update gates attention sets, against their equations."""

import math

import numpy as np
import pytest
import torch

from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.tokens import Tokens
from tests.policies.readouts.cases import B, K, T, made, told
from tests.policies.readouts.references import naive_gru, naive_norm, numbers, sigmoid


def naive_gated(module: Readout, tokens: Tokens, replaces: bool):
    """Follow the equations for each sample: GRU, attention, then the GRU with attentional gates."""
    p, D = numbers(module), 3 * K
    x = naive_norm(numbers(module.norm), tokens.values.double().numpy())
    finals, maps = [], np.zeros((B, 3, 1, T))
    for b in range(B):
        here = tokens.mask[b].numpy()
        state, states = np.zeros(D), []
        for t in range(T):
            state = naive_gru(numbers(module.first), x[b, t], state) if here[t] else state
            states.append(state)
        query_source = x[b, -1] if here[-1] else np.zeros(D)
        q = p["attention.query.weight"] @ query_source + p["attention.query.bias"]
        for h in range(3):
            part = slice(h * K, (h + 1) * K)
            keys = [p["attention.key.weight"][part] @ s for s in states]
            raised = np.array([np.exp(q[part] @ k / math.sqrt(K)) for k in keys]) * here
            maps[b, h, 0] = raised / raised.sum()
        after = p["start"]
        for t in range(T):
            a = np.repeat(maps[b, :, 0, t], K)
            gi = p["inputs.weight"] @ states[t] + p["inputs.bias"]
            gh = p["states.weight"] @ after + p["states.bias"]
            reset = sigmoid(gi[:D] + gh[:D])
            candidate = np.tanh(gi[D : 2 * D] + reset * gh[D : 2 * D])
            update = a if replaces else a * sigmoid(gi[2 * D :] + gh[2 * D :])
            after = (1 - update) * after + update * candidate
        finals.append(after)
    return torch.tensor(np.stack(finals)), torch.tensor(maps)


@pytest.mark.parametrize("case", ["augru", "attgru"])
def test_gated_grus_follow_the_equations(case):
    module, tokens = made(case)
    state, maps = naive_gated(module, tokens, replaces=case == "attgru")
    torch.testing.assert_close(module(tokens).double(), state, atol=1e-5, rtol=1e-4)
    heard = told(module, tokens)
    torch.testing.assert_close(heard.weights.double(), maps, atol=1e-6, rtol=1e-5)
    assert (module.attention.queries, module.attention.query_source) == ("readout", "present step")


def test_gates_by_hand():
    """The only present step weighs 1: AttGRU takes its candidate, AUGRU 3/4 of the way to it."""
    for case, share in (("attgru", 1.0), ("augru", 0.75)):
        module, tokens = made(case, heads=1)
        with torch.no_grad():
            for each in (module.inputs, module.states):
                each.weight.zero_(), each.bias.zero_()
            module.inputs.bias[K : 2 * K] = 0.5  # of the candidate
            module.inputs.bias[2 * K :] = math.log(3)  # of the update gate, where there is one
        only = torch.zeros(B, T, dtype=torch.bool)
        only[:, 3] = True
        candidate = torch.full((K,), math.tanh(0.5))
        expected = module.start + share * (candidate - module.start)
        out = module(tokens._replace(mask=only))
        torch.testing.assert_close(out, expected.expand(B, -1))
        without = module(tokens._replace(mask=torch.zeros_like(only)))
        assert torch.equal(without, module.start.expand(B, -1))
