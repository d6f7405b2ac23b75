"""Blocks: the kit on each of them, their papers' equations as naive loops, refusals."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.blocks.block import Block
from attention_agents.policies.blocks.channel import Channel
from attention_agents.policies.blocks.gtrxl import Gate, GTrXL
from attention_agents.policies.blocks.isab import ISAB, compose_maps
from attention_agents.policies.blocks.sab import SAB
from attention_agents.policies.blocks.space_time import SpaceTime
from attention_agents.policies.registries import BLOCKS
from attention_agents.policies.testkit import (
    B,
    build_module,
    check_mechanism,
    example_tokens,
    layer_context,
    record_weights,
    without_mask,
)
from attention_agents.policies.tokens import Tokens

H, T, P = 3, 3, 5


def frame(time: int, count: int = P, key: str = "image") -> TokenGroup:
    """Return the tokens of one frame, in a row."""
    names = tuple(f"{key} {i}, {time} steps" for i in range(count))
    return TokenGroup("cells", names, key, grid=(1, count), offsets=(time,) * count)


def numbers(key: str, count: int) -> TokenGroup:
    return TokenGroup("features", tuple(f"{key} {i}" for i in range(count)), key)


HISTORY = TokenLayout((TokenGroup("history", tuple("abcde"), offsets=(-4, -3, -2, -1, 0)),))
FRAMES = TokenLayout(tuple(frame(time) for time in (-2, -1, 0)))
AMID = TokenLayout(
    (
        numbers("direction", 1),
        *(frame(time, 2, "map") for time in (-2, -1, 0)),
        *(frame(time, 3, "near") for time in (-2, -1, 0)),
        numbers("mission", 2),
    )
)
"""Frames of two keys, of which each has 2 + 3 places, amid 3 tokens of no frame."""
PLACES = [[1, 3, 5], [2, 4, 6], [7, 10, 13], [8, 11, 14], [9, 12, 15]]
"""Of AMID, by hand: the same place in the three frames."""
OTHERS = [0, 16, 17]


class Rows(nn.Module):
    """Give the values of a block alone, as the kit asks for."""

    def __init__(self, block: Block):
        super().__init__()
        self.block = block

    def forward(self, tokens: Tokens) -> torch.Tensor:
        return self.block(tokens).values


def place_for(name: str, heads: int = H, **words) -> LayerContext:
    layout = AMID if name == "space-time" else None
    return layer_context(heads=heads, layout=layout, attention=AttentionConfig(**words))


def order_of(name: str) -> str:
    return "ordered" if name == "space-time" else "equivariant"


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("name", BLOCKS.words)
def test_kit(name, heads, masked):
    place = place_for(name, heads)
    tokens = example_tokens(place) if masked else without_mask(example_tokens(place))
    check_mechanism(
        lambda: Rows(BLOCKS[name](place)),
        place,
        order_of(name),
        tokens=tokens,
        compiles=place.heads == 3,
    )


@pytest.mark.parametrize("masked", [True, False])
def test_kit_on_frames_alone(masked):
    place = layer_context(heads=H, layout=FRAMES)
    tokens = example_tokens(place) if masked else without_mask(example_tokens(place))
    check_mechanism(
        lambda: Rows(SpaceTime(place)), place, "ordered", tokens=tokens, compiles=place.heads == 3
    )


@pytest.mark.parametrize("words", [dict(score="additive"), dict(normalizer="sigmoid")])
@pytest.mark.parametrize("name", ["gtrxl", "sab", "isab", "space-time"])
def test_kit_without_the_fused_kernel(name, words):
    place = place_for(name, **words)
    check_mechanism(
        lambda: Rows(BLOCKS[name](place)), place, order_of(name), compiles=place.heads == 3
    )


@pytest.mark.parametrize("where", ["causal", "local", "predicted"])
def test_kit_of_frames_with_windows(where):
    place = place_for("space-time", visibility=where, window=1)
    check_mechanism(lambda: Rows(SpaceTime(place)), place, "ordered", compiles=place.heads == 3)


def test_kit_of_a_gated_causal_history():
    place = layer_context(heads=H, layout=HISTORY, attention=AttentionConfig(visibility="causal"))
    check_mechanism(lambda: Rows(GTrXL(place)), place, "ordered", compiles=place.heads == 3)


def torch_attention(width: int, **parts: torch.Tensor) -> nn.MultiheadAttention:
    """Return torch's own module with given weights of q, k, v and biases; no bias is 0."""
    module = nn.MultiheadAttention(width, H, batch_first=True)
    with torch.no_grad():
        module.in_proj_weight.copy_(parts["weight"])
        module.in_proj_bias.copy_(parts["bias"])
        module.out_proj.weight.copy_(parts["output"].weight)
        module.out_proj.bias.copy_(parts["output"].bias)
    return module


def of_self(attention) -> nn.MultiheadAttention:
    weight, bias = attention.inputs.weight, attention.inputs.bias
    return torch_attention(weight.shape[1], weight=weight, bias=bias, output=attention.output)


def mab(x, read, after):
    """LN(h + rFF(h)) with h = LN(x + read), in torch's own functions."""
    D, ffn = x.shape[-1], after.ffn
    norm, end = after.attention_norm, after.ffn_norm
    h = F.layer_norm(x + read, (D,), norm.weight, norm.bias)
    inner = F.gelu(F.linear(h, ffn.inner.weight, ffn.inner.bias))
    out = h + F.linear(inner, ffn.output.weight, ffn.output.bias)
    return F.layer_norm(out, (D,), end.weight, end.bias)


def test_gate_is_the_papers_channel_by_channel():
    torch.manual_seed(0)
    D = 5
    gate = Gate(D)
    with torch.no_grad():
        gate.bias.copy_(torch.randn(D))
    x, y = torch.randn(2, 3, D), torch.randn(2, 3, D)
    out = gate(x, y).detach()
    W_r, W_z, W_g = gate.branch.weight.detach().split(D)
    U_r, U_z = gate.stream.weight.detach().split(D)
    U_g, b_g = gate.candidate.weight.detach(), gate.bias.detach()

    def sigmoid(value):
        return 1 / (1 + math.exp(-value))

    for b in range(2):
        for n in range(3):
            xs, ys = x[b, n], y[b, n]
            r = [sigmoid(float(W_r[d] @ ys + U_r[d] @ xs)) for d in range(D)]
            z = [sigmoid(float(W_z[d] @ ys + U_z[d] @ xs - b_g[d])) for d in range(D)]
            for d in range(D):
                reset = sum(float(U_g[d, e]) * r[e] * float(xs[e]) for e in range(D))
                h = math.tanh(float(W_g[d] @ ys) + reset)
                expected = (1 - z[d]) * float(xs[d]) + z[d] * h
                assert float(out[b, n, d]) == pytest.approx(expected, abs=1e-5)


def test_gate_starts_near_the_identity():
    gate = Gate(7)
    for weight in (gate.branch.weight, gate.stream.weight, gate.candidate.weight):
        nn.init.zeros_(weight)
    x = torch.randn(2, 7)
    torch.testing.assert_close(gate(x, torch.randn(2, 7)), 0.8807971 * x)  # 1 - sigmoid(-2)


def test_gtrxl_is_its_equations():
    place = layer_context(heads=H)
    block, tokens = build_module(lambda: GTrXL(place)), example_tokens(place)
    x, absent = tokens.values, ~tokens.mask
    normed = block.attention_norm(x)
    read, _ = of_self(block.attention)(normed, normed, normed, key_padding_mask=absent)
    y = block.attention_gate(x, F.relu(read))
    expected = block.ffn_gate(y, F.relu(block.ffn(block.ffn_norm(y))))
    torch.testing.assert_close(block(tokens).values, expected, atol=1e-5, rtol=1e-4)


def test_sab_is_torchs_attention_between_norms():
    place = layer_context(heads=H)
    block, tokens = build_module(lambda: SAB(place)), example_tokens(place)
    x = tokens.values
    read, _ = of_self(block.attention)(x, x, x, key_padding_mask=~tokens.mask)
    expected = mab(x, read, block.after)
    torch.testing.assert_close(block(tokens).values, expected, atol=1e-5, rtol=1e-4)


def test_isab_is_two_of_torchs_attentions_and_its_maps_compose():
    place = layer_context(heads=H, num_queries=2)
    block, tokens = build_module(lambda: ISAB(place)), example_tokens(place)
    x, D = tokens.values, place.width
    into, out = block.gathering, block.spreading
    weight = torch.cat([into.query.weight, into.key.weight, into.value.weight])
    bias = torch.cat([into.query.bias, torch.zeros(2 * D)])
    reads = torch_attention(D, weight=weight, bias=bias, output=into.output)
    points = block.points.expand(B, -1, -1)
    read, weights_in = reads(
        points, x, x, key_padding_mask=~tokens.mask, average_attn_weights=False
    )
    points = mab(points, read, block.gathered)
    weight = torch.cat([out.query.weight, out.inputs.weight])
    bias = torch.cat([out.query.bias, out.inputs.bias])
    spreads = torch_attention(D, weight=weight, bias=bias, output=out.output)
    read, weights_out = spreads(x, points, points, average_attn_weights=False)
    expected = mab(x, read, block.spread)
    values, ((first, told_in), (second, told_out)) = record_weights(Rows(block), tokens)
    torch.testing.assert_close(values, expected, atol=1e-5, rtol=1e-4)
    assert (first.part, first.queries, first.keys) == ("in", "inducing points", "tokens")
    assert (second.part, second.queries, second.keys) == ("out", "tokens", "inducing points")
    torch.testing.assert_close(told_in.weights, weights_in, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(told_out.weights, weights_out, atol=1e-6, rtol=1e-4)
    assert told_in.weights.shape == (B, H, 2, 5) and told_out.mask is None
    whole = compose_maps(told_out.weights, told_in.weights)
    assert whole.shape == (B, H, 5, 5)
    by_hand = sum(
        told_out.weights[1, 2, 3, m] * told_in.weights[1, 2, m, 4] for m in range(place.num_queries)
    )
    torch.testing.assert_close(whole[1, 2, 3, 4], by_hand)
    torch.testing.assert_close(whole.sum(-1), torch.ones(B, H, 5))
    assert whole[0, ..., [1, 4]].eq(0).all()  # absent


def test_isab_places_count_for_nothing_among_inducing_points():
    place = layer_context(heads=H, layout=FRAMES, attention=AttentionConfig(visibility="local"))
    plain = layer_context(heads=H, layout=FRAMES)
    near, anywhere = build_module(lambda: ISAB(place)), build_module(lambda: ISAB(plain))
    tokens = example_tokens(place)
    assert torch.equal(near(tokens).values, anywhere(tokens).values)


def test_inducing_points_can_look_around_a_centre_of_their_own():
    place = layer_context(heads=H, layout=FRAMES, attention=AttentionConfig(visibility="predicted"))
    check_mechanism(lambda: Rows(ISAB(place)), place, "ordered", compiles=place.heads == 3)


def naive_groups(attention, x, present, groups, rows):
    """Let `rows[i]` of tokens read those of `groups[i]`, one sample after the other.

    Returns what was read, and the weights as a map over all tokens.
    """
    module = of_self(attention)
    read, weights = torch.zeros_like(x), torch.zeros(len(x), H, x.shape[1], x.shape[1])
    for b in range(len(x)):
        for group, asks in zip(groups, rows, strict=True):
            seen = [n for n in group if present[b, n]]
            if not seen:
                read[b, asks] = attention.output(attention.empty_vector)
                continue
            query, keys = x[b : b + 1, asks], x[b : b + 1, seen]
            out, own = module(query, keys, keys, average_attn_weights=False)
            read[b, asks] = out[0]
            for i, row in enumerate(asks):
                weights[b, :, row, seen] = own[0, :, i]
    return read, weights


@pytest.mark.parametrize("masked", [True, False])
def test_space_time_is_one_loop_over_places_and_one_over_frames(masked):
    place = layer_context(heads=H, layout=AMID)
    block, tokens = build_module(lambda: SpaceTime(place)), example_tokens(place)
    if not masked:
        tokens = without_mask(tokens)
    x = tokens.values
    present = torch.ones(x.shape[:2], dtype=torch.bool) if tokens.mask is None else tokens.mask
    alone = [[n] for n in OTHERS]
    frames = [list(each) for each in zip(*PLACES, strict=True)]
    read, time = naive_groups(
        block.time, block.time_norm(x), present, PLACES + alone, PLACES + alone
    )
    y = x + read
    read, space = naive_groups(
        block.space,
        block.space_norm(y),
        present,
        [each + OTHERS for each in frames],
        [*frames[:-1], frames[-1] + OTHERS],
    )
    y = y + read
    expected = y + block.ffn(block.ffn_norm(y))
    out, heard = record_weights(Rows(block), tokens)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)
    assert [ear.part for ear, _ in heard] == ["time", "space"]
    for (_, told), whole in zip(heard, (time, space), strict=True):
        torch.testing.assert_close(told.weights, whole, atol=1e-6, rtol=1e-4)
        if masked or told.mask is not None:
            assert torch.equal(told.mask, present)


def test_tokens_of_no_frame_read_themselves_once_through_time():
    place = place_for("space-time", normalizer="sigmoid")
    block, tokens = (
        build_module(lambda: SpaceTime(place)),
        without_mask(example_tokens(place_for("space-time"))),
    )
    _, ((time, told), _) = record_weights(Rows(block), tokens)
    for n in OTHERS:
        x = block.time_norm(tokens.values)[:, [n]]
        q, k, _ = time.inputs(x).view(B, 1, 3, H, -1).permute(2, 0, 3, 1, 4)
        alone = time.weighting(time.weighting.score(q, k), None, None).weights  # (B, H, 1, 1)
        torch.testing.assert_close(told.weights[:, :, n, n], alone[..., 0, 0])


def test_frames_from_before_the_episode_weigh_nothing():
    place = layer_context(heads=H, layout=FRAMES)
    tokens = example_tokens(place)
    mask = torch.ones(B, T * P, dtype=torch.bool)
    mask[0, : 2 * P] = False  # the first step of an episode
    block = build_module(lambda: SpaceTime(place))
    _, heard = record_weights(Rows(block), tokens._replace(mask=mask))
    for _, told in heard:
        assert told.weights[0, ..., : 2 * P].eq(0).all()
        assert told.weights[1, ..., : 2 * P].ne(0).any()
    time = heard[0][1].weights[0, :, 2 * P :, 2 * P :]
    torch.testing.assert_close(time, torch.eye(P).expand(H, P, P))  # each place sees only itself


def test_space_time_looks_only_back_when_causal():
    place = layer_context(heads=H, layout=FRAMES, attention=AttentionConfig(visibility="causal"))
    tokens = without_mask(example_tokens(place))
    _, ((_, time), (_, space)) = record_weights(
        build_module(lambda: Rows(SpaceTime(place))), tokens
    )
    step = torch.arange(T).repeat_interleave(P)
    later = step > step[:, None]
    assert time.weights[..., later].eq(0).all()
    assert space.weights[..., step == step[:, None]].gt(0).all()


def test_hard_attention_over_frames_tells_its_soft_weights_too():
    place = place_for("space-time", hard_attention="top-k", top_k=2)
    _, heard = record_weights(build_module(lambda: Rows(SpaceTime(place))), example_tokens(place))
    for _, told in heard:
        assert told.soft.shape == told.weights.shape == (B, H, 18, 18)
        assert (told.weights > 0).sum(-1).max() == 2 < (told.soft > 0).sum(-1).max()


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (HISTORY, "each step is one token; use block='residual' with visibility='causal'"),
        (None, "needs the tokens of two frames or more, and this observation is of one step"),
        (
            TokenLayout((frame(0),)),
            r"give it a history \(--history 4, in Python attention_agents.Frame",
        ),
        (TokenLayout((frame(-1, 3), frame(0, 5))), r"\{-1: \[\('image', 3\)\], 0: \[\('image', 5"),
        (TokenLayout((frame(-1), frame(0), frame(0, 5, "map"))), "hold the same tokens"),
    ],
)
def test_space_time_refuses_what_is_no_frames(layout, message):
    with pytest.raises(ValueError, match=message):
        SpaceTime(layer_context(heads=H, layout=layout))


def test_channel_gates_by_hand():
    place = LayerContext(width=4, heads=2, num_tokens=3)
    block = build_module(lambda: Channel(place))
    gates = block.gates
    with torch.no_grad():
        gates.squeeze.weight.copy_(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        gates.squeeze.bias.zero_()
        gates.excite.weight.copy_(torch.tensor([[0.0], [1.0], [-1.0], [1 / 3]]))
        gates.excite.bias.zero_()
        gates.empty_vector.copy_(torch.tensor([6.0, 0.0, 0.0, 0.0]))
    x = torch.tensor([[[2.0, 5, 5, 5], [99, 5, 5, 5], [4, 5, 5, 5]]]).repeat(2, 1, 1)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    out, ((ear, told),) = record_weights(Rows(block), Tokens(x, mask))
    expected = torch.tensor([[0.5, 0.952574, 0.047426, 0.731059]])  # sigmoid of 0, 3, -3, 1
    without = torch.tensor([[0.5, 0.997527, 0.002473, 0.880797]])  # sigmoid of 0, 6, -6, 2
    torch.testing.assert_close(told.weights[:, 0], torch.stack([expected, without]))
    assert told.weights.shape == (2, 1, 1, 4) and told.mask is None
    assert (ear.keys, ear.heads, ear.normalized_over) == ("channels", 1, "none")
    scaled = told.weights[:, 0] * x
    torch.testing.assert_close(out, scaled + block.ffn(block.ffn_norm(scaled)))


@pytest.mark.parametrize("name", BLOCKS.words)
def test_branches_end_with_the_gain_of_the_site(name):
    place = place_for(name)
    full, less = (
        build_module(lambda gain=gain: BLOCKS[name](replace(place, gain=gain)))
        for gain in (1.0, 0.25)
    )
    ends = [path for path, _ in full.named_parameters() if path.endswith("output.weight")]
    assert ends
    for path in ends:
        torch.testing.assert_close(less.get_parameter(path), 0.25 * full.get_parameter(path))
