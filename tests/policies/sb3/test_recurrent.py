"""A recurrent state that asks, carried by sb3-contrib's RecurrentPPO."""

import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO

from attention_agents.envs.make import make_env
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.recurrent import AttentionGRUPolicy

KWARGS = {"features_extractor_kwargs": {"width": 6, "heads": 3, "layers": 2}, "net_arch": [7]}


def build_module(env="CartPole-v1", **options):
    arguments = {"n_steps": 16, "batch_size": 8, "n_epochs": 2, "seed": 0, "device": "cpu"}
    return RecurrentPPO(AttentionGRUPolicy, env, policy_kwargs={**KWARGS, **options}, **arguments)


def told(model, observation, state):
    with AttentionTap(model.policy) as tap:
        _, after = model.predict(observation, state=state, deterministic=True)
        return {one.name: one.weights for one in tap.take().maps}, after


@pytest.mark.parametrize("options", [{}, {"enable_critic_lstm": False}])
def test_it_learns(options):
    model = build_module(**options)
    before = {name: each.clone() for name, each in model.policy.named_parameters()}
    model.learn(32)
    after = dict(model.policy.named_parameters())
    assert all(each.isfinite().all() for each in after.values())
    assert {n for n, each in after.items() if not torch.equal(each, before[n])} >= {
        "lstm_actor.cell.attention.query.weight",
        "lstm_actor.cell.gru.weight_hh",
    }


def test_the_state_asks_so_the_map_depends_on_the_past():
    model = build_module()
    observation = model.env.reset()
    maps, state = told(model, observation, None)
    later, _ = told(model, observation, state)
    assert {"actor/0", "actor/1"} <= set(maps)
    assert maps["actor/1"].shape == (1, 3, 1, 4)
    torch.testing.assert_close(maps["actor/1"].sum(-1), torch.ones(1, 3, 1))
    assert torch.equal(maps["actor/0"], later["actor/0"]), "tokens know no past"
    assert not torch.allclose(maps["actor/1"], later["actor/1"])


def test_a_sequence_gives_what_single_steps_give():
    """What is trained on, whole sequences, is what acted, step by step."""
    model = build_module()
    policy, T, B = model.policy, 5, 2
    observations = torch.randn(B, T, 4)
    zeros = torch.zeros(1, B, 6)
    starts = torch.zeros(B, T)
    starts[0, 3] = 1  # an episode begins in the middle
    features = policy.extract_features(observations.reshape(B * T, 4))
    whole, _ = policy._process_sequence(features, (zeros, zeros), starts.ravel(), policy.lstm_actor)
    state, rows = (zeros, zeros), []
    for t in range(T):
        row, state = policy._process_sequence(
            policy.extract_features(observations[:, t]), state, starts[:, t], policy.lstm_actor
        )
        rows.append(row)
    torch.testing.assert_close(whole.view(B, T, 6), torch.stack(rows, 1), atol=1e-6, rtol=1e-5)


def test_absent_tokens_are_not_read():
    model = build_module(make_env("attention/Collect-v0"))
    observation = model.env.reset()
    absent = observation[..., 0] < 0.5
    noisy = observation.copy()
    noisy[absent, 1:] = np.random.default_rng(0).uniform(-1, 1, noisy[absent, 1:].shape)
    maps, state = told(model, observation, None)
    other, again = told(model, noisy, None)
    assert maps["actor/1"][0, :, 0][:, absent[0]].eq(0).all()
    np.testing.assert_array_equal(state[0], again[0])
    assert torch.equal(maps["actor/1"], other["actor/1"])


def test_another_readout_is_refused():
    with pytest.raises(ValueError, match="the recurrent state is the readout"):
        build_module(features_extractor_kwargs={"readout": "mean"})
