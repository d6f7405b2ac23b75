"""Recording while a loop steps the environment: nothing changes, and what is stored is true."""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3

from attention_agents.envs.make import make_env
from attention_agents.envs.tokens.spaces import Entities, TokenBox
from attention_agents.policies.inspect.attention_modules import attention_extractors
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.gated_extractor import attention_policy_kwargs
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording

torch.set_num_threads(1)

ENCODER = dict(layers=2, heads=3, width=12)
OFF_POLICY = dict(buffer_size=50)
MODELS = {
    "ppo discrete": (PPO, "CartPole-v1", {}),
    "ppo continuous": (PPO, "Pendulum-v1", {}),
    "ppo two encoders": (PPO, "CartPole-v1", dict(share_features_extractor=False)),
    "ppo state dependent noise": (PPO, "Pendulum-v1", dict(use_sde=True)),
    "a2c": (A2C, "CartPole-v1", {}),
    "dqn": (DQN, "CartPole-v1", {}),
    "sac": (SAC, "Pendulum-v1", {}),
    "td3": (TD3, "Pendulum-v1", {}),
    "minigrid": (PPO, "MiniGrid-Empty-5x5-v0", {}),
}


def build(name: str, **encoder: object):
    algorithm, env_id, policy = MODELS[name]
    env = make_env(env_id)
    policy = dict(policy)
    extra = OFF_POLICY if algorithm in (DQN, SAC, TD3) else {}
    if policy.pop("use_sde", False):
        extra = dict(use_sde=True)
    policy |= dict(
        features_extractor_class=AttentionExtractor,
        features_extractor_kwargs=ENCODER | encoder,
        net_arch=[7],
    )
    kind = "MultiInputPolicy" if isinstance(env.observation_space, gym.spaces.Dict) else "MlpPolicy"
    return algorithm(kind, env, policy_kwargs=policy, seed=0, device="cpu", **extra)


def play(model, env, steps=12, seed=5, deterministic=False):
    """Return every action and reward of a few steps, and the maps and features of every pass."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    env.action_space.seed(1)
    happened = []
    obs, _ = env.reset(seed=seed)
    for _ in range(steps):
        action, _ = model.predict(obs, deterministic=deterministic)
        obs, reward, terminated, truncated, _ = env.step(action)
        happened.append((np.array(action), float(reward)))
        if terminated or truncated:
            obs, _ = env.reset()
    return happened


def listeners(model):
    extractors = attention_extractors(model.policy).values()
    return [
        hear for e in extractors for _, a in e.encoder.attention_modules() for hear in a.listeners
    ]


@pytest.mark.parametrize("name", MODELS)
def test_recording_changes_not_one_bit(name, tmp_path):
    model = build(name)
    weights = {key: value.clone() for key, value in model.policy.state_dict().items()}
    env_id = MODELS[name][1]
    plain = make_env(env_id, render_mode="rgb_array")
    without = play(model, plain)
    streams = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    recorder = RecordAttention(make_env(env_id, render_mode="rgb_array"), model, tmp_path / "seen")
    with_recorder = play(model, recorder)
    assert torch.equal(torch.get_rng_state(), streams[0])
    assert np.random.get_state()[1].tobytes() == streams[1]  # noqa: NPY002
    assert (
        recorder.unwrapped.np_random.bit_generator.state
        == plain.unwrapped.np_random.bit_generator.state
    )
    recorder.close()
    plain.close()
    assert [(a.tobytes(), r) for a, r in with_recorder] == [(a.tobytes(), r) for a, r in without]
    for key, value in model.policy.state_dict().items():
        assert torch.equal(value, weights[key]), key
    assert not listeners(model), "the recorder still listens"
    steps = [step for episode in open_recording(tmp_path / "seen").episodes for step in episode]
    assert [step.reward for step in steps] == [reward for _, reward in without]
    for step, (action, _) in zip(steps, without, strict=True):
        np.testing.assert_array_equal(step.action, action)
        assert step.attended
        assert step.frame is not None


@pytest.mark.parametrize("readout", ["query", "mean"])
@pytest.mark.parametrize("full", [False, True])
def test_recorded_maps_are_those_of_the_pass(tmp_path, readout, full):
    model = build("minigrid", readout=readout)
    env = make_env("MiniGrid-Empty-5x5-v0")
    recorder = RecordAttention(env, model, tmp_path / "seen", full=full)
    play(model, recorder, steps=5, deterministic=True)
    recorder.close()
    recording = open_recording(tmp_path / "seen")
    assert recording.header.picture == "observation"
    *own, rolled = recording.header.maps
    assert rolled.derived == "rollout"  # see test_mechanisms
    queries = [spec.queries for spec in own]
    assert queries == (["tokens", "readout"] if readout == "query" else ["tokens", "tokens"])
    for step in recording.episodes[0]:
        with AttentionTap(model.policy) as tap:
            model.predict(step.observation, deterministic=True)
            heard = tap.take()
        for one, spec in zip(heard.maps, own, strict=True):
            weights = one.weights[0].numpy()
            assert bool(spec.derived) == (one.queries == "tokens" and not full)
            if spec.derived:
                weights = weights.mean(1, keepdims=True)
            error = np.abs(step.maps[spec.name] - weights)
            assert (error <= weights.max(-1, keepdims=True) / 255 + 1e-6).all()


def outputs(model, step):
    """Return value and distribution by the policy's own public road."""
    policy = model.policy
    obs, _ = policy.obs_to_tensor(step.observation[""])
    with torch.no_grad():
        if isinstance(model, DQN):
            q_values = policy.q_net(obs)[0].numpy()
            return q_values.max(), q_values
        if isinstance(model, (SAC, TD3)):
            action = torch.as_tensor(policy.scale_action(step.action))[None]
            value = min(float(q) for q in policy.critic(obs, action))
            likeliest = policy._predict(obs, deterministic=True)[0].numpy()
            return value, policy.unscale_action(likeliest)
        said = policy.get_distribution(obs).distribution
        value = float(policy.predict_values(obs))
        if isinstance(said, torch.distributions.Categorical):
            return value, said.probs[0].numpy()
        low, high = model.action_space.low, model.action_space.high
        rows = [said.mean[0], said.mean[0] - said.stddev[0], said.mean[0] + said.stddev[0]]
        return value, np.stack([np.clip(row.numpy(), low, high) for row in rows])


@pytest.mark.parametrize("name", [name for name in MODELS if name != "minigrid"])
def test_value_and_distribution_are_the_policys_own(name, tmp_path):
    model = build(name)
    recorder = RecordAttention(make_env(MODELS[name][1]), model, tmp_path / "seen")
    play(model, recorder, steps=4)
    recorder.close()
    for step in open_recording(tmp_path / "seen").episodes[0]:
        value, said = outputs(model, step)
        assert step.value == pytest.approx(value, abs=1e-5)
        if isinstance(model, (SAC, TD3)):
            np.testing.assert_allclose(step.distribution[0], said, atol=1e-5)
            below, above = step.distribution[1:]
            assert (below < above).all() if isinstance(model, SAC) else (below == above).all()
        else:
            np.testing.assert_allclose(step.distribution, said, atol=1e-4)


def test_an_action_of_ones_own_is_flagged(tmp_path):
    model = build("ppo discrete")
    env = RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen")
    obs, _ = env.reset(seed=1)
    env.step(0)
    env.step(model.predict(obs)[0])
    env.close()
    own, policys = open_recording(tmp_path / "seen").episodes[0]
    assert not own.attended and own.value is None and own.distribution is None
    assert not any(weights.any() for weights in own.maps.values())
    assert policys.attended and all(weights.any() for weights in policys.maps.values())


def hear(heard, layer, one):
    heard[layer] = one.weights


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", ["ppo two encoders", "sac", "td3"])
def test_the_critics_maps_are_those_of_its_own_extractor(name, full, tmp_path):
    model = build(name)
    env = RecordAttention(make_env(MODELS[name][1]), model, tmp_path / "seen", full=full)
    play(model, env, steps=3)
    env.close()
    extractor = attention_extractors(model.policy)["critic"]
    for step in open_recording(tmp_path / "seen").episodes[0]:
        heard = {}
        for layer, attention in extractor.encoder.attention_modules():
            attention.listeners += (partial(hear, heard, layer),)
        with torch.no_grad():
            extractor(model.policy.obs_to_tensor(step.observation[""])[0])
        for _, attention in extractor.encoder.attention_modules():
            attention.listeners = ()
        assert len(heard) == 2
        for layer, weights in heard.items():
            own, stored = weights[0].numpy(), step.maps[f"critic/{layer}"]
            own = own if stored.shape == own.shape else own.mean(1, keepdims=True)
            np.testing.assert_allclose(stored, own, rtol=0, atol=own.max() / 254)
            other = step.maps[f"actor/{layer}"]
            assert np.abs(stored - other).max() > 1e-3, "the actor has weights of its own"


def test_learning_records_the_critics_maps_of_the_pass_itself(tmp_path):
    model = build("ppo two encoders")
    env = RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen")
    obs, _ = env.reset(seed=1)
    action, *_ = model.policy(torch.as_tensor(obs)[None])  # asks both, as `learn` does
    env.step(int(action))
    env.close()
    (step,) = open_recording(tmp_path / "seen").episodes[0]
    assert step.maps["critic/1"].sum() > 0.99 and step.maps["critic/rollout"].sum() > 0.99


def test_a_pass_before_the_reset_chooses_nothing_after_it(tmp_path):
    model = build("ppo discrete")
    env = RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen")
    model.predict(np.ones(4, "f"))
    env.reset(seed=1)
    env.step(0)
    env.close()
    assert not open_recording(tmp_path / "seen").episodes[0][0].attended


@pytest.mark.parametrize("name", ["ppo two encoders", "sac"])
def test_asking_the_critic_besides_is_not_taken_for_a_pass(name, tmp_path):
    model = build(name)
    env = RecordAttention(make_env(MODELS[name][1]), model, tmp_path / "seen")
    obs, _ = env.reset(seed=1)
    action, _ = model.predict(obs)
    env.step(action)
    env.step(action)
    env.close()
    first, second = open_recording(tmp_path / "seen").episodes[0]
    assert first.attended and first.value is not None
    assert not second.attended


def test_episodes_are_told_apart(tmp_path):
    model = build("ppo discrete")
    env = RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen")
    obs, _ = env.reset(seed=11)
    first, done = obs, False
    while not done:
        obs, _, terminated, truncated, _ = env.step(model.predict(obs)[0])
        done = terminated or truncated
    last = obs
    obs, _ = env.reset(seed=12)
    env.step(model.predict(obs)[0])
    env.reset(seed=13)  # nothing happens in this one
    env.close()
    recording = open_recording(tmp_path / "seen")
    assert recording.complete
    assert [episode.seed for episode in recording.episodes] == [11, 12]
    whole, left = recording.episodes
    np.testing.assert_array_equal(whole[0].observation[""], first)
    np.testing.assert_array_equal(whole.final.observation[""], last)
    assert whole[-1].terminated
    assert len(left) == 1 and not left[0].terminated


def test_the_policy_is_asked_about_what_it_saw(tmp_path):
    """The loop doubles its observations; the critic of its own extractor must hear of it."""
    model = build("ppo two encoders")
    env = RecordAttention(
        make_env("CartPole-v1"), model, tmp_path / "seen", normalize=lambda obs: 2 * obs
    )
    obs, _ = env.reset(seed=1)
    env.step(model.predict(2 * obs)[0])
    env.close()
    step = open_recording(tmp_path / "seen").episodes[0][0]
    np.testing.assert_array_equal(step.observation[""], obs)
    with torch.no_grad():
        value = model.policy.predict_values(torch.as_tensor(2 * obs)[None])
    assert step.value == pytest.approx(float(value), abs=1e-6)


def test_one_row_of_a_batch_can_be_recorded(tmp_path):
    model = build("ppo discrete")
    env = RecordAttention(make_env("CartPole-v1"), model, tmp_path / "seen", index=1)
    obs, _ = env.reset(seed=1)
    actions, _ = model.predict(np.stack([np.ones(4, "f"), obs]), deterministic=True)
    env.step(actions[1])
    env.close()
    step = open_recording(tmp_path / "seen").episodes[0][0]
    with torch.no_grad():
        probabilities = model.policy.get_distribution(torch.as_tensor(obs)[None]).distribution.probs
    np.testing.assert_allclose(step.distribution, probabilities[0], atol=1e-6)


def test_a_header_says_what_was_recorded(tmp_path):
    model = build("sac")
    RecordAttention(make_env("Pendulum-v1"), model, tmp_path / "seen", run="runs/sac/1").close()
    header = open_recording(tmp_path / "seen").header
    assert (header.env_id, header.algo, header.run) == ("Pendulum-v1", "sac", "runs/sac/1")
    assert header.action_kind == "continuous"
    assert header.action_names == ("torque",)
    assert header.action_bounds == ((-2.0, 2.0),)
    assert header.distribution == "gaussian"
    names = [f"{role}/{what}" for role in ("actor", "critic") for what in (0, 1, "rollout")]
    assert sorted(spec.name for spec in header.maps) == names
    assert header.versions["torch"].startswith("2.")
    assert header.fps == 30
    assert header.value_unit == ""


@pytest.mark.parametrize(
    ("readout", "query_source"), [("ego", "ego"), ("query", "learned query"), ("mean", "")]
)
def test_a_header_says_who_asks_and_in_what_unit_the_critic_counts(tmp_path, readout, query_source):
    space = TokenBox(-1, 1, (5, 3), tokens=Entities(5, ("presence", "x", "y"), presence=0, ego=2))
    env = make_env("CartPole-v1")
    env = gym.wrappers.TransformObservation(env, lambda _: np.ones((5, 3), np.float32), space)
    kwargs = dict(
        features_extractor_class=AttentionExtractor,
        features_extractor_kwargs=ENCODER | dict(readout=readout),
    )
    model = PPO("MlpPolicy", env, policy_kwargs=kwargs, device="cpu")
    RecordAttention(env, model, tmp_path / "seen", value_unit="normalized").close()
    header = open_recording(tmp_path / "seen").header
    assert [spec.query_source for spec in header.maps] == ["", query_source, query_source]
    assert header.layout.groups[0].ego == 2
    assert header.value_unit == "normalized"


def test_an_atari_step_lasts_as_long_as_its_frames(tmp_path):
    pytest.importorskip("ale_py")
    env = make_env("ALE/Pong-v5")
    kwargs = dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=ENCODER)
    model = PPO("MlpPolicy", env, policy_kwargs=kwargs, device="cpu", n_steps=2, batch_size=2)
    RecordAttention(env, model, tmp_path / "seen").close()
    fps = open_recording(tmp_path / "seen").header.fps
    assert fps == env.metadata["render_fps"] / 4


def test_a_taken_folder_is_refused_and_the_policy_left_alone(tmp_path):
    model = build("ppo discrete")
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ValueError, match=r"is not empty \(it holds mine.txt\)"):
        RecordAttention(make_env("CartPole-v1"), model, tmp_path)
    assert not listeners(model)


def test_a_gate_is_recorded_as_it_gated(tmp_path):
    """The weights of an attention gate, over named numbers, from the pass that acted."""
    env = gym.make("CartPole-v1")
    kwargs = attention_policy_kwargs(PPO, env.observation_space)
    model = PPO("MlpPolicy", env, n_steps=32, seed=0, device="cpu", policy_kwargs=kwargs)
    model.learn(64)
    recorder = RecordAttention(env, model, tmp_path / "recording", map_dtype="float32")
    obs, _ = recorder.reset(seed=3)
    seen = []
    for _ in range(4):
        seen.append(obs)
        action, _ = model.predict(obs, deterministic=True)
        obs, *_ = recorder.step(action)
    recorder.close()
    (episode,) = open_recording(tmp_path / "recording").episodes
    assert episode.header.layout.names == ("x0", "x1", "x2", "x3")
    gate = model.policy.features_extractor.gate
    with torch.no_grad():
        expected = gate.weights(torch.as_tensor(np.array(seen))[:, None])  # (B, H, N)
    for step, weights in zip(episode, expected, strict=True):
        recorded = step.maps["actor/0"]  # (H, 1, N)
        np.testing.assert_allclose(recorded[:, 0], weights, atol=1e-6)
