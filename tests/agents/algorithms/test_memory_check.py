"""What cannot fit into memory is refused before it is made, by a count that is never too high."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from gymnasium import spaces

from attention_agents.agents.algorithms import memory_check as footprint
from attention_agents.agents.algorithms.build import build_model, make_vec_env
from attention_agents.agents.algorithms.checks import check_encoder
from attention_agents.agents.algorithms.memory_check import (
    check_networks,
    check_steps,
    least_weights,
)
from attention_agents.agents.config.encoder_config import EncoderConfig
from attention_agents.agents.config.run_config import PolicyConfig, RunConfig
from attention_agents.policies.registries import BLOCKS

RUN = RunConfig("CartPole-v1", "ppo", 8, 1, 3, EncoderConfig(heads=3, width=21), device="cpu")
SPACE = spaces.Box(-1, 1, (7,))  # 28 bytes
HEADS = {
    "ppo": PolicyConfig(net_arch=(11, 5)),
    "dqn": PolicyConfig(net_arch=()),
    "ppo_lstm": PolicyConfig(net_arch=(7,), lstm_hidden_size=13),
    "qrdqn": PolicyConfig(net_arch=(7,), n_quantiles=11),
}


def weights(run: RunConfig) -> int:
    env = make_vec_env(replace(run, n_envs=1))
    model = build_model(run, env)
    env.close()
    return sum(each.numel() for each in model.policy.parameters())


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("block", BLOCKS.words)
def test_no_encoder_has_fewer_weights_than_counted(block, layers):
    readout = "mean" if block == "channel" else "auto"
    encoder = replace(RUN.encoder, layers=layers, block=block, readout=readout)
    run = replace(RUN, encoder=encoder)
    if block == "space-time":
        pytest.importorskip("minigrid")
        run = replace(run, env="MiniGrid-Empty-5x5-v0", history=2)
    assert 0 < least_weights(run) <= weights(run)


@pytest.mark.parametrize("readout", ["query", "queries", "cls", "votes", "slots", "max"])
def test_no_readout_has_fewer_weights_than_counted(readout):
    run = replace(RUN, encoder=replace(RUN.encoder, layers=1, readout=readout))
    assert least_weights(run) <= weights(run)


@pytest.mark.parametrize("algo", HEADS)
def test_no_policy_has_fewer_weights_than_counted(algo):
    run = replace(RUN, algo=algo, policy=HEADS[algo])
    assert least_weights(run) <= weights(run)


def test_absurd_sizes_are_refused_at_once(monkeypatch):
    monkeypatch.setattr(footprint, "machine_memory", lambda: 10**9)
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"1\.3e\+20 weights take 2e\+12 GB to train, this mach"):
        check_encoder(replace(RUN, encoder=EncoderConfig(heads=4, width=4_000_000_000)), SPACE)
    assert time.perf_counter() - start < 1
    with pytest.raises(ValueError, match=r"has 1\.0 GB; use a smaller width, or fewer layers"):
        check_networks(replace(RUN, encoder=EncoderConfig(layers=1000, width=3000, heads=3)))
    check_networks(replace(RUN, encoder=EncoderConfig(layers=3, width=2000)))  # 0.77 GB at least
    with pytest.raises(ValueError, match="networks of at least"):
        check_networks(replace(RUN, policy=PolicyConfig(net_arch=(10_000, 10_000))))


@pytest.mark.parametrize(
    ("algo", "hyperparams", "fitting", "text"),
    [
        (
            "ppo",
            {"n_steps": 1000},
            {"n_steps": 333},
            r"a rollout of 3,000 steps takes 0\.0 GB, this machine has 0\.0 GB; use fewer --n-envs,"
            r" or --hyperparams n_steps:83",  # 28,000 bytes / 4 / 28 / 3 environments
        ),
        (
            "dqn",
            {"buffer_size": 501},
            {"buffer_size": 500},
            r"a replay buffer of 501 steps takes .* or --hyperparams buffer_size:125",
        ),
        (
            "dqn",
            {"buffer_size": 1001, "optimize_memory_usage": True},
            {"buffer_size": 1000},
            "replay buffer of 1,001 steps",
        ),
    ],
)
def test_stored_steps_that_do_not_fit_are_refused(algo, hyperparams, fitting, text, monkeypatch):
    monkeypatch.setattr(footprint, "machine_memory", lambda: 28_000)
    with pytest.raises(ValueError, match=text):
        check_steps(replace(RUN, algo=algo, hyperparams=hyperparams), SPACE)
    check_steps(replace(RUN, algo=algo, hyperparams=hyperparams | fitting), SPACE)


def test_where_the_system_does_not_tell_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(footprint, "machine_memory", lambda: None)
    run = replace(RUN, encoder=EncoderConfig(width=4_000_000_000), hyperparams={"n_steps": 10**12})
    check_networks(run)
    check_steps(run, SPACE)
