"""What a policy judged where more than features decide: valid actions, and a memory."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO

from attention_agents.envs.make import make_env
from attention_agents.policies.inspect.policy_adapter import FeaturePass
from attention_agents.policies.inspect.tap import AttentionTap
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.maskable_pointer import MaskablePointerPolicy
from attention_agents.policies.sb3.recurrent import AttentionGRUPolicy
from attention_agents.recording.live.policy_estimate import (
    MaskedPassReader,
    RecurrentPassReader,
    pass_reader_of,
)
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording
from tests.agents.worlds import Lanes

SMALL = dict(
    features_extractor_class=AttentionExtractor,
    features_extractor_kwargs=dict(width=12, heads=3, layers=2),
    net_arch=[7],
)
CRITICS = {
    "an LSTM of its own": {},
    "the actor's LSTM": dict(shared_lstm=True, enable_critic_lstm=False),
    "no LSTM": dict(enable_critic_lstm=False),
    "an encoder of its own": dict(share_features_extractor=False),
    "attention": dict(policy=AttentionGRUPolicy),
}


def recurrent(env="CartPole-v1", policy="MlpLstmPolicy", **options):
    lstm = dict(lstm_hidden_size=5, n_lstm_layers=2) if policy == "MlpLstmPolicy" else {}
    torch.manual_seed(3)
    model = RecurrentPPO(policy, env, n_steps=8, policy_kwargs=SMALL | lstm | options, device="cpu")
    with torch.no_grad():  # so that what is remembered, and who values, can be told
        for name, parameter in model.policy.named_parameters():
            if "lstm" in name or "_net" in name:
                parameter.normal_()
    return model


def empty(model):
    """Return the memory of an episode that begins."""
    lstm = model.policy.lstm_actor
    blank = torch.zeros(lstm.num_layers, 1, lstm.hidden_size)
    return type(model._last_lstm_states)((blank, blank), (blank, blank))


def lived(model, env, seed=5):
    """Play an episode as SB3 trains: yield what `forward` thinks of every state."""
    policy, states = model.policy, empty(model)
    obs, _ = env.reset(seed=seed)
    starts, over = torch.ones(1), False
    while not over:
        seen, _ = policy.obs_to_tensor(obs)
        with torch.no_grad():
            before = states.pi
            action, value, _, states = policy(seen, states, starts, deterministic=True)
            distribution, _ = policy.get_distribution(seen, before, starts)
        yield distribution.distribution, float(value)
        obs, _, terminated, truncated, _ = env.step(action[0].numpy())
        starts, over = torch.zeros(1), terminated or truncated


def recorded(model, env, folder, seeds=(5,), batch=1):
    env = RecordAttention(env, model, folder)
    for seed in seeds:
        obs, _ = env.reset(seed=seed)
        memory, starts, over = None, np.ones(batch, bool), False
        while not over:
            action, memory = model.predict(
                np.stack([obs] * batch), memory, starts, deterministic=True
            )
            obs, _, terminated, truncated, _ = env.step(action[0])
            starts, over = np.zeros(batch, bool), terminated or truncated
    env.close()
    return open_recording(folder)


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_recurrent_policys_judgement_is_that_of_its_training_pass(critic, batch, tmp_path):
    model = recurrent(**CRITICS[critic])
    env = make_env("CartPole-v1", max_episode_steps=11)
    recording = recorded(model, env, tmp_path / "seen", seeds=(5, 6), batch=batch)
    for seed, episode in zip((5, 6), recording.episodes, strict=True):
        expected = list(lived(model, make_env("CartPole-v1", max_episode_steps=11), seed))
        assert len(episode) == len(expected) > 5
        for step, (distribution, value) in zip(episode, expected, strict=True):
            np.testing.assert_allclose(step.distribution, distribution.probs[0], atol=1e-5)
            assert step.value == pytest.approx(value, abs=1e-5)
    values = [step.value for step in recording.episodes[0]]
    assert len(set(values)) == len(values)


def test_a_recurrent_gaussian_is_told_in_the_environments_units(tmp_path):
    model = recurrent("Pendulum-v1")
    recording = recorded(
        model, make_env("Pendulum-v1", max_episode_steps=7), tmp_path / "seen", batch=2
    )
    expected = lived(model, make_env("Pendulum-v1", max_episode_steps=7))
    for step, (distribution, value) in zip(recording.episodes[0], expected, strict=True):
        mean, std = distribution.mean[0].numpy(), distribution.stddev[0].numpy()
        rows = np.clip([mean, mean - std, mean + std], -2, 2)
        np.testing.assert_allclose(step.distribution, rows, atol=1e-5)
        assert step.value == pytest.approx(value, abs=1e-5)


def estimate_of(reader, features, obs, action):
    """Estimate one state, as a recorder does."""

    def observe():
        return reader.policy.obs_to_tensor(obs)[0]

    return reader.estimate(FeaturePass(features, torch.as_tensor(action)[None], observe))


def passed(model, observations, **more):
    with AttentionTap(model.policy) as tap:
        answer = model.predict(observations, deterministic=True, **more)
        heard = tap.take()
    assert heard is not None
    return answer, heard.features


def test_where_an_episodes_beginning_was_not_heard_no_value_is_told():
    model = recurrent()
    obs = np.ones((1, 4), np.float32)
    (_, memory), _ = passed(model, obs)
    reader = pass_reader_of(model.policy)
    assert isinstance(reader, RecurrentPassReader)
    assert estimate_of(reader, {"actor": torch.zeros(1, 12)}, obs, np.int64(0)) == (None, None)
    with torch.no_grad():
        _, features = passed(model, obs, state=memory, episode_start=np.zeros(1, bool))
        middle = estimate_of(reader, features, obs, np.int64(0))
        _, features = passed(model, obs, state=memory, episode_start=np.ones(1, bool))
        start = estimate_of(reader, features, obs, np.int64(0))
    assert middle.distribution is not None and middle.value is None
    assert start.value is not None


def test_rows_that_cannot_be_told_apart_are_not_guessed():
    model = recurrent()
    obs = np.ones((2, 4), np.float32)
    rng = np.random.default_rng(0)
    memory = tuple(rng.normal(size=(2, 2, 5)) for _ in range(2))
    reader = pass_reader_of(model.policy)
    with torch.no_grad():
        _, features = passed(model, obs, state=memory, episode_start=np.zeros(2, bool))
        judged = estimate_of(reader, {"actor": features["actor"][:1]}, obs[:1], np.int64(0))
        assert judged == (None, None)
        obs[1] = 2
        _, features = passed(model, obs, state=memory, episode_start=np.zeros(2, bool))
        first = estimate_of(
            reader, {"actor": features["actor"][:1]}, obs[:1], np.int64(0)
        ).distribution
        second = estimate_of(
            reader, {"actor": features["actor"][1:]}, obs[1:], np.int64(0)
        ).distribution
    probabilities = model.policy.action_dist.distribution.probs
    np.testing.assert_allclose(np.stack([first, second]), probabilities, atol=1e-5)


@pytest.mark.parametrize("kind", ["discrete", "multi", "bits"])
def test_a_masked_policys_judgement_is_among_the_valid_actions(kind):
    torch.manual_seed(3)
    env = Lanes(kind)
    model = MaskablePPO("MlpPolicy", env, n_steps=8, policy_kwargs=SMALL, device="cpu")
    with torch.no_grad():
        model.policy.action_net.weight.normal_()
    reader = pass_reader_of(model.policy)
    assert isinstance(reader, MaskedPassReader)
    obs, _ = env.reset(seed=1)
    other = np.zeros(3, np.float32)
    for _ in range(3):
        masks = env.action_masks()
        batch, valid = np.stack([other, obs]), np.stack([np.ones_like(masks), masks])
        (actions, _), features = passed(model, batch, action_masks=valid)
        with torch.no_grad():
            judged = estimate_of(reader, {"actor": features["actor"][1:]}, obs[None], actions[1])
            seen, _ = model.policy.obs_to_tensor(obs[None])
            expected = model.policy.get_distribution(seen, masks[None])
            value = float(model.policy.predict_values(seen))
        assert judged.value == pytest.approx(value, abs=1e-6)
        parts = [expected.distribution] if kind == "discrete" else expected.distributions
        probabilities = [part.probs[0].numpy() for part in parts]
        if kind == "bits":
            probabilities = [part[1:] for part in probabilities]
        np.testing.assert_allclose(judged.distribution, np.concatenate(probabilities), atol=1e-5)
        if kind == "discrete":
            assert (judged.distribution[~masks] == 0).all() and not masks.all()
        obs = env.step(actions[1])[0]


def test_a_pointer_with_masks_is_read_too():
    env = make_env("attention/Collect-v0")
    kwargs = {**SMALL, "features_extractor_kwargs": dict(width=12, heads=3, layers=2)}
    del kwargs["features_extractor_class"]
    model = MaskablePPO(MaskablePointerPolicy, env, n_steps=8, policy_kwargs=kwargs, device="cpu")
    reader = pass_reader_of(model.policy)
    obs = np.stack([env.reset(seed=1)[0]] * 2)
    A = env.action_space.n
    valid = np.ones((2, A), bool)
    valid[:, 1] = False
    (actions, _), features = passed(model, obs, action_masks=valid)
    with torch.no_grad():
        judged = estimate_of(reader, {"actor": features["actor"][:1]}, obs, actions[0])
    probabilities = model.policy.action_dist.distribution.probs[0]
    np.testing.assert_allclose(judged.distribution, probabilities, atol=1e-5)
    assert judged.distribution[1] == 0


def test_without_masks_a_masked_policy_is_read_as_it_is():
    model = MaskablePPO("MlpPolicy", Lanes(), n_steps=8, policy_kwargs=SMALL, device="cpu")
    reader = pass_reader_of(model.policy)
    obs = np.ones((1, 3), np.float32)
    with torch.no_grad():
        nothing = estimate_of(reader, {"actor": torch.zeros(1, 12)}, obs, np.int64(0))
        _, features = passed(model, obs)
        judged = estimate_of(reader, features, obs, np.int64(0))
        last = model.policy.action_dist.distribution.probs[0]
    assert nothing.distribution is None
    np.testing.assert_allclose(judged.distribution, last, atol=1e-6)


def test_judging_changes_nothing_and_lets_go_of_the_policy():
    model = recurrent()
    before = {name: each.clone() for name, each in model.policy.state_dict().items()}
    streams = torch.get_rng_state()
    reader = pass_reader_of(model.policy)
    obs = np.ones((1, 4), np.float32)
    (action, memory), features = passed(model, obs)
    with torch.no_grad():
        estimate_of(reader, features, obs, action[0])
    (again, kept), _ = passed(model, obs)
    assert np.array_equal(action, again) and np.array_equal(memory, kept)
    assert torch.equal(torch.get_rng_state(), streams)
    after = model.policy.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert model.policy.lstm_actor._forward_hooks
    del reader
    gc.collect()
    assert not model.policy.lstm_actor._forward_hooks
    assert not model.policy.lstm_critic._forward_hooks


def test_a_value_is_heard_while_a_recurrent_policy_trains(tmp_path):
    from attention_agents.agents.training.callbacks.recorder import AttentionRecorderCallback

    model = recurrent(make_env("CartPole-v1"))
    model.learning_rate = 0.0
    model._setup_lr_schedule()
    model.learn(24, callback=AttentionRecorderCallback(tmp_path / "seen"))
    recording = open_recording(tmp_path / "seen")
    for episode in recording.episodes:
        states, starts = empty(model), torch.ones(1)
        for step in episode:
            seen, _ = model.policy.obs_to_tensor(step.observation[""])
            with torch.no_grad():
                _, value, _, states = model.policy(seen, states, starts)
            starts = torch.zeros(1)
            assert step.value == pytest.approx(float(value), abs=1e-5)
