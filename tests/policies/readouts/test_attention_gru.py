"""A recurrent state that asks at each step, against plain loops and by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.multi_head import QueryAttention
from attention_agents.policies.attention.tappable import AttentionWeights
from attention_agents.policies.readouts.attention_gru import AttentionGRU, AttentionGRUCell
from attention_agents.policies.testkit import build_module, example_tokens, without_mask
from attention_agents.policies.tokens import Tokens
from tests.policies.readouts.cases import (
    FRAMES_AND_TURN,
    B,
    K,
    P,
    T,
    frame,
    history,
    made,
    maker,
    place_of,
    told,
)
from tests.policies.readouts.references import naive_gru, naive_norm, numbers


def naive_look(
    attention: QueryAttention, state: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Read (n, D) by additive attention as Bahdanau does, head by head; return context, weights."""
    p, heads, rows = numbers(attention), [], []
    for h in range(attention.heads):
        part = slice(h * K, (h + 1) * K)
        q = p["query.weight"][part] @ state + p["query.bias"][part]
        v = p["weighting.score.v"][h]
        scores = np.array([v @ np.tanh(q + p["key.weight"][part] @ token) for token in seen])
        weights = np.exp(scores) / np.exp(scores).sum()
        rows.append(weights)
        heads.append(
            sum(w * (p["value.weight"][part] @ x) for w, x in zip(weights, seen, strict=True))
        )
    return p["output.weight"] @ np.concatenate(heads) + p["output.bias"], np.stack(rows)


def naive_reader(module: AttentionGRU, tokens: Tokens, whole_past: bool):
    """Run the readout step by step for each sample, on present tokens alone."""
    cell, steps = module.cell, module.step_tokens.bool().numpy()
    x = naive_norm(numbers(cell.norm), tokens.values.double().numpy())
    count = x.shape[1]
    states, maps = [], np.zeros((B, cell.attention.heads, len(steps), count))
    for b in range(B):
        here = tokens.mask[b].numpy()
        state = numbers(module)["start"]
        for t, own in enumerate(steps):
            if not (own & here).any():
                continue
            seen = (steps[: t + 1].any(0) if whole_past else own) & here
            context, maps[b][:, t, seen] = naive_look(cell.attention, state, x[b][seen])
            entry = x[b][own & here].mean(0)
            state = naive_gru(numbers(cell.gru), np.concatenate([context, entry]), state)
        states.append(state)
    return torch.tensor(np.stack(states)), torch.tensor(maps)


@pytest.mark.parametrize("case", ["attention-gru", "attention-gru-frames", "attention-gru-dict"])
def test_attention_gru_equals_plain_loops(case):
    module, tokens = made(case, score="additive")
    if case != "attention-gru":  # there, steps 1 and 4 are absent
        tokens.mask[0, : P + 2] = False  # the first frame is from before the episode
    state, maps = naive_reader(module, tokens, whole_past=case == "attention-gru")
    torch.testing.assert_close(module(tokens).double(), state, atol=1e-5, rtol=1e-4)
    heard = told(module, tokens)
    torch.testing.assert_close(heard.weights.double(), maps, atol=1e-6, rtol=1e-4)
    assert torch.equal(heard.mask, tokens.mask)
    assert (module.cell.attention.queries, module.cell.attention.query_source) == (
        "steps",
        "recurrent state",
    )


def test_each_place_of_a_frame_has_a_column_of_its_own():
    """That of the present step's token; a part without a past is absent from older frames."""
    glimpses = made("attention-gru-dict")[0].visible_steps
    names = FRAMES_AND_TURN.names
    assert glimpses.context.layout.names == tuple(names[n] for n in glimpses.table[-1])
    assert glimpses.context.layout.names[:3] == ("direction x0", "direction x1", "cell 0, 0")
    assert [names[n] for n in glimpses.table[0, 2:]] == [f"cell {i}, -4" for i in range(P)]
    assert glimpses.is_token.sum(1).tolist() == [P] * (T - 1) + [P + 2]


def test_attention_gru_reads_no_future():
    module, tokens = made("attention-gru")
    weights = told(module, without_mask(tokens)).weights
    assert weights.shape == (B, 3, T, T)
    assert weights.triu(1).eq(0).all() and weights.tril().sum(-1).allclose(torch.ones(B, 3, T))


def test_attention_gru_carries_its_state_over_absent_steps():
    module, tokens = made("attention-gru")
    gone = torch.tensor([True, False, True, True, False])
    kept = module(tokens._replace(mask=gone.expand(B, -1)))
    place = replace(place_of("attention-gru"), layout=TokenLayout((history(3),)), num_tokens=3)
    short = build_module(maker("attention-gru", place))
    short.load_state_dict(module.state_dict())
    torch.testing.assert_close(short(Tokens(tokens.values[:, gone], None)), kept)


def test_the_cell_carried_from_call_to_call_is_the_reader_of_frames():
    reader, tokens = made("attention-gru-frames")
    place = replace(place_of("attention-gru-frames"), layout=TokenLayout((frame(0),)), num_tokens=P)
    cell = build_module(lambda: AttentionGRUCell(place))
    cell.load_state_dict(reader.cell.state_dict())
    state, rows = reader.start.expand(B, -1), []
    ear: list[AttentionWeights] = []
    cell.attention.listeners = (ear.append,)
    for t in range(T):
        part = slice(t * P, (t + 1) * P)
        state = cell(state, Tokens(tokens.values[:, part], tokens.mask[:, part]))
        rows.append(ear[-1].weights)
    torch.testing.assert_close(state, reader(tokens), atol=1e-6, rtol=1e-5)
    assert rows[0].shape == (B, 3, 1, P) and cell.attention.queries == "readout"
    weights = told(reader, tokens).weights
    for t in range(T):
        part = weights[:, :, t : t + 1, t * P : (t + 1) * P]
        torch.testing.assert_close(part, rows[t], atol=1e-6, rtol=1e-5)
        assert weights[:, :, t].sum(-1).allclose(torch.ones(B, 3))


def test_the_cell_depends_on_its_state_and_keeps_it_where_there_is_nothing():
    place = place_of("query")
    cell, tokens = build_module(lambda: AttentionGRUCell(place)), example_tokens(place)
    one, other = torch.zeros(B, 3 * K), torch.ones(B, 3 * K)
    assert not torch.allclose(cell(one, tokens), cell(other, tokens))
    tokens.mask[1] = False
    assert torch.equal(cell(other, tokens)[1], other[1])
    assert not torch.allclose(cell(other, tokens)[0], other[0])


def test_attention_gru_by_hand():
    """With all that the GRU adds at 0, z = sigmoid(log 3) keeps 3/4 of the state at each step."""
    module, tokens = made("attention-gru", heads=1)
    with torch.no_grad():
        for parameter in module.cell.gru.parameters():
            parameter.zero_()
        module.cell.gru.bias_ih[K : 2 * K] = math.log(3)
        module.start.copy_(torch.arange(K) / 10)
    expected = torch.stack([module.start * 0.75**3, module.start * 0.75**5])  # 3 and 5 steps
    torch.testing.assert_close(module(tokens), expected)


def test_listening_to_a_reader_changes_no_listener_and_tells_once():
    module, tokens = made("attention-gru")
    heard: list[AttentionWeights] = []
    ear = heard.append
    module.cell.attention.listeners = (ear,)
    module(tokens)
    module(tokens)
    assert len(heard) == 2 and module.cell.attention.listeners == (ear,)
    with pytest.raises(RuntimeError):
        module(Tokens(tokens.values[:, :3], None))
    assert module.cell.attention.listeners == (ear,)
