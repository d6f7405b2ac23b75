"""Recording during `learn`: what is recorded, and that the training does not notice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import CallbackList, ConvertCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from attention_agents.agents.algorithms.build import build_model, make_vec_env
from attention_agents.agents.config.encoder_config import EncoderConfig
from attention_agents.agents.config.run_config import PolicyConfig, RunConfig
from attention_agents.agents.training.callbacks.recorder import AttentionRecorderCallback
from attention_agents.envs.make import make_env
from attention_agents.policies.inspect.attention_modules import attention_extractors
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.recording.reader import open_recording

RUN = RunConfig(
    env="CartPole-v1",
    algo="ppo",
    n_timesteps=180,
    seed=1,
    n_envs=2,
    encoder=EncoderConfig(layers=2, heads=3, width=12),
    policy=PolicyConfig(net_arch=(7,)),
    hyperparams={"n_steps": 30, "batch_size": 15, "n_epochs": 2},
    device="cpu",
)
OFF_POLICY = {"learning_starts": 20, "batch_size": 8, "buffer_size": 100, "train_freq": 4}
RUNS = {
    "ppo": RUN,
    "ppo, normalized": replace(RUN, normalize_obs=True, normalize_reward=True),
    "ppo, two encoders": replace(
        RUN, policy=PolicyConfig(net_arch=(7,), share_features_extractor=False)
    ),
    "dqn": replace(RUN, algo="dqn", hyperparams=OFF_POLICY, n_timesteps=100),
    "sac": replace(
        RUN, algo="sac", env="Pendulum-v1", hyperparams=OFF_POLICY, n_timesteps=60, n_envs=1
    ),
    "crossq": replace(
        RUN, algo="crossq", env="Pendulum-v1", hyperparams=OFF_POLICY, n_timesteps=60, n_envs=1
    ),
    "ppo_lstm": replace(RUN, algo="ppo_lstm"),
    "ppo_mask": replace(RUN, algo="ppo_mask", env="tests.agents.worlds:Lanes-v0"),
}


def learn(run: RunConfig, callback=None):
    env = make_vec_env(run)
    model = build_model(run, env)
    model.learn(run.n_timesteps, callback=callback)
    env.close()
    return model, torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002


@pytest.mark.parametrize("name", RUNS)
def test_training_is_bit_identical_with_and_without(name, tmp_path):
    with_model, *with_streams = learn(RUNS[name], AttentionRecorderCallback(tmp_path / "seen"))
    without_model, *without_streams = learn(RUNS[name])
    left, right = with_model.policy.state_dict(), without_model.policy.state_dict()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) for key in left)
    assert torch.equal(with_streams[0], without_streams[0])
    assert with_streams[1] == without_streams[1]
    assert all(not a.listeners for a in attention_modules(with_model)), "the tap is still attached"
    recording = open_recording(tmp_path / "seen")
    assert recording.episodes
    unit = "normalized" if RUNS[name].normalize_reward else ""
    assert recording.header.value_unit == unit


def attention_modules(model):
    return [
        a
        for e in attention_extractors(model.policy).values()
        for _, a in e.encoder.attention_modules()
    ]


def test_every_kth_episode_of_the_first_environment_is_recorded(tmp_path):
    run = replace(RUN, n_envs=1, n_timesteps=300)
    env = make_vec_env(run)
    model = build_model(run, env)
    lengths = []

    def on_step(inner, _globals):
        lengths.extend(info["episode"]["l"] for info in inner["infos"] if "episode" in info)
        return True

    recorder = AttentionRecorderCallback(tmp_path / "seen", every_episodes=3)
    model.learn(run.n_timesteps, callback=CallbackList([ConvertCallback(on_step), recorder]))
    recorded = [len(episode) for episode in open_recording(tmp_path / "seen").episodes]
    whole = lengths[::3]
    assert len(lengths) >= 7
    assert recorded[: len(whole)] == whole
    assert len(recorded) - len(whole) in (0, 1), "at most the episode that the end cut short"
    assert type(env.envs[0]) is Monitor, "the recorder is still around the environment"


def test_the_maps_are_those_of_the_acting_policy(tmp_path):
    """With a learning rate of 0 the policy stays, and can be asked again about what it saw."""
    run = replace(RUN, hyperparams=RUN.hyperparams | {"learning_rate": 0.0})
    env = make_vec_env(run)
    model = build_model(run, env)
    model.learn(run.n_timesteps, callback=AttentionRecorderCallback(tmp_path / "seen"))
    recording = open_recording(tmp_path / "seen")
    steps = [step for episode in recording.episodes for step in episode]
    assert len(steps) == run.n_timesteps // 2
    for step in steps:
        assert step.attended
        with AttentionTap(model.policy) as tap, torch.no_grad():
            _, value, _ = model.policy(torch.as_tensor(step.observation[""])[None])
            seen = tap.take()
        assert step.value == pytest.approx(float(value), abs=1e-5)
        for one in seen.maps:
            if one.queries == "readout":
                assert np.allclose(step.maps[one.name], one.weights[0].numpy(), atol=1 / 255)


def test_a_random_action_is_not_said_to_come_from_the_policy(tmp_path):
    learn(RUNS["sac"], AttentionRecorderCallback(tmp_path / "seen"))
    steps = [step for episode in open_recording(tmp_path / "seen").episodes for step in episode]
    assert [step.attended for step in steps] == [False] * 20 + [True] * 40


def test_other_processes_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"needs the environments in a DummyVecEnv, got \w+, which keeps them"
    ):
        learn(replace(RUN, vec_env="subproc"), AttentionRecorderCallback(tmp_path / "seen"))
    with pytest.raises(ValueError, match="every_episodes must be at least 1, got 0"):
        AttentionRecorderCallback(tmp_path / "seen", every_episodes=0)


def test_frames_are_recorded_where_the_environment_renders(tmp_path):
    env = DummyVecEnv([lambda: make_env("CartPole-v1", render_mode="rgb_array")])
    run = replace(RUN, n_timesteps=8, n_envs=1, hyperparams={"n_steps": 8, "batch_size": 8})
    build_model(run, env).learn(8, callback=AttentionRecorderCallback(tmp_path / "seen"))
    step = open_recording(tmp_path / "seen").episodes[0][0]
    assert step.frame is not None and step.frame.shape[2] == 3
