"""A run with the encoder gate starts as the run with the encoder stock, whatever it observes."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from attention_agents.agents.algorithms.build import build_model, make_vec_env
from attention_agents.agents.algorithms.checks import check_encoder
from attention_agents.agents.algorithms.classes import algorithm_class
from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.run_config import RunConfig, TrainConfig
from attention_agents.agents.training.settle import describe_encoder, settle_config
from attention_agents.envs.tokens.layout import Conv
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Cells, Entities, Frames, Patches
from attention_agents.policies.gate.windows import stack_frames, stacked_frame
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.inspect.token_inputs import find_token_inputs
from attention_agents.policies.sb3.gated_extractor import GatedExtractor
from attention_agents.policies.sb3.stock_extractor import StockExtractor

PICTURE = spaces.Box(0, 255, (4, 84, 84), np.uint8)
PLANES = Patches(10, 10, 4, (Conv(32, 3),), channels_first=False)
CATEGORIES = np.tile(np.array([2, 4], np.uint8), (6, 1))
OBSERVATIONS: dict[str, spaces.Space] = {
    "numbers": spaces.Box(-1, 1, (5,)),
    "table": spaces.Box(0, 1000, (2, 3)),
    "choice": spaces.Discrete(7),
    "picture": PICTURE,
    "large picture": spaces.Box(0, 255, (3, 210, 160), np.uint8),
    "planes": TokenBox(0, 1, (10, 10, 4), np.uint8, tokens=PLANES),
    "categories": TokenBox(0, CATEGORIES, (6, 2), np.uint8, tokens=Cells(2, 3, categories=(3, 5))),
    "dict": spaces.Dict(a=spaces.Box(-1, 1, (3,)), z=spaces.Discrete(5)),
    "dict of pictures": spaces.Dict(image=PICTURE, speed=spaces.Box(-1, 1, (1,))),
}
ACTIONS = {"Discrete": spaces.Discrete(4), "Box": spaces.Box(-1, 1, (2,))}
SAMPLES = 7


class Noise(gym.Env):
    """Observations drawn at random from a space."""

    def __init__(self, observation: str, actions: str):
        self.observation_space, self.action_space = OBSERVATIONS[observation], ACTIONS[actions]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}

    def action_masks(self):
        return np.ones(4, bool)


@pytest.fixture(autouse=True)
def noise():
    gym.register("NoiseSpace-v0", Noise)
    yield
    del gym.registry["NoiseSpace-v0"]


def settled(algo: str, observation: str, encoder: str, **words: Any) -> RunConfig:
    actions = "Discrete" if "Discrete" in ALGORITHMS[algo].actions else "Box"
    sizes = {} if ALGORITHMS[algo].n_steps else {"buffer_size": 8}
    return settle_config(
        TrainConfig(
            env="NoiseSpace-v0",
            algo=algo,
            encoder=encoder,
            n_envs=1,
            seed=3,
            device="cpu",
            normalize=False,
            env_kwargs={"observation": observation, "actions": actions},
            hyperparams=sizes,
            **words,
        )
    )


def build(config: RunConfig) -> Any:
    with closing(make_vec_env(config)) as env:
        return build_model(config, env)


def sample(space: spaces.Space) -> Any:
    space.seed(0)
    drawn = [space.sample() for _ in range(SAMPLES)]
    if isinstance(space, spaces.Dict):
        return {key: np.stack([obs[key] for obs in drawn]) for key in space}
    return np.stack(drawn)


def answers(model: Any, obs: Any) -> list[torch.Tensor]:
    """Return what the networks of a policy say of observations, before anything is chosen."""
    policy = model.policy
    policy.set_training_mode(False)
    tensors = policy.obs_to_tensor(obs)[0]
    with torch.no_grad():
        if hasattr(policy, "lstm_actor"):
            zeros = torch.zeros(1, SAMPLES, policy.lstm_actor.hidden_size)
            starts = torch.ones(SAMPLES)
            distribution, _ = policy.get_distribution(tensors, (zeros, zeros), starts)
            values = policy.predict_values(tensors, (zeros, zeros), starts)
            return [distribution.distribution.logits, values]
        if hasattr(policy, "get_distribution"):
            drawn = policy.get_distribution(tensors).distribution
            params = drawn.logits if hasattr(drawn, "logits") else drawn.mean
            return [params, policy.predict_values(tensors)]
        if hasattr(policy, "actor"):
            actions = (
                policy.actor(tensors, deterministic=True)
                if hasattr(policy.actor, "log_std")
                else policy.actor(tensors)
            )
            critic = policy.critic(tensors, actions)
            return [actions, *(critic if isinstance(critic, tuple) else (critic,))]
        return [(policy.q_net if hasattr(policy, "q_net") else policy.quantile_net)(tensors)]


CASES = [
    (algo, observation)
    for algo in ALGORITHMS
    for observation in OBSERVATIONS
    if ALGORITHMS[algo].dict_observations or not observation.startswith("dict")
]


@pytest.mark.parametrize(("algo", "observation"), CASES)
def test_an_untrained_gate_is_the_stock_network(algo: str, observation: str) -> None:
    gated, stock = (build(settled(algo, observation, kind)) for kind in ("gate", "stock"))
    expected = list(stock.policy.state_dict().values())
    weights = [v for k, v in gated.policy.state_dict().items() if "gate." not in k]
    assert len(weights) == len(expected) < len(gated.policy.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))
    obs = sample(OBSERVATIONS[observation])
    for ours, theirs in zip(answers(gated, obs), answers(stock, obs), strict=True):
        assert ours.abs().max() > 0
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_the_stock_encoder_is_the_algorithm_as_sb3_makes_it(algo: str) -> None:
    """With an empty preset: the same layers, activations, widths and optimizer."""
    model = build(settled(algo, "numbers", "stock"))
    env = Noise("numbers", "Discrete" if "Discrete" in ALGORITHMS[algo].actions else "Box")
    cls: Any = algorithm_class(algo)
    policy = "MlpLstmPolicy" if ALGORITHMS[algo].recurrent else "MlpPolicy"
    sizes = {} if ALGORITHMS[algo].n_steps else {"buffer_size": 8}
    if algo == "qrdqn":
        sizes["batch_size"] = model.batch_size  # on which its Adam depends
    theirs = cls(policy, env, seed=3, device="cpu", **sizes)
    assert repr(model.policy) == repr(theirs.policy)
    ours, plain = (m.policy.state_dict() for m in (model, theirs))
    assert ours.keys() == plain.keys()
    assert all(torch.equal(ours[name], plain[name]) for name in ours)
    optimizers = [
        getattr(m.policy, "optimizer", None) or m.policy.actor.optimizer for m in (model, theirs)
    ]
    differ = {k for k, v in optimizers[0].defaults.items() if v != optimizers[1].defaults[k]}
    assert differ <= {"lr"}, "the learning rate is the preset's"


@pytest.mark.parametrize(
    ("observation", "extractor"),
    [
        ("numbers", FlattenExtractor),
        ("table", FlattenExtractor),
        ("choice", FlattenExtractor),
        ("picture", NatureCNN),
        ("dict", CombinedExtractor),
        ("dict of pictures", CombinedExtractor),
        ("large picture", StockExtractor),
        ("planes", StockExtractor),
        ("categories", StockExtractor),
    ],
)
def test_stock_is_sb3_s_own_where_sb3_has_one(observation: str, extractor: type) -> None:
    model = build(settled("ppo", observation, "stock"))
    assert type(model.policy.features_extractor) is extractor


def test_stock_reads_a_set_as_sb3_does() -> None:
    rows = TokenBox(-1, 1, (3, 2), tokens=Entities(3, ("presence", "x"), presence=0))
    OBSERVATIONS["rows"] = rows
    try:
        model = build(settled("ppo", "rows", "stock"))
        assert type(model.policy.features_extractor) is FlattenExtractor
        assert settled("ppo", "rows", "auto").encoder.kind == "pooled"
        with pytest.raises(ValueError, match=r"made of entities; use .*--encoder pooled"):
            build(settled("ppo", "rows", "gate"))
    finally:
        del OBSERVATIONS["rows"]


@pytest.mark.parametrize("observation", ["numbers", "picture", "categories", "dict"])
@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_every_size_starts_as_the_stock_network(size: str, observation: str) -> None:
    config = settled("ppo", observation, size)
    sized, stock = build(config), build(settled("ppo", observation, "stock"))
    obs = sample(OBSERVATIONS[observation])
    for ours, theirs in zip(answers(sized, obs), answers(stock, obs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    assert (len(sized.policy.features_extractor.attention_modules()) > 1) == (size == "large")


def test_a_settled_gate_has_nothing_open() -> None:
    config = settled("ppo", "numbers", "gate", gate={"floor": 0, "context": False})
    words = {"floor": 0.0, "context": False, "glance": 32, "head_width": 8}
    assert config.encoder.gate == words
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    sparse = settled("ppo", "numbers", "gate", sparsity=0.01)
    assert (sparse.encoder.gate["floor"], sparse.encoder.sparsity) == (0.0, 0.01)
    (gate,) = [m for m in build(sparse).policy.modules() if isinstance(m, GatedExtractor)]
    assert gate.gate.config.sparsity == 0.01 and gate.gate.config.floor == 0


def test_options_of_a_gate_reach_it() -> None:
    config = settled("ppo", "numbers", "gate", heads=2, layers=3, width=8, score="additive")
    extractor = build(config).policy.features_extractor
    assert [module.heads for _, module in extractor.attention_modules()] == [2, 2, 2]
    assert len(extractor.attention_modules()) == 3


def test_a_gate_may_have_any_number_of_heads_where_there_are_no_blocks() -> None:
    check_encoder(settled("ppo", "numbers", "gate", heads=3), OBSERVATIONS["numbers"])
    with pytest.raises(ValueError, match="width must be a multiple of heads, got width=64, heads"):
        settled("ppo", "numbers", "gate", heads=3, layers=2)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"encoder": "gate"}, "encoder gate: 4 heads; the network that follows is the stock one"),
        ({"encoder": "large"}, "encoder gate: 2 layers of 4 heads, width 32; the network"),
        ({"encoder": "stock"}, "encoder stock: the network without attention"),
        ({"encoder": "pooled"}, "encoder pooled: 2 layers of 4 heads, width 64"),
    ],
)
def test_a_run_says_which_encoder_it_has(words: dict, text: str) -> None:
    assert describe_encoder(settled("ppo", "numbers", **words)).startswith(text)


WINDOWS = {
    "CartPole-v1": (3, 4),
    "MinAtar/Breakout-v1": None,
    "MiniGrid-DoorKey-5x5-v0": None,
    "CarRacing-v3": None,
}
"""Environments whose past is observed: steps and numbers of a step, where these are numbers."""


def windows_of(config: RunConfig, steps: int) -> Any:
    """Return the first windows of an episode: those of the first steps are not full."""
    with closing(make_vec_env(config)) as env:
        drawn = [env.reset()]
        for _ in range(steps - 1):
            drawn.append(env.step(np.array([env.action_space.sample()]))[0])
    if isinstance(drawn[0], dict):
        return {key: np.concatenate([obs[key] for obs in drawn]) for key in drawn[0]}
    return np.concatenate(drawn)


@pytest.mark.parametrize("env_id", WINDOWS)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_gate_over_the_past_starts_as_the_stock_network_on_it(env_id: str, layers: int) -> None:
    words: dict[str, Any] = {"env": env_id, "algo": "ppo", "history": 3, "n_envs": 1}
    words |= {"device": "cpu", "n_timesteps": 8}
    configs = [
        settle_config(TrainConfig(**words, encoder="gate", layers=layers)),
        settle_config(TrainConfig(**words, encoder="stock")),
    ]
    gated, stock = (build(config) for config in configs)
    obs = windows_of(configs[0], SAMPLES)
    for ours, theirs in zip(answers(gated, obs), answers(stock, obs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    layout = gated.policy.features_extractor.layout
    if WINDOWS[env_id] is not None:
        assert len(layout) == 3 * 4 and layout.names[3:5] == (
            "pole angular velocity, -2 steps",
            "cart position, -1 step",
        )


@pytest.mark.parametrize("algo", ["ppo", "dqn"])
def test_stock_on_a_history_is_sb3_on_stacked_observations(algo: str) -> None:
    """`VecFrameStack` makes the same window, and the network that reads it is SB3's own."""
    words: dict[str, Any] = {"env": "CartPole-v1", "algo": algo, "history": 3, "n_envs": 1}
    config = settle_config(TrainConfig(**words, encoder="stock", device="cpu", normalize=False))
    model = build(config)
    env = VecFrameStack(DummyVecEnv([lambda: gym.make("CartPole-v1")]), 3)
    arguments = {} if algo == "ppo" else {"policy_kwargs": {"net_arch": [256, 256]}}
    theirs = algorithm_class(algo)("MlpPolicy", env, seed=0, device="cpu", **arguments)
    pairs = zip(
        model.policy.state_dict().values(), theirs.policy.state_dict().values(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)
    window = windows_of(config, SAMPLES)
    flat = window[:, :, 1:].reshape(SAMPLES, -1)
    assert (window[0, :2] == 0).all() and (window[0, 2, 1:] != 0).any()
    for ours, plain in zip(answers(model, window), answers(theirs, flat), strict=True):
        assert torch.equal(ours, plain)


def test_stacked_pictures_are_what_sb3_stacks() -> None:
    """Bytes of a window reach the convolutions as those of `VecFrameStack` do."""
    part = Patches(40, 36, 3, (Conv(2, 3),), channels_first=True)
    spec = Frames(2, part, of_bytes=True)
    frames = torch.randint(0, 256, (SAMPLES, 2, 3, 40, 36)).float()
    window = torch.cat([torch.ones(SAMPLES, 2, 1), frames.flatten(2)], 2)
    assert torch.equal(stack_frames(window, spec), frames.flatten(1, 2) / 255)
    last = replace(spec, part=replace(part, channels_first=False))
    window = torch.cat([torch.ones(SAMPLES, 2, 1), frames.permute(0, 1, 3, 4, 2).flatten(2)], 2)
    assert torch.equal(stack_frames(window, last), frames.flatten(1, 2) / 255)
    assert stacked_frame(last) == replace(part, channels=6)


def test_a_gate_over_the_past_hides_what_has_not_been() -> None:
    config = settle_config(TrainConfig(env="CartPole-v1", algo="ppo", history=3, device="cpu"))
    assert config.encoder.kind == "gate"
    policy = build(config).policy
    with AttentionTap(policy) as tap:
        policy.predict(windows_of(replace(config, n_envs=1), 2))
        (weights,) = tap.take().maps
    present = torch.tensor([[False] * 8 + [True] * 4, [False] * 4 + [True] * 8])
    assert torch.equal(weights.mask, present)
    expected = present / present.sum(1, keepdim=True)
    torch.testing.assert_close(weights.weights[:, :, 0], expected[:, None].expand(-1, 4, -1))


def test_what_has_not_been_is_no_token_to_remove() -> None:
    """Tokens and their presence go on to the features that the extractor itself gives."""
    config = settle_config(TrainConfig(env="CartPole-v1", algo="ppo", history=3, device="cpu"))
    extractor = build(config).policy.features_extractor
    extractor.gate.static.data = torch.randn(4, 12)
    windows = torch.as_tensor(windows_of(replace(config, n_envs=1), 2))
    inputs, seen = find_token_inputs(extractor), {}
    (part,) = inputs.parts
    part.module.register_forward_hook(lambda _m, _i, output: seen.update(tokens=output))
    features = extractor(windows)
    tokens = part.read(seen["tokens"])
    assert tokens.values.shape == (2, 12, 1) and tokens.mask.sum(1).tolist() == [4, 8]
    assert inputs.maskable == (True,) * 12
    assert torch.equal(inputs.features_from_tokens((tokens,)), features)
    assert torch.equal(part.write(tokens, None), seen["tokens"])
