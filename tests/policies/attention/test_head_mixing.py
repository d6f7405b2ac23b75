"""How heads combine."""

import math

import numpy as np
import pytest
import torch

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.attention_weighting import AttentionWeighting
from attention_agents.policies.attention.head_mixing.head_mixing import HeadMixing
from attention_agents.policies.attention.head_mixing.weighted import WeightedHeads
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.registries import HEAD_MIXINGS
from attention_agents.policies.testkit import (
    B,
    K,
    N,
    check_mechanism,
    example_tokens,
    layer_context,
    record_weights,
    without_mask,
)
from tests.policies.scenes import SCENES, QueryBlock, moved, projected, started, told

H = 3


def placed(mix: str, heads: int = H, scene: str = "features", **words):
    query_tokens = words.pop("query_tokens", tuple(range(len(SCENES[scene]))))
    return layer_context(
        heads,
        SCENES[scene],
        query_tokens=query_tokens,
        attention=AttentionConfig(head_mixing=mix, **words),
    )


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("mix", ["weighted", "talking"])
def test_kit(mix, heads):
    place = placed(mix, heads)
    alone = heads == 1 and mix == "weighted"  # one head counts 1, whatever its importance
    idle = ("weighting.head_mixing.importance",) if alone else ()
    check_mechanism(lambda: SelfAttention(place), place, compiles=place.heads == 3, idle=idle)
    query_block = placed(mix, heads, query_tokens=(2,))
    idle = tuple(f"attention.{name}" for name in idle)
    check_mechanism(
        lambda: QueryBlock(query_block),
        query_block,
        "ordered",
        compiles=query_block.heads == 3,
        idle=idle,
    )


@pytest.mark.parametrize("mix", ["weighted", "talking"])
@pytest.mark.parametrize("scene", ["frames", "mixed"])
def test_kit_with_a_window_and_a_bias(mix, scene):
    place = placed(mix, 2, scene, visibility="local", window=1, positions="relative")
    check_mechanism(lambda: SelfAttention(place), place, "ordered", compiles=place.heads == 3)
    check_mechanism(
        lambda: SelfAttention(place),
        place,
        "ordered",
        tokens=without_mask(example_tokens(place)),
        compiles=place.heads == 3,
    )
    query_block = placed(
        mix, 2, scene, visibility="local", window=1, positions="relative", query_tokens=(2,)
    )
    check_mechanism(
        lambda: QueryBlock(query_block), query_block, "ordered", compiles=query_block.heads == 3
    )


@pytest.mark.parametrize("mix", ["weighted", "talking"])
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_they_begin_as_heads_side_by_side(mix, heads):
    place = placed(mix, heads)
    out = started(place)(example_tokens(place))
    plain = started(placed("concat", heads))(example_tokens(place))
    torch.testing.assert_close(out, plain, atol=1e-5, rtol=1e-4)


def test_weighted_by_hand():
    mix = HEAD_MIXINGS["weighted"](placed("weighted", heads=2))
    with torch.no_grad():
        mix.importance.copy_(torch.tensor([math.log(3.0), 0.0]))
    torch.testing.assert_close(mix.head_weights(), torch.tensor([1.5, 0.5]))


def test_weighted_multiplies_what_heads_have_read():
    place = placed("weighted")
    module, tokens = moved(place), example_tokens(place)
    out, weights = told(module, tokens)
    counts = module.weighting.head_mixing.importance.detach().double().exp().numpy()
    counts = H * counts / counts.sum()
    v = projected(module, tokens)[2].detach().numpy()
    joined = np.zeros((B, N, H * K), np.float32)
    for b, h, i in np.ndindex(B, H, N):
        read = sum(weights[b, h, i, n].item() * v[b, h, n] for n in range(N))
        joined[b, i, h * K : (h + 1) * K] = counts[h] * read
    torch.testing.assert_close(module.output(torch.tensor(joined)), out, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("query", [False, True])
def test_weights_of_heads_are_told_beside_the_map(query):
    place = placed("weighted", query_tokens=(0,)) if query else placed("weighted")
    module = QueryBlock(place) if query else moved(place)
    _, ((_, heard),) = record_weights(module, example_tokens(place))
    assert heard.heads.shape == (H,) and not heard.heads.requires_grad
    torch.testing.assert_close(heard.heads.mean(), torch.tensor(1.0))
    torch.testing.assert_close(heard.weights.sum(-1), torch.ones(heard.weights.shape[:-1]))


def test_talking_follows_the_formula():
    """Shazeer et al. 2020, section 3: mix logits, softmax, mix weights; in plain loops."""
    place = placed("talking")
    module, tokens = started(place), example_tokens(place)
    mix = module.weighting.head_mixing
    with torch.no_grad():
        mix.before.normal_()
        mix.after.normal_()
    _, weights = told(module, tokens)
    q, k, _ = (each.detach().double().numpy() for each in projected(module, tokens))
    before, after = mix.before.detach().double().numpy(), mix.after.detach().double().numpy()
    present = tokens.mask.numpy()
    for b, i in np.ndindex(B, N):
        logits = np.array([[q[b, h, i] @ k[b, h, n] / K**0.5 for n in range(N)] for h in range(H)])
        raised = np.exp(before @ logits) * present[b]
        expected = after @ (raised / raised.sum(-1, keepdims=True))
        np.testing.assert_allclose(weights[b, :, i], expected, atol=1e-5)
    assert weights.lt(0).any() and weights[..., 1][0].eq(0).all()  # token 1 is absent


def test_talking_by_hand():
    """The second head hears the first after the softmax, with 2; the first hears itself with -1."""
    mix = HEAD_MIXINGS["talking"](placed("talking", heads=2))
    with torch.no_grad():
        mix.after.copy_(torch.tensor([[-1.0, 0.0], [2.0, 1.0]]))
        mix.before.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    maps = torch.tensor([[[[0.25, 0.75]], [[0.5, 0.5]]]])
    assert mix.mix_weights(maps).tolist() == [[[[-0.25, -0.75]], [[1.0, 2.0]]]]
    assert mix.mix_scores(maps).tolist() == [[[[0.5, 0.5]], [[0.25, 0.75]]]]


def test_talking_heads_write_their_weights_down():
    weighting = AttentionWeighting(placed("talking"))
    assert weighting.normalized_over == "none" and not weighting.is_fused
    assert AttentionWeighting(placed("weighted")).is_fused


def test_a_mix_that_overrides_scores_or_weights_talks():
    class Turned(HeadMixing):
        def mix_weights(self, weights):
            return weights.flip(1)

    class Louder(WeightedHeads):
        def mix_scores(self, scores):
            return 2 * scores

    changes = {name: HEAD_MIXINGS[name].changes_weights for name in ("weighted", "talking")}
    assert changes == {"weighted": False, "talking": True}
    assert Turned.changes_weights and Louder.changes_weights


def test_weights_that_a_mix_turns_are_read_as_they_are_told(monkeypatch):
    class Turned(HeadMixing):
        def mix_weights(self, weights):
            return weights.flip(1)

    place, plain = placed("talking"), started(placed("concat"))
    monkeypatch.setitem(HEAD_MIXINGS._pieces, "talking", (Turned, ""))
    module, tokens = started(place), example_tokens(place)
    assert not module.weighting.is_fused
    assert not torch.allclose(module(tokens), plain(tokens))
    torch.testing.assert_close(told(module, tokens)[1], told(plain, tokens)[1].flip(1))
    check_mechanism(lambda: SelfAttention(place), place, compiles=False)


def test_an_absorbed_query_talks_as_projected_keys_do():
    """QueryAttention and SelfAttention with the same projections give the same row."""
    everyone = moved(placed("talking"))
    query_block = QueryBlock(placed("talking", query_tokens=(2,)))
    D, ask = H * K, query_block.attention
    with torch.no_grad():
        everyone.inputs.bias.zero_()
        for part, target in enumerate((ask.query, ask.key, ask.value)):
            target.weight.copy_(everyone.inputs.weight[part * D : (part + 1) * D])
        ask.output.load_state_dict(everyone.output.state_dict())
        ask.weighting.load_state_dict(everyone.weighting.state_dict())
        ask.empty_vector.copy_(everyone.empty_vector)
    tokens = example_tokens(placed("talking"))
    torch.testing.assert_close(query_block(tokens), everyone(tokens)[:, 2], atol=1e-5, rtol=1e-4)
