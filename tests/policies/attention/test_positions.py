"""What the offset or distance between asker and token adds to a score."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Entities, Frames
from attention_agents.envs.wrappers.padding import pad_space
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.attention_weighting import AttentionWeighting
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.attention.positions.relative import NEAR, RelativePositionBias
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.testkit import (
    B,
    K,
    build_module,
    check_mechanism,
    example_tokens,
    layer_context,
    without_mask,
)
from attention_agents.policies.tokens import Tokens
from tests.policies.scenes import (
    SCENES,
    QueryBlock,
    cells,
    entities,
    moved,
    projected,
    started,
    told,
)

H = 3
STANDING = ["grid", "history", "frames", "mixed", "entities", "crowd"]


def placed(scene: str, heads: int = H, positions: str = "relative", **parts):
    return layer_context(
        heads, SCENES[scene], attention=AttentionConfig(positions=positions), **parts
    )


def relative(scene: str, heads: int = H, **parts) -> RelativePositionBias:
    module = build_module(lambda: RelativePositionBias(placed(scene, heads, **parts)))
    assert isinstance(module, RelativePositionBias)
    return module


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("scene", STANDING)
def test_kit(scene, heads):
    place = placed(scene, heads)
    order = "equivariant" if scene == "entities" else "ordered"  # entities have places of their own
    check_mechanism(lambda: SelfAttention(place), place, order, compiles=place.heads == 3)
    query_block = placed(scene, heads, query_tokens=(2,))
    check_mechanism(
        lambda: QueryBlock(query_block), query_block, "ordered", compiles=query_block.heads == 3
    )


@pytest.mark.parametrize("scene", ["frames", "entities"])
def test_kit_without_mask(scene):
    place = placed(scene, heads=2)
    tokens = without_mask(example_tokens(place))
    check_mechanism(
        lambda: SelfAttention(place), place, "ordered", tokens=tokens, compiles=place.heads == 3
    )


@pytest.mark.parametrize("scene", STANDING)
def test_it_begins_as_without_positions(scene):
    place, without = placed(scene), placed(scene, positions="none")
    module, plain, tokens = started(place), started(without), example_tokens(place)
    plain.load_state_dict(module.state_dict(), strict=False)
    torch.testing.assert_close(module(tokens), plain(tokens), atol=1e-6, rtol=1e-5)


def test_a_table_by_hand():
    """Two rows of two: the bias is that of the offset (row, column) from asker to token."""
    module = RelativePositionBias(layer_context(1, TokenLayout((cells(2, 2),))))
    with torch.no_grad():  # up-left, up, up-right, left, here, right, down-left, down, down-right
        module.tables[0].table.copy_(torch.tensor([[1.0, 2, 3, 4, 5, 6, 7, 8, 9]]))
    expected = [[5, 6, 8, 9], [4, 5, 7, 8], [2, 3, 5, 6], [1, 2, 4, 5]]
    assert module(None)[0, 0].tolist() == expected


def test_time_by_hand():
    module = relative("history", heads=1)
    with torch.no_grad():
        module.tables[0].table.copy_(torch.arange(-4.0, 5.0)[None])
    expected = torch.arange(5.0)[None] - torch.arange(5.0)[:, None]  # later than the asker is above
    assert torch.equal(module(None)[0, 0], expected)


def test_frames_add_offset_in_place_and_in_time():
    module, (space, time) = relative("frames"), relative("frames").tables
    stands = [(row, col, t) for t in (-1, 0) for row in range(2) for col in range(3)]
    bias = module(None)
    for h, i, n in np.ndindex(H, 12, 12):
        (row, col, t), (row_n, col_n, t_n) = stands[i], stands[n]
        near = space.table.view(H, 3, 5)[h, row_n - row + 1, col_n - col + 2]
        torch.testing.assert_close(bias[0, h, i, n], near + time.table[h, t_n - t + 1])


def test_grids_of_two_keys_have_a_table_each():
    layout = TokenLayout((cells(1, 2, "front"), cells(1, 3, "back")))
    module = build_module(lambda: RelativePositionBias(layer_context(H, layout)))
    bias = module(None)[0]
    assert bias[:, :2, 2:].eq(0).all() and bias[:, 2:, :2].eq(0).all()
    assert [table.table.shape for table in module.tables] == [(H, 3), (H, 5)]
    torch.testing.assert_close(bias[:, 0, 1], module.tables[0].table[:, 2])
    torch.testing.assert_close(bias[:, 2, 4], module.tables[1].table[:, 4])


def test_what_stands_nowhere_adds_nothing():
    bias = relative("mixed")(None)[0]  # a grid, and a direction
    assert bias[:, 6].eq(0).all() and bias[:, :, 6].eq(0).all() and bias[:, :6, :6].ne(0).all()
    bias = relative("timed")(None)[0]  # four cells of two steps, and a direction
    assert bias[:, 4].eq(0).all() and bias[:, :, 4].eq(0).all() and bias[:, :4, :4].ne(0).all()
    bias = relative("crowd")(torch.randn(B, 5, 2))  # three entities, and two numbers
    assert bias[:, :, 3:].eq(0).all() and bias[:, :, :, 3:].eq(0).all()
    assert bias[:, :, :3, :3].ne(0).all()


def far(d: float) -> float:
    return math.copysign(math.log1p(abs(d) / NEAR) / math.log1p(1 / NEAR), d)


def test_distance_follows_the_formula():
    module, places = relative("entities"), 20 * torch.randn(B, 5, 2)
    weight, bias = module.distance.weight.detach().double().numpy(), module(places)
    for b, i, n in np.ndindex(B, 5, 5):
        dx, dy = (places[b, n] - places[b, i]).tolist()
        d = math.hypot(dx, dy)
        x, y, r = far(dx), far(dy), far(d)
        toward = (0.0, 0.0) if d == 0 else (dx / d, dy / d)
        expected = weight @ [1, x, y, r, x**2, y**2, r**2, *toward]
        np.testing.assert_allclose(bias[b, :, i, n].detach(), expected, atol=1e-5)


def test_a_distance_by_hand():
    """One head counts distance on its log scale: 1 at one unit; the other looks to the right."""
    module = RelativePositionBias(placed("entities", heads=2))
    with torch.no_grad():
        module.distance.weight[0, 3] = 1.0
        module.distance.weight[1, 7] = 1.0
    places = torch.tensor([[[0.0, 0.0], [0.6, 0.8], [-6.0, 8.0], [0.0, 0.0], [1e30, 0.0]]])
    distance, right = module(places)[0, :, 0].tolist()
    ten, most = math.log(1001) / math.log(101), math.log1p(1e8) / math.log(101)
    assert distance == pytest.approx([0.0, 1.0, ten, 0.0, most], abs=1e-3)
    assert right == pytest.approx([0.0, 0.6, -0.6, 0.0, 1.0], abs=1e-6)


def test_moving_all_entities_alike_changes_nothing():
    place = placed("entities")
    module, tokens = moved(place), example_tokens(place)
    there = tokens._replace(places=tokens.places + torch.tensor([3.0, -7.0]))
    torch.testing.assert_close(module(there), module(tokens), atol=1e-5, rtol=1e-4)


def test_moving_one_entity_changes_who_is_read():
    place = placed("entities")
    module, tokens = moved(place), without_mask(example_tokens(place))
    places = tokens.places.clone()
    places[:, 2] += 1.0
    _, before = told(module, tokens)
    _, after = told(module, tokens._replace(places=places))
    assert (after - before).abs().amax((1, 3)).gt(1e-3).all()  # of every asker, in some head


@pytest.mark.parametrize("anything", [7.0, 1e30, math.inf, math.nan])
@pytest.mark.parametrize("scene", ["entities", "crowd"])
def test_places_of_absent_tokens_change_nothing(scene, anything):
    place = placed(scene)
    tokens = example_tokens(place)

    def passed(tokens: Tokens) -> tuple:
        module = moved(place)
        out = module(tokens)[tokens.mask]
        out.square().sum().backward()
        return out, module.weighting.positions.distance.weight.grad

    absent = ~tokens.mask[..., None]
    other = tokens._replace(places=tokens.places.masked_fill(absent, anything))
    for expected, got in zip(passed(tokens), passed(other), strict=True):
        assert torch.equal(got, expected)


def test_an_entity_without_a_place_adds_nothing():
    places = torch.randn(B, 5, 2)
    module, expected = relative("entities"), relative("entities")(places)
    places[0, 3, 1] = math.nan
    bias = module(places)
    assert bias[0, :, 3].eq(0).all() and bias[0, :, :, 3].eq(0).all()
    others = torch.tensor([0, 1, 2, 4])
    assert torch.equal(bias[0][:, others][:, :, others], expected[0][:, others][:, :, others])
    assert torch.equal(bias[1], expected[1])


def test_places_get_a_finite_gradient():
    """Also where two entities stand in one place, for maps of what an action depends on."""
    places = torch.zeros(B, 5, 2, requires_grad=True)
    relative("entities")(places).square().sum().backward()
    assert places.grad.isfinite().all()


@pytest.mark.parametrize("scene", STANDING)
def test_an_asker_is_biased_as_its_token(scene):
    rows, places = (3, 0), torch.randn(B, len(SCENES[scene]), 2)
    everyone, some = relative(scene), relative(scene, query_tokens=rows)
    some.load_state_dict(everyone.state_dict())
    torch.testing.assert_close(some(places), everyone(places)[:, :, list(rows)])


@pytest.mark.parametrize("scene", STANDING)
def test_weights_follow_the_formula(scene):
    """`softmax(q.k / sqrt(K) / temperature + bias)` over present tokens, in plain loops."""
    place = layer_context(
        H, SCENES[scene], attention=AttentionConfig(positions="relative", temperature=0.5)
    )
    module, tokens = moved(place), example_tokens(place)
    out, weights = told(module, tokens)
    q, k, v = (each.detach().double().numpy() for each in projected(module, tokens))
    bias = module.weighting.positions(tokens.places).expand(B, -1, -1, -1).detach().numpy()
    for b, h, i in np.ndindex(*weights.shape[:3]):
        scores = [
            q[b, h, i] @ k[b, h, n] / K**0.5 / 0.5 + bias[b, h, i, n] for n in range(len(v[b, h]))
        ]
        raised = np.exp(scores) * tokens.mask[b].numpy()
        np.testing.assert_allclose(weights[b, h, i], raised / raised.sum(), atol=1e-6)
    read = (weights @ torch.tensor(v).float()).transpose(1, 2).reshape(B, place.num_tokens, -1)
    torch.testing.assert_close(module.output(read), out, atol=1e-5, rtol=0)


def test_training_reaches_tables_and_network():
    for scene in ("frames", "entities"):
        module, tokens = started(placed(scene)), example_tokens(placed(scene))
        module(tokens).square().sum().backward()
        (*tables,) = module.weighting.positions.tables
        learned = [table.table for table in tables]
        if module.weighting.positions.distance is not None:
            learned.append(module.weighting.positions.distance.weight)
        assert learned and all(each.grad.ne(0).any() for each in learned)


NOWHERE = r"where entities stand, and this observation does not say; use positions='none', or a "


@pytest.mark.parametrize("scene", ["entities", "crowd"])
def test_entities_without_places_are_refused_before_the_first_pass(scene):
    with pytest.raises(ValueError, match=NOWHERE):
        SelfAttention(placed(scene, has_positions=False))
    with pytest.raises(ValueError, match=r"Entities\(position=\(x, y\)\): tables of a padded"):
        SelfAttention(placed(scene, has_positions=False))
    SelfAttention(placed("grid", has_positions=False))


def test_entities_need_places():
    module = started(placed("entities"))
    with pytest.raises(ValueError, match=NOWHERE):
        module(example_tokens(placed("entities"))._replace(places=None))


@pytest.mark.parametrize("position", [None, (1, 2)])
def test_the_extractor_knows_whether_entities_say_where_they_stand(position):
    spec = Entities(5, ("presence", "x", "y"), presence=0, ego=0, position=position)
    space = TokenBox(-1, 1, (5, 3), tokens=spec)

    def made() -> AttentionExtractor:
        return AttentionExtractor(
            space, layers=1, width=6, heads=3, attention=AttentionConfig(positions="relative")
        )

    if position is None:
        with pytest.raises(ValueError, match=NOWHERE):
            made()
    else:
        assert made()(torch.rand(B, 5, 3)).isfinite().all()


@pytest.mark.parametrize("position", [None, (1, 2)])
def test_entities_of_a_history_have_a_distance_where_they_say_where_they_stand(position):
    spec = Frames(2, Entities(5, ("presence", "x", "y"), presence=0, position=position))
    space = TokenBox(-1, 1, (2, 16), tokens=spec)
    module = AttentionExtractor(
        space, layers=2, width=6, heads=3, attention=AttentionConfig(positions="relative")
    )
    obs = torch.rand(B, 2, 16)
    obs[:, :, [0, 1, 4, 7, 10, 13]] = 1.0
    module(obs).sum().backward()
    reached = {
        name
        for name, weight in module.named_parameters()
        if weight.grad is not None and "distance" in name
    }
    assert bool(reached) == (position is not None)


def test_a_padded_sequence_is_refused_relative_positions():
    members = spaces.Sequence(spaces.Box(-1, 1, (3,)))
    table, _ = pad_space(spaces.Dict(units=members), max_entities=5)
    mechanism = AttentionConfig(positions="relative")
    with pytest.raises(ValueError, match=NOWHERE):
        AttentionExtractor(table, layers=2, width=6, heads=3, attention=mechanism)


def test_a_grid_beside_entities_without_places_is_enough():
    layout = TokenLayout((cells(1, 2, "map"), entities(3, "units")))
    bias = build_module(lambda: RelativePositionBias(layer_context(H, layout)))(None)
    assert bias[0, :, :2, :2].ne(0).all() and bias[0, :, 2:].eq(0).all()


def test_tokens_that_stand_nowhere_are_refused():
    text = (
        "needs tokens on a grid, in time, or entities, and these are features; use positions='none'"
    )
    with pytest.raises(ValueError, match=text):
        AttentionWeighting(placed("features"))


def test_queries_that_stand_nowhere():
    weighting = AttentionWeighting(placed("grid", query_tokens=None))
    assert weighting.positions is None
    with pytest.raises(ValueError, match="positions='relative' needs queries that are tokens, got"):
        RelativePositionBias(placed("grid", query_tokens=None))
