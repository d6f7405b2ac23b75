"""An untrained agent with a gate has the weights and the outputs of the stock agent of its seed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN, TQC, TRPO, MaskablePPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Cells, Entities
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.gate.attention_gate import GateConfig
from attention_agents.policies.gate.sparsity import mean_entropy
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.gated_extractor import GatedExtractor, attention_policy_kwargs

PICTURE = spaces.Box(0, 255, (4, 84, 84), np.uint8)
OBSERVATIONS: dict[str, spaces.Space] = {
    "numbers": spaces.Box(-1, 1, (5,)),
    "large numbers": spaces.Box(0, 1000, (2, 3)),
    "choice": spaces.Discrete(70),
    "choices": spaces.MultiDiscrete([3, 4]),
    "bits": spaces.MultiBinary(10),
    "picture": PICTURE,
    "goal": spaces.Dict(
        achieved_goal=spaces.MultiBinary(3), desired_goal=spaces.Box(-9, 9, (2,)), x=PICTURE
    ),
    "dict": spaces.Dict(a=spaces.Box(-1, 1, (3,)), image=PICTURE, z=spaces.Discrete(5)),
}
DISCRETE, CONTINUOUS = spaces.Discrete(4), spaces.Box(-1, 1, (2,))
ALGORITHMS = {
    PPO: DISCRETE,
    A2C: CONTINUOUS,
    DQN: DISCRETE,
    SAC: CONTINUOUS,
    TD3: CONTINUOUS,
    MaskablePPO: DISCRETE,
    TRPO: DISCRETE,
    QRDQN: DISCRETE,
    TQC: CONTINUOUS,
}


class Noise(gym.Env):
    """Observations drawn at random from a space."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}

    def action_masks(self):
        return np.ones(4, bool)


def build(
    algorithm: Any, space: spaces.Space, actions: spaces.Space, gated: bool, **words: Any
) -> Any:
    name = "Cnn" if space is PICTURE else "MultiInput" if isinstance(space, spaces.Dict) else "Mlp"
    kwargs = {"buffer_size": 8} if issubclass(algorithm, OffPolicyAlgorithm) else {}
    if gated:
        kwargs["policy_kwargs"] = attention_policy_kwargs(algorithm, space, **words)
    return algorithm(f"{name}Policy", Noise(space, actions), seed=3, device="cpu", **kwargs)


def sample(space: spaces.Space, count: int = 7) -> Any:
    space.seed(0)
    drawn = [space.sample() for _ in range(count)]
    if isinstance(space, spaces.Dict):
        return {key: np.stack([obs[key] for obs in drawn]) for key in space}
    return np.stack(drawn)


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.__name__)
def test_untrained_is_stock(algorithm: Any, observation: str) -> None:
    check_untrained(algorithm, observation)


BLOCKS = [
    {"layers": 3, "width": 15, "heads": 5},
    *({"layers": 2, "block": block} for block in ("gtrxl", "sab", "isab", "channel")),
    {"layers": 2, "attention": "additive"},
]
"""Depths and blocks, most of them."""


@pytest.mark.parametrize(
    ("algorithm", "observation", "words"),
    [
        (PPO, "picture", BLOCKS[0]),
        (SAC, "dict", BLOCKS[0]),
        (DQN, "goal", BLOCKS[0]),
        *((A2C, "numbers", words) for words in BLOCKS),
    ],
    ids=str,
)
def test_untrained_is_stock_at_every_depth(
    algorithm: Any, observation: str, words: dict[str, Any]
) -> None:
    check_untrained(algorithm, observation, **words)


def check_untrained(algorithm: Any, observation: str, **words: Any) -> None:
    """Compare with the stock agent: weights bit for bit, actions and values to 1e-6."""
    space, actions = OBSERVATIONS[observation], ALGORITHMS[algorithm]
    stock = build(algorithm, space, actions, False)
    gated = build(algorithm, space, actions, True, **words)
    expected = list(stock.policy.state_dict().values())
    weights = [v for k, v in gated.policy.state_dict().items() if "gate." not in k]
    assert len(weights) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))
    obs = sample(space)
    for model in (stock, gated):
        model.policy.set_training_mode(False)
    chosen = [model.predict(obs, deterministic=True)[0] for model in (stock, gated)]
    np.testing.assert_allclose(*chosen, atol=1e-6)
    tensors = gated.policy.obs_to_tensor(obs)[0]
    if hasattr(stock.policy, "get_distribution"):
        values = [model.policy.predict_values(tensors) for model in (stock, gated)]
        torch.testing.assert_close(*values, atol=1e-6, rtol=0)


@pytest.mark.parametrize("algorithm", [PPO, DQN, SAC], ids=lambda a: a.__name__)
def test_the_gate_learns(algorithm: Any) -> None:
    space, actions = OBSERVATIONS["numbers"], ALGORITHMS[algorithm]
    kwargs = {"n_steps": 16, "batch_size": 16} if algorithm is PPO else {"learning_starts": 8}
    env = Noise(space, actions)
    rng = np.random.default_rng(0)
    env.step = lambda action: (space.sample(), rng.random(), False, False, {})  # type: ignore
    policy_kwargs = attention_policy_kwargs(algorithm, space)
    model = algorithm("MlpPolicy", env, seed=0, device="cpu", policy_kwargs=policy_kwargs, **kwargs)
    model.learn(64)
    named = model.policy.named_modules()
    gates = [m.gate for n, m in named if isinstance(m, GatedExtractor) and "target" not in n]
    assert gates and all(gate.static.abs().max() > 0 for gate in gates)
    assert all(gate.query.abs().max() > 0 for gate in gates)


def test_a_picture_of_another_size_keeps_36_to_100_cells() -> None:
    for height, width in ((64, 64), (96, 96), (84, 84), (210, 160), (128, 40)):
        extractor = GatedExtractor(spaces.Box(0, 255, (3, height, width), np.uint8))
        assert 36 <= len(extractor.layout) <= 100
        (group,) = extractor.layout.groups
        assert extractor(torch.zeros(2, 3, height, width)).shape == (2, 512)
        assert group.boxes is not None and group.boxes[-1][2:] <= (width, height)


def test_small_pictures_are_cells_of_one_convolution() -> None:
    extractor = GatedExtractor(spaces.Box(0, 1, (4, 10, 10), np.float32))
    assert extractor.layout.groups[0].grid == (8, 8)
    assert extractor(torch.zeros(2, 4, 10, 10)).shape == (2, 128)


@pytest.mark.parametrize("sizes", [(3, 5), (11, 6, 17)])
def test_cells_of_categories(sizes: tuple[int, ...]) -> None:
    """Few combinations have a row each, many add up the rows of their categories."""
    spec = Cells(2, 3, categories=sizes)
    space = TokenBox(0, max(sizes), (6, len(sizes)), np.float32, tokens=spec)
    extractor = GatedExtractor(space)
    (part,) = extractor.pictures.values()
    assert len(part.table) == (15 if len(sizes) == 2 else 34)
    cells = torch.stack([torch.randint(0, size, (2, 6)) for size in sizes], -1).float()
    changed = cells.clone()
    changed[0, 4, 0] = (changed[0, 4, 0] + 1) % sizes[0]
    before, after = extractor(cells), extractor(changed)
    assert before.shape == (2, 128)
    assert not torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])


def test_names_of_numbers_and_choices() -> None:
    layout = GatedExtractor(OBSERVATIONS["choices"]).layout
    assert layout.names[:4] == ("choice 0 = 0", "choice 0 = 1", "choice 0 = 2", "choice 1 = 0")
    layout = GatedExtractor(spaces.Dict(a=spaces.Box(-1, 1, (2,)), b=spaces.Discrete(2))).layout
    assert layout.names == ("a x0", "a x1", "b choice = 0", "b choice = 1")


def test_a_tap_hears_one_map_for_each_gate() -> None:
    space = OBSERVATIONS["dict"]
    model = build(PPO, space, DISCRETE, gated=True)
    with AttentionTap(model.policy) as tap:
        model.predict({key: obs[0] for key, obs in sample(space).items()})
        maps = tap.take().maps
    size = len(model.policy.features_extractor.layout)
    assert size == 3 + 49 + 5
    assert {m.part for m in maps} == {"numbers", "image"}
    for m in maps:
        assert m.weights.shape == (1, 4, 1, size)
        torch.testing.assert_close(m.weights.sum(-1), torch.ones(1, 4, 1))
        assert (m.weights[..., ~m.mask[0]] == 0).all()


def test_blocks_of_each_part_report_their_layer_and_part() -> None:
    space = OBSERVATIONS["dict"]
    model = build(PPO, space, DISCRETE, gated=True, layers=3, width=12, heads=3, gate={"heads": 2})
    with AttentionTap(model.policy) as tap:
        model.predict({key: obs[0] for key, obs in sample(space).items()})
        maps = {m.name: m for m in tap.take().maps}
    assert list(maps) == [f"actor/{layer}/{part}" for layer in range(3) for part in PARTS]
    for part, size in PARTS.items():
        for layer in range(2):
            m = maps[f"actor/{layer}/{part}"]
            assert (m.weights.shape, m.queries) == ((1, 3, 57, 57), "tokens")
            own = m.mask[0]
            assert own.sum() == size
            torch.testing.assert_close(m.weights[0, :, own].sum(-1), torch.ones(3, size))
            assert (m.weights[0][:, ~own] == 0).all() and (m.weights[..., ~own] == 0).all()
        assert maps[f"actor/2/{part}"].weights.shape == (1, 2, 1, 57)


PARTS = {"numbers": 8, "image": 49}
"""Tokens of each part of "dict"."""


def test_every_layer_learns() -> None:
    torch.manual_seed(0)
    extractor = GatedExtractor(OBSERVATIONS["numbers"], layers=3, width=12, heads=3)
    optimizer = torch.optim.Adam(extractor.parameters(), 1e-2)
    before = {name: p.detach().clone() for name, p in extractor.named_parameters()}
    for step in range(3):
        x = torch.randn(16, 5, generator=torch.Generator().manual_seed(step))
        loss = (extractor(x) - x.roll(1, 1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    still = {name for name, p in extractor.named_parameters() if torch.equal(p, before[name])}
    assert {name.rsplit(".", 1)[1] for name in still} <= {"empty_vector"}


LOCAL = AttentionConfig(visibility="local")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"layers": 2, "width": 10, "heads": 3}, "width must be a multiple of heads, got width=10"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"block": "gtrxl"}, "block='gtrxl' needs a layer before the gate; use layers=2"),
        ({"layers": 2, "block": "gtrlx"}, "unknown block 'gtrlx'; did you mean 'gtrxl'"),
        ({"layers": 2, "block": "space-time"}, "two frames"),
        (
            {"attention": LOCAL},
            "visibility='local' needs queries .* gate's stands nowhere; use layers",
        ),
        ({"layers": 2, "attention": LOCAL}, "visibility='local' needs"),
        ({"layers": 2, "block": "channel", "attention": LOCAL}, "'local' would not be used"),
        ({"sparsity": -0.1}, "sparsity must be a number of at least 0, got -0.1"),
    ],
)
def test_blocks_that_cannot_be(words: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        GatedExtractor(OBSERVATIONS["numbers"], **words)


@pytest.mark.parametrize(
    "words", [{"sparsity": 0.01}, {"gate": {"sparsity": 0.01}}, {"gate": GateConfig(sparsity=0.01)}]
)
def test_sparsity_with_trpo_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"second derivatives, and sparsity=0.01 .* such as ppo"):
        attention_policy_kwargs(TRPO, OBSERVATIONS["numbers"], **words)
    assert attention_policy_kwargs(PPO, OBSERVATIONS["numbers"], **words)


def test_sparsity_closes_the_gates_of_what_ppo_does_not_need() -> None:
    """Every number counts nothing for the reward: the entropy of all heads goes down."""
    entropies = []
    for sparsity in (0.0, 0.3):
        space = OBSERVATIONS["numbers"]
        kwargs = attention_policy_kwargs(PPO, space, sparsity=sparsity)
        model = PPO(
            "MlpPolicy",
            Noise(space, DISCRETE),
            n_steps=64,
            policy_kwargs=kwargs,
            learning_rate=1e-2,
            seed=0,
            device="cpu",
        )
        model.learn(256)
        gate = model.policy.features_extractor.gate
        weights = gate.weights(torch.as_tensor(sample(space))[:, None])
        entropies.append(float(mean_entropy(weights).detach()))
        assert gate.config.floor == (0.0 if sparsity else 0.25)
    assert entropies[1] < 0.8 * entropies[0]


def test_sets_are_refused_with_advice() -> None:
    entities = Entities(3, ("presence", "x"), presence=0)
    space = TokenBox(-1, 1, (3, 2), tokens=entities)
    with pytest.raises(ValueError, match=r"places mean something, .* made of entities; use Attent"):
        GatedExtractor(space)
