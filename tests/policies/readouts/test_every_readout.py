"""From tokens to one vector: every readout by the kit, with every mechanism that it can have."""

from dataclasses import replace

import pytest
import torch

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.encoder import Encoder
from attention_agents.policies.registries import (
    HARD_ATTENTIONS,
    HEAD_MIXINGS,
    NORMALIZERS,
    READOUTS,
    SCORES,
)
from attention_agents.policies.testkit import (
    build_module,
    check_mechanism,
    example_tokens,
    record_weights,
    with_attention,
    without_mask,
)
from tests.policies.readouts.cases import CASES, STEPS, B, K, history, made, maker, place_of, told

ATTENDING = [case for case, (name, _, _) in CASES.items() if READOUTS[name].is_attention_layer]
WEIGHING = [case for case in ATTENDING if case != "slots"]

ALWAYS_READS = {"cls": "attention.empty_vector", "attention-gru": "cell.attention.empty_vector"}
"""Readouts that never read nothing (CLS reads itself, absent steps are skipped), and what for."""


def test_every_readout_is_checked():
    assert set(READOUTS.words) - {"auto"} == {name for name, _, _ in CASES.values()}


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_readouts_hold_to_the_kit(case, heads):
    place, order = place_of(case, heads), CASES[case][2]
    check_mechanism(
        maker(case, place), place, order, attends=case in ATTENDING, compiles=place.heads == 3
    )


@pytest.mark.parametrize("case", CASES)
def test_readouts_hold_to_the_kit_without_a_mask(case):
    place, order = place_of(case), CASES[case][2]
    tokens = without_mask(example_tokens(place))
    check_mechanism(
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


@pytest.mark.parametrize("normalizer", NORMALIZERS.words)
@pytest.mark.parametrize("score", SCORES.words)
@pytest.mark.parametrize("case", WEIGHING)
def test_every_score_and_normalizer_goes_with_every_readout(case, score, normalizer):
    place = with_attention(place_of(case), score=score, normalizer=normalizer)
    if case == "ego" and score == "location":
        with pytest.raises(ValueError, match="needs tokens whose order means something"):
            READOUTS["ego"](place)
        return
    tokens = example_tokens(place)
    module = build_module(lambda: Encoder(place, 1, readout=CASES[case][0]))
    out, heard = record_weights(module, tokens)
    assert out.shape == (B, 3 * K) and out.isfinite().all()
    ((ear, one),) = heard
    assert ear.normalized_over == NORMALIZERS[normalizer].normalized_over
    assert one.weights.ge(0).all() and one.weights.sum() > 0
    plain = build_module(lambda: Encoder(place_of(case), 1, readout=CASES[case][0]))
    _, plainly = record_weights(plain, tokens)
    assert (score, normalizer) == ("scaled-dot-product", "softmax") or not torch.allclose(
        one.weights, plainly[0][1].weights
    )


@pytest.mark.parametrize("hard", [name for name in HARD_ATTENTIONS.words if name != "none"])
@pytest.mark.parametrize("case", WEIGHING)
def test_every_readout_can_attend_hard(case, hard):
    module, tokens = made(case, hard_attention=hard, top_k=2)
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
    near = with_attention(place, visibility="local", window=1)
    encoder = build_module(lambda: Encoder(near, 1, readout=CASES[case][0]))
    _, ((_, one),) = record_weights(encoder, without_mask(example_tokens(near)))
    _, ((_, everything),) = record_weights(
        build_module(lambda: Encoder(place, 1, readout=CASES[case][0])),
        without_mask(example_tokens(place)),
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
    far = with_attention(place, positions="relative")
    ours = build_module(lambda: Encoder(far, 1, readout=case))
    plain = build_module(lambda: Encoder(place, 1, readout=case))
    tables = {n: p for n, p in ours.named_parameters() if "positions" in n}
    assert tables
    plain.load_state_dict({n: p for n, p in ours.state_dict().items() if n not in tables})
    tokens = example_tokens(place)
    assert not torch.allclose(told(ours, tokens).weights, told(plain, tokens).weights)
    with torch.no_grad():
        for table in tables.values():
            table.zero_()
    torch.testing.assert_close(ours(tokens), plain(tokens), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("mix", [name for name in HEAD_MIXINGS.words if name != "concat"])
@pytest.mark.parametrize("case", [case for case in WEIGHING if case not in ("augru", "attgru")])
def test_heads_can_be_mixed(case, mix):
    module, tokens = made(case, head_mixing=mix)
    plain, _ = made(case)
    mixing = {name: p for name, p in module.named_parameters() if ".head_mixing." in name}
    with torch.no_grad():
        for parameter in mixing.values():
            parameter.add_(torch.randn(parameter.shape))
    common = {name: p for name, p in module.state_dict().items() if name not in mixing}
    plain.load_state_dict(common)
    one, other = told(module, tokens), told(plain, tokens)
    assert one.weights.shape == other.weights.shape
    assert (one.heads is None) == HEAD_MIXINGS[mix].changes_weights
    assert one.heads is not None or not torch.allclose(one.weights, other.weights)
    assert not torch.allclose(module(tokens), plain(tokens))
