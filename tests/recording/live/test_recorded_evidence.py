"""Evidence while a loop steps the environment: of the very pass, for stock agents too."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3

from attention_agents.envs.make import make_env
from attention_agents.policies.inspect.evidence import Evidence
from attention_agents.policies.inspect.token_capture import TokenCapture, TokenMeans
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.gated_extractor import attention_policy_kwargs
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.live.step_evidence import RUNNING, EvidenceBaseline
from attention_agents.recording.reader import open_recording

torch.set_num_threads(1)

OFF_POLICY = dict(buffer_size=50)
STOCK = {
    "ppo": (PPO, "CartPole-v1", {}),
    "a2c continuous": (A2C, "Pendulum-v1", {}),
    "dqn": (DQN, "CartPole-v1", OFF_POLICY),
    "sac": (SAC, "Pendulum-v1", OFF_POLICY),
    "td3": (TD3, "Pendulum-v1", OFF_POLICY),
    "recurrent": (RecurrentPPO, "CartPole-v1", {}),
}


class Pictures(gym.Env):
    """A picture that is drawn anew at every step, and a gear."""

    action_space = spaces.MultiDiscrete([3, 2])

    def __init__(self, with_gear: bool):
        picture = spaces.Box(0, 255, (3, 40, 44), np.uint8)
        both = spaces.Dict(picture=picture, gear=spaces.Discrete(3))
        self.observation_space = both if with_gear else picture

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 1.0, False, False, {}


class Choices(gym.Env):
    """Four numbers; of four actions some are valid, at every third step one alone."""

    observation_space = spaces.Box(-1, 1, (4,), np.float32)
    action_space = spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.np_random.uniform(-1, 1, 4).astype("f"), {}

    def step(self, action):
        self.t += 1
        return self.np_random.uniform(-1, 1, 4).astype("f"), 0.0, False, False, {}

    def action_masks(self):
        return np.array([self.t % 3 != 1, False, True, self.t % 3 == 0])


def play(model, env, steps=8, seed=5, masks=False):
    """Return what happened in a few steps."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    happened, state = [], None
    obs, _ = env.reset(seed=seed)
    for _ in range(steps):
        extra = dict(action_masks=env.unwrapped.action_masks()) if masks else {}
        if isinstance(model, RecurrentPPO):
            extra["state"] = state
        action, state = model.predict(obs, deterministic=False, **extra)
        obs, reward, *_ = env.step(action)
        happened.append((np.array(action).tobytes(), float(reward)))
    return happened


def record(model, env, folder, masks=False, **kwargs):
    recorder = RecordAttention(env, model, folder, map_dtype="float32", **kwargs)
    happened = play(model, recorder, masks=masks)
    recorder.close()
    return open_recording(folder), happened


def zero_baseline():
    return EvidenceBaseline("zero")


@pytest.mark.parametrize("name", STOCK)
def test_a_stock_agent_is_recorded_and_not_one_bit_changes(name, tmp_path):
    algorithm, env_id, extra = STOCK[name]
    kind = "MlpLstmPolicy" if algorithm is RecurrentPPO else "MlpPolicy"
    model = algorithm(kind, env_id, seed=0, device="cpu", **extra)
    weights = {key: value.clone() for key, value in model.policy.state_dict().items()}
    without = play(model, make_env(env_id))
    streams = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    recording, happened = record(model, make_env(env_id), tmp_path / "seen")
    assert happened == without
    assert torch.equal(torch.get_rng_state(), streams[0])
    assert np.random.get_state()[1].tobytes() == streams[1]  # noqa: NPY002
    for key, value in model.policy.state_dict().items():
        assert torch.equal(value, weights[key]), key
    assert all(parameter.grad is None for parameter in model.policy.parameters())
    assert not any(module._forward_hooks for module in model.policy.modules())
    header = recording.header
    assert header.maps == () and header.evidence is not None
    assert header.evidence.tokens == "numbers" and header.evidence.baseline_source == RUNNING
    assert header.layout.names[0] in ("cart position", "cosine")  # as the environment calls it
    first, *steps = recording.episodes[0]
    assert not first.evidence.any()  # compared with itself alone
    assert all(step.attended and np.abs(step.evidence).max() > 0 for step in steps)
    assert all(step.distribution is not None and step.mask.all() for step in steps)


def attention_model(kind):
    if kind == "gate":
        space = gym.make("CartPole-v1").observation_space
        return PPO("MlpPolicy", "CartPole-v1", policy_kwargs=attention_policy_kwargs(PPO, space),
                   seed=0, device="cpu")  # fmt: skip
    sizes = dict(layers=2, heads=3, width=12)
    kwargs = dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=sizes)
    if kind == "two encoders":
        kwargs["share_features_extractor"] = False
    return PPO("MlpPolicy", "CartPole-v1", policy_kwargs=kwargs, seed=0, device="cpu")


@pytest.mark.parametrize("kind", ["gate", "pooled", "two encoders"])
def test_evidence_changes_neither_maps_nor_what_happens(kind, tmp_path):
    model = attention_model(kind)
    env = make_env("CartPole-v1")
    plain, without = record(model, env, tmp_path / "plain", evidence=False)
    both, happened = record(model, make_env("CartPole-v1"), tmp_path / "both")
    assert happened == without
    assert plain.header.evidence is None and both.header.evidence is not None
    for step, expected in zip(both.episodes[0], plain.episodes[0], strict=True):
        assert expected.evidence is None and step.evidence.shape == (1, 4)
        assert step.maps.keys() == expected.maps.keys() and step.maps
        for name, weights in expected.maps.items():
            np.testing.assert_array_equal(step.maps[name], weights)
        np.testing.assert_array_equal(step.distribution, expected.distribution)
        assert step.value == expected.value


@pytest.mark.parametrize("kind", ["gate", "pooled", "stock"])
def test_recorded_evidence_is_that_of_the_pass_and_the_action_taken(kind, tmp_path):
    """Computed again from the recorded observation and action, against zeros."""
    model = PPO("MlpPolicy", "CartPole-v1", device="cpu") if kind == "stock" else None
    model = model or attention_model(kind)
    recording, _ = record(model, make_env("CartPole-v1"), tmp_path / "seen",
                          baseline=zero_baseline())  # fmt: skip
    assert recording.header.evidence.baseline_text == "against zeros"
    evidence = Evidence(model.policy, "zero")
    actions = set()
    for step in recording.episodes[0]:
        with TokenCapture(model.policy) as capture:
            model.predict(step.observation[""])
            passed = capture.take()
        expected = evidence.of(passed, torch.as_tensor(step.action)[None]).values[0]
        np.testing.assert_allclose(step.evidence, expected.numpy(), rtol=1e-4, atol=1e-6)
        actions.add(int(step.action))
    assert actions == {0, 1}


def test_a_warm_up_gives_the_first_state_evidence_too(tmp_path):
    model = PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu")
    means = TokenMeans()
    with TokenCapture(model.policy) as capture:
        for x in (0.5, 1.5):
            model.predict(np.full(4, x, np.float32))
            means.update(capture.take().tokens["actor"])
    baseline = EvidenceBaseline("mean", means, "two states by hand")
    recording, _ = record(model, make_env("CartPole-v1"), tmp_path / "seen", baseline=baseline)
    spec = recording.header.evidence
    assert (spec.baseline_states, spec.baseline_source) == (2, "two states by hand")
    assert recording.episodes[0][0].evidence.any()
    assert means.states == 2 and means.baseline[0].flatten().tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("with_gear", [False, True])
def test_pictures_have_evidence_at_the_cells_of_the_last_convolution(tmp_path, with_gear):
    policy = "MultiInputPolicy" if with_gear else "CnnPolicy"
    model = PPO(policy, Pictures(with_gear), n_steps=8, batch_size=8, seed=0, device="cpu")
    recording, _ = record(model, Pictures(with_gear), tmp_path / "seen")
    header, step = recording.header, recording.episodes[0][3]
    assert header.evidence.components == ("part 0", "part 1")
    words = "cells of the last convolution"
    kinds = {"patches", "features"} if with_gear else {"patches"}
    assert {group.kind for group in header.layout.groups} == kinds
    assert words in header.evidence.tokens and ("numbers" in header.evidence.tokens) == with_gear
    assert step.evidence.shape == (2, len(header.layout)) and step.evidence.any()


def test_only_valid_actions_count_and_without_a_choice_evidence_is_undefined(tmp_path):
    model = MaskablePPO("MlpPolicy", Choices(), n_steps=8, batch_size=8, seed=0, device="cpu")
    recording, _ = record(model, Choices(), tmp_path / "seen", masks=True, baseline=zero_baseline())
    undefined = [np.isnan(step.evidence).all() for step in recording.episodes[0]]
    assert undefined == [t % 3 == 1 for t in range(8)]
    evidence = Evidence(model.policy, "zero")
    step = recording.episodes[0][2]
    with TokenCapture(model.policy) as capture:
        model.predict(step.observation[""], action_masks=np.array([True, False, True, False]))
        passed = capture.take()
    valid = torch.tensor([[True, False, True, False]])
    expected = evidence.of(passed, torch.as_tensor(step.action)[None], valid).values[0]
    np.testing.assert_allclose(step.evidence, expected.numpy(), rtol=1e-4, atol=1e-6)


def test_an_action_that_the_policy_did_not_choose_has_no_evidence(tmp_path):
    model = PPO("MlpPolicy", "CartPole-v1", device="cpu")
    env = RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen")
    env.reset(seed=1)
    env.step(1)
    env.close()
    (step,) = open_recording(tmp_path / "seen").episodes[0]
    assert not step.attended and np.isnan(step.evidence).all()


def test_one_row_of_a_batch_is_recorded(tmp_path):
    model = PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu")
    env = RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen", index=1,
                          map_dtype="float32", baseline=zero_baseline())  # fmt: skip
    obs, _ = env.reset(seed=1)
    actions, _ = model.predict(np.stack([np.zeros(4, np.float32), obs]))
    env.step(actions[1])
    env.close()
    (step,) = open_recording(tmp_path / "seen").episodes[0]
    expected, _ = record_alone(model, obs, actions[1])
    np.testing.assert_allclose(step.evidence, expected, rtol=1e-4, atol=1e-6)


def record_alone(model, obs, action):
    with TokenCapture(model.policy) as capture:
        model.predict(obs)
        passed = capture.take()
    result = Evidence(model.policy, "zero").of(passed, torch.as_tensor(action)[None])
    return result.values[0].numpy(), result.margin


def test_recording_within_inference_mode(tmp_path):
    model = attention_model("gate")
    with torch.inference_mode():
        recording, _ = record(model, make_env("CartPole-v1"), tmp_path / "seen")
    assert recording.episodes[0][5].evidence.any()


def test_neither_attention_nor_evidence_is_refused(tmp_path):
    model = PPO("MlpPolicy", "CartPole-v1", device="cpu")
    with pytest.raises(ValueError, match="has no AttentionExtractor"):
        RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen", evidence=False)
    assert not (tmp_path / "seen").exists()


def test_states_in_batches_have_the_evidence_of_each_alone_against_the_states_so_far(tmp_path):
    """Forty steps are two batches of 16 and a rest; each state counts among those so far."""
    model = PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu")
    env = RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen", map_dtype="float32")
    play(model, env, steps=40)
    env.close()
    steps = [step for episode in open_recording(tmp_path / "seen").episodes for step in episode]
    evidence, seen = Evidence(model.policy), TokenMeans()
    evidence.means = seen
    for step in steps:
        with TokenCapture(model.policy) as capture:
            model.predict(step.observation[""])
            passed = capture.take()
        seen.update(passed.tokens["actor"])
        expected = evidence.of(passed, torch.as_tensor(step.action)[None]).values[0]
        np.testing.assert_allclose(step.evidence, expected.numpy(), rtol=1e-3, atol=1e-5)


def test_evidence_is_that_of_the_weights_that_chose_the_action(tmp_path):
    """An optimizer waits for it; of weights that something else overwrote it is unknown."""
    model = PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu")
    env = RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen", map_dtype="float32",
                          baseline=zero_baseline())  # fmt: skip
    first, _ = env.reset(seed=1)
    action, _ = model.predict(first, deterministic=True)
    second, *_ = env.step(action)
    expected, _ = record_alone(model, first, action)
    for parameter in model.policy.parameters():
        parameter.grad = torch.randn_like(parameter)
    model.policy.optimizer.param_groups[0]["lr"] = 0.3
    model.policy.optimizer.step()
    changed, _ = record_alone(model, first, action)
    env.step(model.predict(second, deterministic=True)[0])
    model.policy.load_state_dict({k: v + 1 for k, v in model.policy.state_dict().items()})
    env.close()
    step, overwritten = open_recording(tmp_path / "seen").episodes[0]
    np.testing.assert_allclose(step.evidence, expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(expected, changed, rtol=1e-2)
    assert overwritten.attended and np.isnan(overwritten.evidence).all()
