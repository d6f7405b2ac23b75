"""Each kind of token: shape, order of the layout, presence."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from attention_agents.envs.tokens.layout import Conv
from attention_agents.envs.tokens.spaces import TokenBox, build_layout, choose_spec, choose_specs
from attention_agents.envs.tokens.specs import Cells, Entities, Features, Frames, History, Patches
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.tokenizers.observation import ObservationTokenizer

B, D = 2, 7
STEM = (Conv(3, 3, 1, 1), Conv(5, 2, 2))


def tokenizer(space: spaces.Space) -> ObservationTokenizer:
    torch.manual_seed(0)
    return ObservationTokenizer(choose_specs(space), D)


def changed_tokens(
    module: ObservationTokenizer, obs: torch.Tensor, other: torch.Tensor
) -> list[int]:
    """Return which tokens differ between two observations."""
    differ = module(obs).values[0].ne(module(other).values[0]).any(-1)
    return differ.nonzero().flatten().tolist()


def test_each_number_changes_its_own_token():
    module = tokenizer(spaces.Box(-1, 1, (5,)))
    obs = torch.randn(B, 5)
    for i in range(5):
        other = obs.clone()
        other[0, i] += 0.5
        assert changed_tokens(module, obs, other) == [i]


def test_choices_give_the_embedding_of_the_chosen_category():
    module = tokenizer(spaces.MultiDiscrete([3, 2]))
    onehot = torch.tensor([[0.0, 0, 1, 1, 0], [1, 0, 0, 0, 1]])
    tables = module.parts[0].embeddings
    expected = torch.stack(
        [torch.stack([tables[0][2], tables[1][0]]), torch.stack([tables[0][0], tables[1][1]])]
    )
    torch.testing.assert_close(module(onehot).values, expected)


def test_each_category_cell_changes_its_own_token():
    space = TokenBox(0, 255, (6, 3), np.uint8, tokens=Cells(2, 3, categories=(11, 6, 3)))
    module, obs = tokenizer(space), torch.zeros(B, 6, 3)
    for cell in range(6):
        other = obs.clone()
        other[0, cell] = torch.tensor([10.0, 5.0, 2.0])
        assert changed_tokens(module, obs, other) == [cell]


def test_each_plane_cell_changes_its_own_token():
    space = TokenBox(0, 1, (2, 3, 5), tokens=Cells(2, 3, channels=5))
    module, obs = tokenizer(space), torch.zeros(B, 2, 3, 5)
    for row, col in np.ndindex(2, 3):
        other = obs.clone()
        other[0, row, col, 4] = 1
        assert changed_tokens(module, obs, other) == [row * 3 + col]


def test_plane_cells_may_have_their_channels_first():
    last = tokenizer(TokenBox(0, 1, (2, 3, 5), tokens=Cells(2, 3, channels=5)))
    first = tokenizer(
        TokenBox(0, 1, (5, 2, 3), tokens=Cells(2, 3, channels=5, channels_first=True))
    )
    obs = torch.rand(B, 2, 3, 5)
    assert torch.equal(first(obs.permute(0, 3, 1, 2)).values, last(obs).values)


def test_linear_patches_are_squares_times_one_matrix():
    side, height, width = 3, 12, 15
    spec = choose_spec(spaces.Box(0, 1, (2, height, width)), "linear-patches")
    assert spec == Patches(height, width, 2, (Conv(64, side, side),))
    assert spec.token_groups("")[0].boxes == tuple(
        (x, y, x + side, y + side) for y in range(0, height, side) for x in range(0, width, side)
    )
    module = tokenizer(TokenBox(0, 1, (2, height, width), tokens=spec)).parts[0]
    obs = torch.rand(B, 2, height, width)
    squares = torch.nn.functional.unfold(obs, side, stride=side).transpose(1, 2)  # (B, N, 2 * 9)
    conv = module.stem[0]
    patches = squares @ conv.weight.flatten(1).T + conv.bias
    torch.testing.assert_close(module(obs).values, module.project(patches) + module.place)


@pytest.mark.parametrize(
    ("height", "width", "side"), [(84, 84, 21), (96, 96, 24), (10, 10, 2), (16, 64, 8), (4, 5, 1)]
)
def test_linear_patches_are_the_largest_squares_that_give_16_to_144(height, width, side):
    spec = choose_spec(spaces.Box(0, 255, (3, height, width), np.uint8), "linear-patches")
    assert spec.convs[0][1:] == (side, side, 0)


def test_a_box_with_patches_of_its_own_can_be_cut_into_linear_ones():
    space = TokenBox(0, 1, (10, 10, 10), np.uint8, tokens=Patches(10, 10, 10, STEM, False))
    spec = choose_spec(space, "linear-patches")
    assert spec == Patches(10, 10, 10, (Conv(64, 2, 2),), channels_first=False)
    assert choose_spec(space, "cells") == Cells(10, 10, channels=10)


def test_only_linear_patches_have_no_relu():
    def relus(*convs: Conv) -> int:
        stem = tokenizer(TokenBox(0, 1, (2, 6, 8), tokens=Patches(6, 8, 2, convs))).parts[0].stem
        return sum(isinstance(layer, torch.nn.ReLU) for layer in stem)

    assert relus(Conv(3, 2, 2)) == 0
    assert relus(Conv(3, 3, 1)) == 1
    assert relus(Conv(3, 2, 2), Conv(5, 1, 1)) == 2


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize(
    "convs", [(Conv(3, 3, 1, 1), Conv(5, 2, 2)), (Conv(4, 3, 2, 1),), (Conv(4, 2, 2),)]
)
def test_a_pixel_changes_exactly_the_patches_whose_box_holds_it(convs, channels_first):
    height, width = 6, 8
    spec = Patches(height, width, 2, convs, channels_first)
    shape = (2, height, width) if channels_first else (height, width, 2)
    module = tokenizer(TokenBox(0, 1, shape, tokens=spec))
    for layer in module.parts[0].stem:
        if hasattr(layer, "weight"):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.0)  # no sum may cancel, no ReLU may close
    boxes = spec.token_groups("")[0].boxes
    obs = torch.rand(1, *shape)
    for y, x in np.ndindex(height, width):
        other = obs.clone()
        pixel = other[0, :, y, x] if channels_first else other[0, y, x]
        pixel += 1.0
        inside = [i for i, (x0, y0, x1, y1) in enumerate(boxes) if x0 <= x < x1 and y0 <= y < y1]
        assert changed_tokens(module, obs, other) == inside


def test_only_the_presence_column_makes_an_entity_absent():
    spec = Entities(3, ("presence", "x", "y"), presence=0, ego=0)
    obs = torch.tensor([[[1.0, 0, 0], [0, 9, 9], [1, 2, 3]], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]])
    tokens = tokenizer(TokenBox(-9, 9, (3, 3), tokens=spec))(obs)
    assert tokens.values.shape == (2, 3, D)
    assert tokens.mask.tolist() == [[True, False, True], [False, False, False]]


@pytest.mark.parametrize("fill", [-999.0, 1e30, torch.inf, torch.nan])
@pytest.mark.parametrize("readout", ["query", "mean", "slots"])
def test_what_absent_rows_hold_changes_nothing(fill, readout):
    rows = Entities(4, ("presence", "x", "y"), presence=0, position=(1, 2))
    space = TokenBox(-np.inf, np.inf, (4, 3), tokens=rows)
    extractor = AttentionExtractor(space, width=8, heads=2, readout=readout)
    obs = torch.zeros(B, 4, 3)
    obs[:, :2] = torch.tensor([[1, 0.3, 0.4], [1, 0.1, 0.2]])
    other = obs.clone()
    other[:, 2:, 1:] = fill
    torch.testing.assert_close(extractor(other), extractor(obs), rtol=0, atol=0)


@pytest.mark.parametrize("picture", [False, True])
def test_what_absent_steps_hold_changes_nothing(picture):
    spec = Frames(3, Cells(2, 2, channels=1, channels_first=True)) if picture else History(3, 4)
    module = tokenizer(TokenBox(-np.inf, np.inf, (3, 5), tokens=spec))
    obs = torch.zeros(B, 3, 5)
    obs[:, 2] = 1
    other = obs.clone()
    other[:, 0, 1:] = torch.nan
    assert module(other).values.isfinite().all()
    assert changed_tokens(module, obs, other) == []


def test_steps_before_the_episode_are_absent():
    space = TokenBox(-9, 9, (3, 1 + 2), tokens=History(3, 2))
    tokens = tokenizer(space)(torch.tensor([[[0.0, 0, 0], [1, 0, 0], [1, 5, 5]]]))
    assert tokens.mask.tolist() == [[False, True, True]]


def test_a_present_row_of_zeros_counts():
    spec = Entities(3, ("presence", "x"), presence=0)
    module = tokenizer(TokenBox(-9, 9, (3, 2), tokens=spec))
    rows = torch.tensor([[[1.0, 0], [0, 0], [1, 0]]])
    assert module(rows).mask.tolist() == [[True, False, True]]


def test_places_are_the_position_columns_as_observed():
    spec = Entities(3, ("presence", "y", "hp", "x"), presence=0, position=(3, 1))
    obs = torch.randn(B, 3, 4) * 100
    tokens = tokenizer(TokenBox(-np.inf, np.inf, (3, 4), tokens=spec))(obs)
    places = torch.where(tokens.mask[:, :, None], obs[:, :, [3, 1]], 0.0)
    torch.testing.assert_close(tokens.places, places, rtol=0, atol=0)


def test_places_of_a_dict_are_joined_and_nan_where_a_part_has_none():
    with_position = Entities(3, ("x", "y"), position=(0, 1))
    module = tokenizer(
        spaces.Dict(
            cars=TokenBox(-9, 9, (3, 2), tokens=with_position),
            gear=spaces.Discrete(4),
            men=TokenBox(-9, 9, (2, 5), tokens=Entities(2, tuple("abcde"), position=(4, 3))),
        )
    )
    cars, men = torch.randn(B, 3, 2), torch.randn(B, 2, 5)
    tokens = module({"cars": cars, "gear": torch.eye(4)[:B], "men": men})
    expected = torch.cat([cars, torch.full((B, 1, 2), torch.nan), men[:, :, [4, 3]]], 1)
    torch.testing.assert_close(tokens.places, expected, rtol=0, atol=0, equal_nan=True)
    assert tokens.mask is None


def test_tokens_have_no_places_where_no_part_has_some():
    space = spaces.Dict(a=spaces.Discrete(3), b=spaces.Box(-1, 1, (2,)))
    obs = {"a": torch.eye(3)[:B], "b": torch.zeros(B, 2)}
    assert tokenizer(space)(obs).places is None
    entities = TokenBox(-1, 1, (3, 2), tokens=Entities(3, ("x", "y")))
    assert tokenizer(entities)(torch.zeros(B, 3, 2)).places is None


@pytest.mark.parametrize("counts", [(0, 0), (0, 2), (3, 0), (3, 2)])
def test_kinds_of_entities_are_joined_with_any_number_of_each(counts):
    module = tokenizer(
        spaces.Dict(
            apples=TokenBox(-9, 9, (3, 2), tokens=Entities(3, ("there", "ripe"), 0)),
            mines=TokenBox(-9, 9, (2, 5), tokens=Entities(2, tuple("abcdp"), 4)),
        )
    )
    obs = {"apples": torch.randn(B, 3, 2), "mines": torch.randn(B, 2, 5)}
    obs["apples"][:, :, 0] = (torch.arange(3) < counts[0]).float()
    obs["mines"][:, :, 4] = (torch.arange(2) < counts[1]).float()
    tokens = module(obs)
    assert tokens.values.shape == (B, 5, D)
    assert tokens.mask[:, :3].sum(1).tolist() == [counts[0]] * B
    assert tokens.mask[:, 3:].sum(1).tolist() == [counts[1]] * B


T = 3
FRAMES = {
    "categories": Frames(T, Cells(2, 5, categories=(11, 6))),
    "planes": Frames(T, Cells(2, 5, channels=3, channels_first=True)),
    "patches": Frames(T, Patches(4, 6, 2, (Conv(3, 2, 2),))),
    "patches, channels last": Frames(T, Patches(4, 6, 3, (Conv(3, 2, 2),), False)),
    "bytes": Frames(T, Patches(4, 6, 3, (Conv(3, 2, 2),)), of_bytes=True),
    "entities": Frames(T, Entities(7, tuple("abc"), ego=2)),
}


def framed(spec: Frames) -> tuple[TokenBox, torch.Tensor]:
    """Return the space of some frames, and two observations; the second is a frame shorter."""
    P = int(np.prod(spec.part.shape))
    high = 255 if spec.of_bytes else 5
    obs = torch.randint(0, high + 1, (B, T, 1 + P), generator=torch.Generator().manual_seed(1))
    obs[:, :, 0] = torch.tensor([[1, 1, 1], [0, 1, 1]])
    return TokenBox(0, high, (T, 1 + P), np.uint8, tokens=spec), obs.float()


@pytest.mark.parametrize("name", FRAMES)
def test_frames_share_their_content_and_differ_by_age(name):
    spec = FRAMES[name]
    space, obs = framed(spec)
    module = tokenizer(space)
    tokens = module(obs)
    part, N = module.parts[0], len(spec.part.token_groups("")[0])
    assert tokens.values.shape == (B, T * N, D)
    scale = 255 if spec.of_bytes else 1
    for t in range(T):
        seen = obs[:, t, 1:] * obs[:, t, :1]  # nothing of frames from before the episode
        alone = part.part(seen.reshape(B, *spec.part.shape) / scale).values
        torch.testing.assert_close(
            tokens.values[:, t * N : (t + 1) * N], alone + part.age[t], rtol=1e-5, atol=1e-5
        )
    assert tokens.mask.view(B, T, N).all(-1).tolist() == [[True] * 3, [False, True, True]]
    assert tokens.mask.view(B, T, N).any(-1).tolist() == [[True] * 3, [False, True, True]]


@pytest.mark.parametrize("name", ["categories", "patches", "entities"])
def test_a_frame_changes_its_own_tokens_alone(name):
    space, obs = framed(FRAMES[name])
    module, N = tokenizer(space), len(FRAMES[name].part.token_groups("")[0])
    for t in range(T):
        other = obs.clone()
        other[0, t, 1:] = (other[0, t, 1:] + 1) % 6
        assert changed_tokens(module, obs, other) == list(range(t * N, (t + 1) * N))


def test_frames_give_a_group_each_oldest_first():
    spec = FRAMES["categories"]
    groups = spec.token_groups("view")
    (part,) = spec.part.token_groups("view")
    assert [group.offsets for group in groups] == [(-2,) * 10, (-1,) * 10, (0,) * 10]
    assert [group.past for group in groups] == [True, True, False]
    for group in groups:
        assert (group.key, group.grid, group.boxes) == ("view", part.grid, part.boxes)
        assert (group.picture, group.frame) == ((2, 5), (10, 2))
    assert groups[-1].names == part.names
    assert groups[0].names[7] == "row 1 col 2, -2 steps"
    assert len(set(build_layout({"view": spec}).names)) == 30


def test_entities_of_a_frame_are_there_where_both_say_so():
    spec = Frames(T, Entities(5, tuple("pxy"), presence=0, position=(1, 2)))
    space, obs = framed(spec)
    tables = obs[:, :, 1:].view(B, T, 5, 3)
    tables[..., 0] = torch.tensor([1, 0, 1, 1, 0])
    tokens = tokenizer(space)(obs)
    mask = tokens.mask.view(B, T, 5)
    assert (mask[0] == torch.tensor([True, False, True, True, False])).all()
    assert mask[1].any(-1).tolist() == [False, True, True]
    places = torch.where(mask[..., None], tables[..., 1:], 0.0)
    torch.testing.assert_close(tokens.places, places.reshape(B, T * 5, 2))


def test_the_agent_is_one_of_the_present_frame():
    groups = Frames(T, Entities(3, tuple("xy"), ego=1, label="car")).token_groups("")
    assert [group.ego for group in groups] == [None, None, 1]
    assert groups[0].names == ("car 0, -2 steps", "ego car, -2 steps", "car 2, -2 steps")
    assert groups[-1].names == ("car 0", "ego car", "car 2")


def test_frames_can_be_cut_in_another_way():
    part = Patches(12, 8, 3, STEM)
    spec = Frames(T, part, of_bytes=True)
    space = TokenBox(0, 255, (T, 1 + 3 * 96), np.uint8, tokens=spec)
    assert choose_spec(space, "patches") == spec
    cells = choose_spec(space, "cells")
    assert cells == Frames(T, Cells(12, 8, channels=3, channels_first=True), of_bytes=True)
    linear = choose_spec(space, "linear-patches")
    assert linear == Frames(T, Patches(12, 8, 3, (Conv(64, 2, 2),)), of_bytes=True)
    with pytest.raises(ValueError, match=r"frames of a history are cut into patches.*'features'"):
        choose_spec(space, "features")


def test_too_many_frames_are_refused_with_advice():
    with pytest.raises(
        ValueError,
        match=r"would give 1044 tokens \(21 frames of 49 cells, 15 features\); at most 1024 .* "
        "Observe a shorter history, or choose tokens that are fewer per frame",
    ):
        build_layout(
            {"view": Frames(21, Cells(7, 7, (5,))), "x": Features(tuple("abcdefghijklmno"))}
        )


def test_a_dict_joins_its_parts_in_the_order_of_the_layout():
    space = spaces.Dict(
        vehicles=TokenBox(-1, 1, (3, 2), tokens=Entities(3, ("presence", "x"), presence=0)),
        gear=spaces.Discrete(4),
        state=spaces.Box(-1, 1, (2,)),
    )
    module = tokenizer(space)
    assert module.keys == tuple(g.key for g in build_layout(choose_specs(space)).groups)
    obs = {
        "gear": torch.eye(4)[:1],
        "state": torch.zeros(1, 2),
        "vehicles": torch.tensor([[[1.0, 0.5], [0, 0], [0, 0]]]),
    }
    tokens = module(obs)
    present = dict(
        zip(build_layout(choose_specs(space)).names, tokens.mask[0].tolist(), strict=True)
    )
    absent = {"entity 1", "entity 2"}
    assert present == dict.fromkeys(
        ["state x0", "state x1", "gear", "entity 0"], True
    ) | dict.fromkeys(absent, False)


@pytest.mark.parametrize(
    ("space", "choice", "message"),
    [
        (
            spaces.Box(-1, 1, (3,)),
            "patches",
            r"patches tokens do not fit an observation of shape \(3,\)",
        ),
        (spaces.Box(-1, 1, (3,)), "pixels", "tokens must be one of auto, patches"),
        (
            spaces.Box(0, 1, (3, 17, 19)),
            "linear-patches",
            "no square cuts a picture of 17x19 pixels into 16 to 144 linear patches; crop",
        ),
        (
            spaces.Box(0, 255, (84, 84), np.uint8),
            "auto",
            r"a picture of bytes needs an axis for its channels, got the shape \(84, 84\)",
        ),
        (spaces.Box(0, 255, (9, 7), np.uint8), "patches", "needs an axis for its channels"),
        (spaces.Discrete(3), "patches", "no patches tokens can be made from Discrete"),
        (spaces.Text(5), "auto", "supported are Box, Discrete"),
    ],
)
def test_what_cannot_be_cut_is_refused(space, choice, message):
    with pytest.raises(ValueError, match=message):
        choose_spec(space, choice)
