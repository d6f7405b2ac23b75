"""Features of a set depend on the state from the start, however many tokens it has.

Spread is the root mean square, over features, of their standard deviation over 96 random states of
the space: bounded numbers uniform, each entity there with probability 1/2. The stock first layer is
`FlattenExtractor`, a linear layer to 64 by `ortho_init` with gain sqrt(2), and a tanh.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from torch import nn

from attention_agents.envs.tokens.spaces import TokenBox, choose_specs
from attention_agents.envs.tokens.specs import Entities
from attention_agents.policies.encoder import Encoder
from attention_agents.policies.read_standard import ReadStandard, without_standard
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.random_states import random_states
from tests.policies.sb3.test_gated_extractor import Noise

COLUMNS = ("presence", "x", "y", "vx", "vy")


def set_space(count: int, ego: int | None = None) -> TokenBox:
    return TokenBox(-1, 1, (count, 5), tokens=Entities(count, COLUMNS, presence=0, ego=ego))


def drawn(space: TokenBox, states: int = 96) -> torch.Tensor:
    return torch.cat(list(random_states(space, choose_specs(space, "auto"), states, seed=7)))


def build(count: int, readout: str, layers: int = 1, seed: int = 1) -> AttentionExtractor:
    torch.manual_seed(seed)
    space = set_space(count, 0 if readout == "ego" else None)
    return AttentionExtractor(space, readout=readout, layers=layers)


def spread(features: torch.Tensor) -> float:
    return float(features.var(0).mean().sqrt())


def stock_first_layer(x: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    linear = nn.Linear(x[0].numel(), 64)
    nn.init.orthogonal_(linear.weight, 2**0.5)
    nn.init.zeros_(linear.bias)
    return torch.tanh(linear(x.flatten(1)))


@torch.no_grad()
@pytest.mark.parametrize("readout", ["query", "ego", "mean"])
@pytest.mark.parametrize(("count", "layers"), [(4, 1), (4, 2), (37, 1), (37, 2), (400, 1)])
def test_features_spread_at_least_half_as_far_as_a_stock_layer_s(
    count: int, layers: int, readout: str
) -> None:
    extractor = build(count, readout, layers)
    x = drawn(set_space(count, 0 if readout == "ego" else None))
    stock = spread(stock_first_layer(x))
    assert spread(extractor(x)) > 0.5 * stock
    full = x.clone()
    full[:, :, 0] = 1
    assert spread(extractor(full)) > 0.5 * spread(stock_first_layer(full))
    if count > 4 and readout != "ego":  # and the standard is what brings it there
        extractor.encoder.standard = None
        assert spread(extractor(x)) < 0.5 * stock


@torch.no_grad()
@pytest.mark.parametrize("readout", ["query", "mean"])
def test_the_order_of_entities_means_nothing(readout: str) -> None:
    extractor, x = build(11, readout, 2), drawn(set_space(11), 5)
    torch.testing.assert_close(
        extractor(x[:, torch.randperm(11)]), extractor(x), atol=1e-4, rtol=1e-4
    )


@torch.no_grad()
@pytest.mark.parametrize("readout", ["query", "ego", "mean"])
def test_four_times_as_many_entities_give_features_of_the_same_size(readout: str) -> None:
    extractor, x = build(40, readout, 2), drawn(set_space(40), 64)
    sizes = []
    for count in (10, 40):
        x[:, :, 0] = (torch.arange(40) < count).float()
        sizes.append(float(extractor(x).square().mean().sqrt()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_no_other_layer_and_no_random_number_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, after = build(7, "query", 2), torch.rand(3)
    monkeypatch.setattr(Encoder, "set_standard", lambda *_: None)
    plain, expected = build(7, "query", 2), torch.rand(3)
    assert torch.equal(after, expected)
    assert plain.encoder.standard is None and ours.encoder.standard is not None
    pairs = zip(ours.parameters(), plain.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_same_seed_gives_the_same_standard() -> None:
    first, again, other = (build(7, "mean", seed=seed).encoder.standard for seed in (1, 1, 2))
    assert first is not None and again is not None and other is not None
    assert torch.equal(first.center, again.center) and torch.equal(first.spread, again.spread)
    assert not torch.equal(first.center, other.center)


def test_what_is_no_set_has_no_standard() -> None:
    assert AttentionExtractor(spaces.Box(-1, 1, (4,))).encoder.standard is None


@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_weights_from_before_keep_the_read_that_they_were_trained_with(
    algorithm: type,
) -> None:
    space = set_space(9)

    def agent(seed: int):
        return algorithm(
            "MlpPolicy",
            Noise(space, spaces.Discrete(4)),
            policy_kwargs={"features_extractor_class": AttentionExtractor},
            seed=seed,
            device="cpu",
        )

    before, loaded = agent(0), agent(1)
    for module in before.policy.modules():
        if isinstance(module, Encoder):
            module.standard = None  # as it was
    x = drawn(space, 5).numpy()
    old = {name: tensor.clone() for name, tensor in before.policy.state_dict().items()}
    expected = before.policy.state_dict().keys()
    assert loaded.policy.state_dict().keys() > expected
    loaded.policy.load_state_dict(old)
    tensors = loaded.policy.obs_to_tensor(x)[0]
    for policy in (before.policy, loaded.policy):
        policy.set_training_mode(False)

    def outputs(policy):
        return policy.q_net(tensors) if algorithm is DQN else policy.predict_values(tensors)

    assert torch.equal(outputs(before.policy), outputs(loaded.policy))
    again = without_standard(old, loaded.policy.state_dict())
    assert again.keys() == loaded.policy.state_dict().keys()
    assert all(torch.equal(again[k], v) for k, v in loaded.policy.state_dict().items())


def test_saved_and_loaded_computes_the_same(tmp_path: Path) -> None:
    model = PPO(
        "MlpPolicy",
        Noise(set_space(9), spaces.Discrete(4)),
        policy_kwargs={"features_extractor_class": AttentionExtractor},
        seed=3,
        device="cpu",
    )
    model.save(tmp_path / "model")
    x = drawn(set_space(9), 5).numpy()
    again = PPO.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(
        model.predict(x, deterministic=True)[0], again.predict(x, deterministic=True)[0]
    )
    tensors = model.policy.obs_to_tensor(x)[0]
    assert torch.equal(model.policy.predict_values(tensors), again.policy.predict_values(tensors))


def test_the_standard_by_hand() -> None:
    standard = ReadStandard(2)
    read = torch.tensor([[1.0, 7.0], [3.0, 7.0]])
    assert torch.equal(standard(read), read)
    standard.measure(read)
    torch.testing.assert_close(standard(read), torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    standard = ReadStandard(2)
    standard.measure(torch.ones(3, 2))  # the same in every state: nothing to bring to unit size
    assert torch.equal(standard(read), read)


def test_random_states_are_of_the_space_with_entities_there_or_not() -> None:
    space = set_space(50, ego=2)
    x = drawn(space, 20)
    presence = x[:, :, 0]
    assert set(presence.unique().tolist()) == {0.0, 1.0}
    assert 0.4 < presence.mean() < 0.6 and (presence[:, 2] == 1).all()
    assert x.abs().max() <= 1 and x[:, :, 1:].std() == pytest.approx(3**-0.5, rel=0.1)
