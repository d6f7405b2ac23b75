"""From tokens to one vector: every readout by the kit, by a reference of its own, and by hand.

Sizes: B=2, H=3, N=T=5, K=7, 11 cells in a frame.
"""

import math
import re
from collections.abc import Callable
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from torch import Tensor, nn
from torch.nn import functional as F

from envs.history import History
from envs.layout import TokenGroup, TokenLayout
from policies import AttentionExtractor, AttentionTap
from policies.attention import (
    MIXES,
    NORMALISERS,
    SCORES,
    SELECTIONS,
    Heard,
    Mechanism,
    QueryAttention,
)
from policies.blocks import FeedForward
from policies.encoder import Encoder
from policies.readouts import READOUTS, AttentionGRU, AttentionGRUCell, Readout
from policies.readouts.cls import CLSToken
from policies.testkit import built, check, example, listened, site, with_mechanism, without_mask
from policies.tokens import Tokens

B, T, N, K, P = 2, 5, 5, 7, 11


def features(count: int = N, key: str = "") -> TokenGroup:
    return TokenGroup("features", tuple(f"{key} x{i}" for i in range(count)), key)


def frame(t: int, key: str = "") -> TokenGroup:
    names = tuple(f"cell {i}, {t}" for i in range(P))
    return TokenGroup("cells", names, key, grid=(1, P), offsets=(t,) * P)


def history(steps: int = T, key: str = "") -> TokenGroup:
    names, offsets = tuple(f"{t}" for t in range(steps)), tuple(range(1 - steps, 1))
    return TokenGroup("history", names, key, offsets=offsets)


SET = TokenLayout((features(),))
EGO = TokenLayout((TokenGroup("entities", tuple("abcde"), ego=2),))
TWO_KEYS = TokenLayout((features(2, "goal"), features(3, "map")))
STEPS = TokenLayout((history(),))
FRAMES = TokenLayout(tuple(frame(t) for t in range(1 - T, 1)))
FRAMES_AND_TURN = TokenLayout(
    (features(2, "direction"), *(frame(t, "image") for t in range(1 - T, 1)))
)

CASES = {
    "query": ("query", SET, "invariant"),
    "queries": ("queries", SET, "invariant"),
    "cls": ("cls", SET, "invariant"),
    "votes": ("votes", SET, "invariant"),
    "slots": ("slots", SET, "invariant"),
    "mean": ("mean", SET, "invariant"),
    "sum": ("sum", SET, "invariant"),
    "max": ("max", SET, "invariant"),
    "ego": ("ego", EGO, "ordered"),
    "cross": ("cross", TWO_KEYS, "ordered"),
    "present": ("present", STEPS, "ordered"),
    "attention-gru": ("attention-gru", STEPS, "ordered"),
    "attention-gru-frames": ("attention-gru", FRAMES, "ordered"),
    "attention-gru-dict": ("attention-gru", FRAMES_AND_TURN, "ordered"),
    "augru": ("augru", STEPS, "ordered"),
    "attgru": ("attgru", STEPS, "ordered"),
}
ATTENDING = [case for case, (name, _, _) in CASES.items() if READOUTS[name].attends]
WEIGHING = [case for case in ATTENDING if case != "slots"]


ALWAYS_READS = {"cls": "attention.nothing", "attention-gru": "cell.attention.nothing"}
"""Readouts that never read nothing (CLS reads itself, absent steps are skipped), and what for."""


def place_of(case: str, heads: int = 3):
    asker = "goal" if case == "cross" else ""
    return site(heads, CASES[case][1], askers=None, points=3, asker=asker)


def maker(case: str, place) -> Callable[[], Readout]:
    return lambda: READOUTS[CASES[case][0]](place)


def made(case: str, heads: int = 3, **words) -> tuple[Readout, Tokens]:
    """Return a readout with parameters that do something, and tokens for it."""
    place = with_mechanism(place_of(case, heads), **words)
    return built(maker(case, place)), example(place)


def told(module: nn.Module, tokens: Tokens) -> Heard:
    """Return what the only attention of a module tells."""
    _, heard = listened(module, tokens)
    assert len(heard) == 1
    return heard[0][1]


def torch_attention(ours: QueryAttention) -> nn.MultiheadAttention:
    """Return torch's own attention with the same parameters."""
    D = ours.nothing.shape[0]
    theirs = nn.MultiheadAttention(D, ours.heads, batch_first=True)
    with torch.no_grad():
        weights = (ours.query.weight, ours.key.weight, ours.value.weight)
        theirs.in_proj_weight.copy_(torch.cat(weights))
        theirs.in_proj_bias.zero_()[:D] = ours.query.bias
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    return theirs


def by_torch(
    attention: QueryAttention, query: Tensor, x: Tensor, read: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what torch's attention gives, and its weights; `read` (B, N) is where it may."""
    theirs = torch_attention(attention)
    return theirs(query, x, x, key_padding_mask=~read, average_attn_weights=False)


# Every readout, by the kit


def test_every_readout_is_checked():
    assert set(READOUTS.names) == {name for name, _, _ in CASES.values()}


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_readouts_hold_to_the_kit(case, heads):
    place, order = place_of(case, heads), CASES[case][2]
    check(maker(case, place), place, order, attends=case in ATTENDING, compiles=place.heads == 3)


@pytest.mark.parametrize("case", CASES)
def test_readouts_hold_to_the_kit_without_a_mask(case):
    place, order = place_of(case), CASES[case][2]
    tokens = without_mask(example(place))
    check(
        maker(case, place),
        place,
        order,
        attends=case in ATTENDING,
        tokens=tokens,
        compiles=place.heads == 3,
    )


@pytest.mark.parametrize("case", CASES)
def test_a_mask_of_present_tokens_equals_no_mask(case):
    module, tokens = made(case)
    everything = tokens._replace(mask=torch.ones_like(tokens.mask))
    torch.testing.assert_close(
        module(everything), module(without_mask(tokens)), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("case", CASES)
def test_every_parameter_learns(case):
    """Among samples with all, some, one and no tokens, each parameter has a part in some."""
    module, tokens = made(case)
    tokens.mask[1] = False
    first = torch.zeros_like(tokens.mask)
    first[:, 0] = True
    for mask in (None, tokens.mask, first):
        module(tokens._replace(mask=mask)).square().sum().backward()
    idle = {name for name, p in module.named_parameters() if p.grad is None or p.grad.eq(0).all()}
    assert idle == ({ALWAYS_READS[CASES[case][0]]} if CASES[case][0] in ALWAYS_READS else set())


@pytest.mark.parametrize("normaliser", NORMALISERS.names)
@pytest.mark.parametrize("score", SCORES.names)
@pytest.mark.parametrize("case", WEIGHING)
def test_every_score_and_normaliser_goes_with_every_readout(case, score, normaliser):
    place = with_mechanism(place_of(case), score=score, normaliser=normaliser)
    if case == "ego" and score == "location":
        with pytest.raises(ValueError, match="needs tokens whose order means something"):
            READOUTS["ego"](place)
        return
    tokens = example(place)
    module = built(lambda: Encoder(place, 1, readout=CASES[case][0]))
    out, heard = listened(module, tokens)
    assert out.shape == (B, 3 * K) and out.isfinite().all()
    ((ear, one),) = heard
    assert ear.normalised_over == NORMALISERS[normaliser].normalised_over
    assert one.weights.ge(0).all() and one.weights.sum() > 0
    plain = built(lambda: Encoder(place_of(case), 1, readout=CASES[case][0]))
    _, plainly = listened(plain, tokens)
    assert (score, normaliser) == ("scaled-dot-product", "softmax") or not torch.allclose(
        one.weights, plainly[0][1].weights
    )


@pytest.mark.parametrize("hard", [name for name in SELECTIONS.names if name != "none"])
@pytest.mark.parametrize("case", WEIGHING)
def test_every_readout_can_attend_hard(case, hard):
    module, tokens = made(case, hard=hard, budget=2)
    one = told(module, tokens)
    assert one.soft is not None and one.soft.shape == one.weights.shape
    most = 1 if hard == "gumbel" else 2
    assert (one.weights > 0).sum(-1).max() == most < (one.soft > 0).sum(-1).max()


@pytest.mark.parametrize("case", ["cross", "present", "votes", "augru", "attgru"])
def test_queries_that_are_tokens_know_where_they_stand(case):
    """A window around the asker hides tokens from it."""
    layout = TokenLayout((history(2, "goal"), history(3, "map")))
    layout = layout if case == "cross" else STEPS
    place = replace(place_of(case), layout=layout)
    near = with_mechanism(place, where="local", reach=1)
    encoder = built(lambda: Encoder(near, 1, readout=CASES[case][0]))
    _, ((_, one),) = listened(encoder, without_mask(example(near)))
    _, ((_, everything),) = listened(
        built(lambda: Encoder(place, 1, readout=CASES[case][0])), without_mask(example(place))
    )
    weights, all_weights = one.weights, everything.weights
    if case == "cross":  # goal at -1, 0; map at -2, -1, 0
        assert weights.ne(0).any(1)[0].tolist() == [
            [False, False, *([True] * 3)],
            [False] * 3 + [True] * 2,
        ]
        assert all_weights.ne(0).any(1)[0].tolist() == [[False, False, True, True, True]] * 2
    elif case == "votes":  # not masked, but counted among fewer
        assert not torch.allclose(weights, all_weights)
    else:
        assert weights.ne(0).any(1)[0, 0].tolist() == [False, False, False, True, True]
        assert all_weights.ne(0).all()


@pytest.mark.parametrize("case", ["cross", "present", "votes", "augru", "attgru"])
def test_queries_that_are_tokens_can_weigh_distance(case):
    place = replace(place_of(case), layout=STEPS)
    if case == "cross":
        place = replace(place, layout=TokenLayout((history(2, "goal"), history(3, "map"))))
    far = with_mechanism(place, positions="relative")
    ours = built(lambda: Encoder(far, 1, readout=case))
    plain = built(lambda: Encoder(place, 1, readout=case))
    tables = {n: p for n, p in ours.named_parameters() if "positions" in n}
    assert tables
    plain.load_state_dict({n: p for n, p in ours.state_dict().items() if n not in tables})
    tokens = example(place)
    assert not torch.allclose(told(ours, tokens).weights, told(plain, tokens).weights)
    with torch.no_grad():
        for table in tables.values():
            table.zero_()
    torch.testing.assert_close(ours(tokens), plain(tokens), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("mix", [name for name in MIXES.names if name != "concat"])
@pytest.mark.parametrize("case", [case for case in WEIGHING if case not in ("augru", "attgru")])
def test_heads_can_be_mixed(case, mix):
    module, tokens = made(case, mix=mix)
    plain, _ = made(case)
    mixing = {name: p for name, p in module.named_parameters() if ".mix." in name}
    with torch.no_grad():
        for parameter in mixing.values():
            parameter.add_(torch.randn(parameter.shape))
    common = {name: p for name, p in module.state_dict().items() if name not in mixing}
    plain.load_state_dict(common)
    one, other = told(module, tokens), told(plain, tokens)
    assert one.weights.shape == other.weights.shape
    assert (one.heads is None) == MIXES[mix].talks
    assert one.heads is not None or not torch.allclose(one.weights, other.weights)
    assert not torch.allclose(module(tokens), plain(tokens))


# Learned queries


def test_queries_equal_torch():
    """Pooling by multi-head attention, with the norms first."""
    module, tokens = made("queries")
    asking = module.asking
    query, x = module.queries.expand(B, -1, -1), asking.token_norm(tokens.values)
    read, weights = by_torch(asking.attention, asking.query_norm(query), x, tokens.mask)
    rows = query + read
    rows = rows + asking.ffn(asking.ffn_norm(rows))
    expected = torch.cat([rows[:, i] for i in range(3)], 1) @ module.output.weight.T
    torch.testing.assert_close(module(tokens), expected + module.output.bias, atol=1e-5, rtol=1e-4)
    heard = told(module, tokens)
    assert heard.weights.shape == (B, 3, 3, N)
    torch.testing.assert_close(heard.weights, weights, atol=1e-6, rtol=1e-5)
    assert (asking.attention.queries, asking.attention.asker) == ("readout", "learned queries")


def test_one_query_is_the_readout_query_projected():
    place = replace(place_of("queries"), points=1)
    several, one = built(maker("queries", place)), built(maker("query", place))
    one.load_state_dict(
        {
            name.replace("queries", "query"): value
            for name, value in several.state_dict().items()
            if not name.startswith("output")
        }
    )
    tokens = example(place)
    torch.testing.assert_close(several(tokens), several.output(one(tokens)))


# The CLS token


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


# Cross-attention


def test_cross_equals_torch():
    module, tokens = made("cross")
    tokens.mask[0, 0], tokens.mask[1, 1] = True, False  # one token of the goal in each sample
    asking = module.asking
    query, x = tokens.values[:, :2], asking.token_norm(tokens.values)
    others = tokens.mask & torch.tensor([False, False, True, True, True])
    read, weights = by_torch(asking.attention, asking.query_norm(query), x, others)
    rows = query + read
    rows = rows + asking.ffn(asking.ffn_norm(rows))
    torch.testing.assert_close(module(tokens), rows[:, 0], atol=1e-5, rtol=1e-4)
    heard = told(module, tokens)
    assert heard.weights.shape == (B, 3, 2, N)
    torch.testing.assert_close(heard.weights[:, :, 0], weights[:, :, 0], atol=1e-6, rtol=1e-5)
    assert heard.weights[:, :, 1].eq(0).all() and torch.equal(heard.mask, tokens.mask)
    assert (asking.attention.queries, asking.attention.asker) == ("asking tokens", "goal")


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
    assert torch.equal(module(tokens), module.nobody.expand(B, -1))
    assert told(module, tokens).weights.eq(0).all()


def test_cross_takes_all_frames_of_a_key():
    place = replace(place_of("attention-gru-dict"), asker="image")
    heard = told(built(maker("cross", place)), without_mask(example(place)))
    assert heard.weights.shape == (B, 3, T * P, 2 + T * P)
    assert heard.weights[..., :2].gt(0).all() and heard.weights[..., 2:].eq(0).all()


# The present step


def test_present_asks_with_the_token_of_offset_0():
    module, tokens = made("present")
    tokens = tokens._replace(mask=torch.ones(B, N, dtype=torch.bool))
    asking, row = module.asking, tokens.values[:, -1:]
    x = asking.token_norm(tokens.values)
    read, weights = by_torch(asking.attention, asking.query_norm(row), x, tokens.mask)
    row = row + read
    expected = (row + asking.ffn(asking.ffn_norm(row)))[:, 0]
    torch.testing.assert_close(module(tokens), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(told(module, tokens).weights, weights, atol=1e-6, rtol=1e-5)
    assert asking.attention.asker == "present step"


def test_present_finds_the_step_wherever_it_stands():
    backwards = TokenLayout((TokenGroup("history", ("now", "then"), offsets=(0, -1)), features(3)))
    place = replace(place_of("present"), layout=backwards)
    assert built(maker("present", place)).row == 0


# Votes


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
    assert (attention.queries, attention.asker) == ("readout", "votes")


def test_votes_by_hand():
    """Of 2 tokens the first gives 3/4 to itself and the second 1/2: together 5/8."""
    module, _ = made("votes", heads=1)
    rows = torch.tensor([[[[0.75, 0.25], [0.5, 0.5]]]])
    votes, seen = module.attention.count(rows, None, None)
    assert votes.tolist() == [[[[0.625, 0.375]]]] and seen is None
    only = torch.tensor([[False, True]])
    votes, seen = module.attention.count(rows, only[:, None, None], only)
    assert votes.tolist() == [[[[0.5, 0.5]]]] and seen.tolist() == [[[[False, True]]]]


def test_hard_votes_choose_among_votes_and_not_in_each_row():
    soft, tokens = made("votes")
    hard, _ = made("votes", hard="top-k", budget=2)
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


# Slots


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
    assert (module.attention.queries, module.attention.normalised_over) == ("slots", "keys")


def test_slots_by_hand():
    """Slot 0 wins 3/4 of token 0 and 1/2 of token 1: it reads them 3 to 2, slot 1 reads 1 to 2."""
    module, _ = made("slots", heads=1)
    q = torch.tensor([[[[1.0], [0.0]]]])
    k = torch.tensor([[[[math.log(3)], [0.0]]]])
    weights = module.attention.weigh(q, k, None)
    torch.testing.assert_close(weights, torch.tensor([[[[0.6, 0.4], [1 / 3, 2 / 3]]]]))
    alone = module.attention.weigh(q, k, torch.tensor([[False, True]]))
    assert alone.tolist() == [[[[0.0, 1.0], [0.0, 1.0]]]]


def test_a_slot_that_wins_next_to_nothing_still_reads():
    module, _ = made("slots", heads=1)
    q, k = torch.tensor([[[[100.0], [-100.0]]]]), torch.ones(1, 1, 3, 1)
    torch.testing.assert_close(module.attention.weigh(q, k, None), torch.full((1, 1, 2, 3), 1 / 3))


def test_slots_compete_head_by_head():
    module, tokens = made("slots")
    x = module.attention.token_norm(tokens.values)
    k = module.attention.inputs(x)[..., : 3 * K].view(B, N, 3, K).transpose(1, 2)
    q = torch.randn(B, 3, 3, K)
    together = module.attention.weigh(q, k, tokens.mask)
    for h in range(3):
        alone = module.attention.weigh(q[:, h : h + 1], k[:, h : h + 1], tokens.mask)
        torch.testing.assert_close(together[:, h : h + 1], alone)


# Attention-GRU


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def numbers(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: p.detach().double().numpy() for name, p in module.named_parameters()}


def naive_gru(p: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Take one step of torch's GRU for one sample."""
    gi = p["weight_ih"] @ x + p["bias_ih"]
    gh = p["weight_hh"] @ h + p["bias_hh"]
    D = len(h)
    r, z = sigmoid(gi[:D] + gh[:D]), sigmoid(gi[D : 2 * D] + gh[D : 2 * D])
    n = np.tanh(gi[2 * D :] + r * gh[2 * D :])
    return (1 - z) * n + z * h


def naive_norm(p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * p["weight"] + p["bias"]


def naive_look(
    attention: QueryAttention, state: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Read (n, D) by additive attention as Bahdanau does, head by head; return context, weights."""
    p, heads, rows = numbers(attention), [], []
    for h in range(attention.heads):
        part = slice(h * K, (h + 1) * K)
        q = p["query.weight"][part] @ state + p["query.bias"][part]
        v = p["weighing.score.v"][h]
        scores = np.array([v @ np.tanh(q + p["key.weight"][part] @ token) for token in seen])
        weights = np.exp(scores) / np.exp(scores).sum()
        rows.append(weights)
        heads.append(
            sum(w * (p["value.weight"][part] @ x) for w, x in zip(weights, seen, strict=True))
        )
    return p["output.weight"] @ np.concatenate(heads) + p["output.bias"], np.stack(rows)


def naive_reader(module: AttentionGRU, tokens: Tokens, whole_past: bool):
    """Run the readout step by step for each sample, on present tokens alone."""
    cell, steps = module.cell, module.own.bool().numpy()
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
    assert (module.cell.attention.queries, module.cell.attention.asker) == (
        "steps",
        "recurrent state",
    )


def test_each_place_of_a_frame_has_a_column_of_its_own():
    """That of the present step's token; a part without a past is absent from older frames."""
    glimpses = made("attention-gru-dict")[0].glimpses
    names = FRAMES_AND_TURN.names
    assert glimpses.site.layout.names == tuple(names[n] for n in glimpses.table[-1])
    assert glimpses.site.layout.names[:3] == ("direction x0", "direction x1", "cell 0, 0")
    assert [names[n] for n in glimpses.table[0, 2:]] == [f"cell {i}, -4" for i in range(P)]
    assert glimpses.real.sum(1).tolist() == [P] * (T - 1) + [P + 2]


def test_attention_gru_reads_no_future():
    module, tokens = made("attention-gru")
    weights = told(module, without_mask(tokens)).weights
    assert weights.shape == (B, 3, T, T)
    assert weights.triu(1).eq(0).all() and weights.tril().sum(-1).allclose(torch.ones(B, 3, T))


def test_attention_gru_carries_its_state_over_absent_steps():
    module, tokens = made("attention-gru")
    gone = torch.tensor([True, False, True, True, False])
    kept = module(tokens._replace(mask=gone.expand(B, -1)))
    place = replace(place_of("attention-gru"), layout=TokenLayout((history(3),)), keys=3)
    short = built(maker("attention-gru", place))
    short.load_state_dict(module.state_dict())
    torch.testing.assert_close(short(Tokens(tokens.values[:, gone], None)), kept)


def test_the_cell_carried_from_call_to_call_is_the_reader_of_frames():
    reader, tokens = made("attention-gru-frames")
    place = replace(place_of("attention-gru-frames"), layout=TokenLayout((frame(0),)), keys=P)
    cell = built(lambda: AttentionGRUCell(place))
    cell.load_state_dict(reader.cell.state_dict())
    state, rows = reader.start.expand(B, -1), []
    ear: list[Heard] = []
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
    cell, tokens = built(lambda: AttentionGRUCell(place)), example(place)
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
    heard: list[Heard] = []
    ear = heard.append
    module.cell.attention.listeners = (ear,)
    module(tokens)
    module(tokens)
    assert len(heard) == 2 and module.cell.attention.listeners == (ear,)
    with pytest.raises(RuntimeError):
        module(Tokens(tokens.values[:, :3], None))
    assert module.cell.attention.listeners == (ear,)


# AUGRU and AttGRU


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
        asker = x[b, -1] if here[-1] else np.zeros(D)
        q = p["attention.query.weight"] @ asker + p["attention.query.bias"]
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
    assert (module.attention.queries, module.attention.asker) == ("readout", "present step")


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
        nothing = module(tokens._replace(mask=torch.zeros_like(only)))
        assert torch.equal(nothing, module.start.expand(B, -1))


# In Stable-Baselines3


@pytest.mark.parametrize(
    ("readout", "queries", "rows"),
    [
        ("queries", "readout", 3),
        ("cls", "readout", 1),
        ("present", "readout", 1),
        ("votes", "readout", 1),
        ("slots", "slots", 3),
        ("attention-gru", "steps", T),
        ("augru", "readout", 1),
        ("attgru", "readout", 1),
    ],
)
def test_a_policy_learns_and_is_heard_with_each_readout(readout, queries, rows):
    env = History(gym.make("CartPole-v1"), steps=T)
    options = dict(width=12, heads=3, readout=readout, points=3)
    kwargs = dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=options)
    model = PPO("MlpPolicy", env, n_steps=32, batch_size=16, policy_kwargs=kwargs, seed=0)
    extractor = model.policy.features_extractor
    before = {name: p.clone() for name, p in extractor.encoder.readout.named_parameters()}
    model.learn(32)
    after = dict(extractor.encoder.readout.named_parameters())
    assert all(p.isfinite().all() for p in after.values())
    unmoved = {name for name, p in before.items() if torch.equal(p, after[name])}
    assert all(name.endswith("nothing") or "key" in name for name in unmoved), unmoved
    obs, _ = env.reset(seed=0)
    with AttentionTap(model.policy) as tap:
        model.predict(obs)
        maps = tap.take().maps
    assert [one.name for one in maps] == ["actor/0", "actor/1"]
    assert maps[1].queries == queries and maps[1].weights.shape[:3] == (1, 3, rows)
    present = maps[1].weights[0, :, -1]
    torch.testing.assert_close(present[:, T - 1 :].sum(-1), torch.ones(3))  # the only step so far


# Refusals

LIVE = TokenLayout((features(2, "goal"), history(3, "past")))


@pytest.mark.parametrize(
    ("readout", "change", "message"),
    [
        ("ego", {}, "readout 'ego' needs a token of the agent itself, and this observation has "),
        ("slots", dict(points=1), "readout 'slots' needs points of at least 2: a slot alone has "),
        (
            "cross",
            {},
            "readout 'cross' needs a Dict observation with two keys or more, one of which asks "
            "for the others, got none; use readout='query'",
        ),
        (
            "cross",
            dict(layout=TokenLayout((features(5, "goal"),)), asker="goal"),
            "one of which asks for the others, got 'goal'; use readout='query'",
        ),
        (
            "cross",
            dict(layout=TWO_KEYS),
            "readout 'cross' needs asker, the key whose tokens ask, to be one of 'goal', 'map', "
            "got ''",
        ),
        ("cross", dict(layout=TWO_KEYS, asker="gaol"), "to be one of 'goal', 'map', got 'gaol'"),
        (
            "present",
            {},
            "readout 'present' needs a history of steps, and this observation is of one step; "
            "make it one with --history 8 (envs.history.History or envs.frames.FrameHistory), or "
            "use readout='query'",
        ),
        (
            "present",
            dict(layout=FRAMES),
            "readout 'present' needs one token of the present step, got 11: none of them stands "
            "for the whole step; use readout='query', 'queries', or 'attention-gru', which",
        ),
        ("attention-gru", {}, "readout 'attention-gru' needs a history of steps, and this"),
        (
            "attention-gru",
            dict(layout=TokenLayout((history(1),))),
            "readout 'attention-gru' needs a history of steps, and this observation is of one step",
        ),
        ("augru", {}, "readout 'augru' needs a history of steps"),
        (
            "augru",
            dict(layout=FRAMES),
            "readout 'augru' needs one token per step, and this history has up to 11; use "
            "readout='attention-gru', which reads the tokens of each step",
        ),
        (
            "attgru",
            dict(layout=LIVE),
            "readout 'attgru' needs one token per step, and this history ",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(readout, change, message):
    layout = change.get("layout", SET)
    place = replace(site(3, layout, askers=None), **change)
    with pytest.raises(ValueError, match=re.escape(message)):
        READOUTS[readout](place)


def test_a_mechanism_that_slots_would_not_use_is_refused():
    place = with_mechanism(place_of("slots"), score="additive")
    with pytest.raises(ValueError, match="weigh tokens by a rule of their own"):
        Encoder(place, 1, readout="slots")
    Encoder(place, 2, readout="slots")  # a block before it does use it


@pytest.mark.parametrize("readout", ["augru", "attgru"])
def test_heads_that_gate_channels_cannot_be_mixed(readout):
    place = place_of(readout)
    for name in MIXES.names:
        if name == "concat":
            continue
        with pytest.raises(
            ValueError, match=f"cannot be mixed, got mix='{name}'; use mix='concat'"
        ):
            READOUTS[readout](with_mechanism(place, mix=name))


def test_default_mechanism_and_gain_of_a_site_are_kept():
    """A readout that adds what it read to a stream starts it small, one that does not, whole."""
    small = replace(place_of("votes"), gain=0.01, mechanism=Mechanism())
    assert built(maker("query", small)).asking.attention.output.weight.std() < 0.01
    assert built(maker("votes", small)).attention.output.weight.std() > 0.1
    assert FeedForward(small).output.weight.std() < 0.01
