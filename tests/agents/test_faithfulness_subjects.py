"""Policies of every kind asked with tokens removed: what they say is what was recorded, and what
they say without a token is what they would have said had it not been there."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN, TQC, CrossQ, MaskablePPO, RecurrentPPO
from stable_baselines3 import DQN, PPO, SAC, TD3

from attention_agents.agents.faithfulness.leave_one_out import leave_one_out
from attention_agents.agents.faithfulness.output_distance import (
    Choices,
    Gaussians,
    Numbers,
    Points,
    QValues,
    Said,
)
from attention_agents.agents.faithfulness.policy_reader import reader_of
from attention_agents.agents.faithfulness.recorded_policy import Subject
from attention_agents.agents.faithfulness.saliency_maps import attention_candidates, sarfa_candidate
from attention_agents.agents.faithfulness.weight_shuffle import shuffled
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Entities
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.maskable_pointer import MaskablePointerPolicy
from attention_agents.policies.sb3.pointer import PointerPolicy
from attention_agents.policies.sb3.recurrent import AttentionGRUPolicy
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording

N, F, STEPS = 5, 3, 7
ABSENT = 4


class Herd(gym.Env):
    """Entities at random, the last of which is absent; some actions may be barred."""

    observation_space = TokenBox(-9, 9, (N, F), tokens=Entities(N, ("here", "x", "y"), presence=0))
    metadata = {"render_modes": []}

    def __init__(self, actions):
        self.action_space = actions
        self.sizes = {
            spaces.Discrete: lambda: [int(actions.n)],
            spaces.MultiDiscrete: lambda: actions.nvec.tolist(),
            spaces.MultiBinary: lambda: [2] * actions.n,
            spaces.Box: list,
        }[type(actions)]()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._seen(), {}

    def step(self, action):
        self.steps += 1
        return self._seen(), 1.0, self.steps == STEPS, False, {}

    def action_masks(self):
        masks = [np.random.default_rng(self.steps).random(size) < 0.6 for size in self.sizes]
        for mask in masks:
            mask[0] = True
        masks[0][:] = True  # something is always to be chosen
        return np.concatenate(masks)

    def _seen(self):
        rows = self.np_random.normal(size=(N, F)).astype("f")
        rows[:, 0] = 1
        rows[ABSENT] = 0
        return rows


CHOICE, BOX = spaces.Discrete(4), spaces.Box(np.array([-2, 0], "f"), np.array([2, 1], "f"))
POINT = spaces.Discrete(N)
PARTS, BITS = spaces.MultiDiscrete([3, 2]), spaces.MultiBinary(3)
CASES = {
    "ppo discrete": (PPO, CHOICE, {}),
    "ppo parts": (PPO, PARTS, {}),
    "ppo bits": (PPO, BITS, {}),
    "ppo gaussian": (PPO, BOX, {}),
    "ppo two encoders": (PPO, CHOICE, {"share_features_extractor": False}),
    "ppo gsde": (PPO, BOX, {"use_sde": True}),
    "pointer": (PPO, POINT, {"policy": PointerPolicy}),
    "masked": (MaskablePPO, CHOICE, {}),
    "masked parts": (MaskablePPO, PARTS, {}),
    "masked bits": (MaskablePPO, BITS, {}),
    "masked pointer": (MaskablePPO, POINT, {"policy": MaskablePointerPolicy}),
    "lstm": (RecurrentPPO, CHOICE, {"policy": "MlpLstmPolicy"}),
    "lstm gaussian": (RecurrentPPO, BOX, {"policy": "MlpLstmPolicy"}),
    "shared lstm": (
        RecurrentPPO,
        CHOICE,
        {"policy": "MlpLstmPolicy", "shared_lstm": True, "enable_critic_lstm": False},
    ),
    "attention gru": (RecurrentPPO, CHOICE, {"policy": AttentionGRUPolicy}),
    "dqn": (DQN, CHOICE, {}),
    "qrdqn": (QRDQN, CHOICE, {}),
    "sac": (SAC, BOX, {}),
    "td3": (TD3, BOX, {}),
    "tqc": (TQC, BOX, {}),
    "crossq": (CrossQ, BOX, {}),
}
UNITS = {"dqn": "change of Q of the chosen action", "td3": "squared change of the action, in units"}
UNITS |= {"qrdqn": UNITS["dqn"]}


def built(case):
    algorithm, actions, options = CASES[case]
    options = dict(options)
    extractor = dict(width=12, heads=3, layers=2)
    kwargs = dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=extractor)
    policy = options.pop("policy", "MlpPolicy")
    own = {"use_sde": options.pop("use_sde")} if "use_sde" in options else {}
    rollout = issubclass(algorithm, (PPO, MaskablePPO, RecurrentPPO))
    own |= {"n_steps": 8, "batch_size": 8} if rollout else {"buffer_size": 9}
    torch.manual_seed(2)
    model = algorithm(policy, Herd(actions), policy_kwargs=kwargs | options, device="cpu", **own)
    with torch.no_grad():  # so that what differs can be told
        for name, parameter in model.policy.named_parameters():
            if any(word in name for word in ("lstm", "action_net", "value_net", "mu.", "q_net.q")):
                parameter.normal_(0, 0.7 if actions is CHOICE else 0.2)
    model.policy.set_training_mode(False)
    return model


def recorded(model, actions, folder):
    env = RecordAttention(Herd(actions), model, folder, map_dtype="float32", full=True)
    obs, _ = env.reset(seed=5)
    memory, start, over = None, np.ones(1, bool), False
    while not over:
        heeds = isinstance(model, MaskablePPO)
        more = {"action_masks": env.unwrapped.action_masks()} if heeds else {}
        action, memory = model.predict(obs[None], memory, start, deterministic=True, **more)
        obs, _, over, _, _ = env.step(action[0])
        start = np.zeros(1, bool)
    env.close()
    return open_recording(folder).episodes[0]


@pytest.fixture(scope="module", params=CASES)
def asked(request, tmp_path_factory):
    model = built(request.param)
    episode = recorded(model, CASES[request.param][1], tmp_path_factory.mktemp("seen") / "seen")
    subject = Subject.of(model.policy, lambda obs: obs, episode)
    return request.param, model, episode, subject


def test_what_is_said_is_what_was_recorded(asked):
    _, _, episode, subject = asked
    said = subject.reader.kind.distribution(subject.said).astype(np.float64)
    values = subject.said.value
    for t, step in enumerate(episode):
        np.testing.assert_allclose(said[t], step.distribution, atol=1e-3)
        if step.value is not None:
            assert values is not None and float(values[t]) == pytest.approx(step.value, abs=1e-4)
    assert subject.present.tolist() == [[True] * ABSENT + [False]] * STEPS
    assert len(np.unique(said.reshape(STEPS, -1), axis=0)) == STEPS


def test_the_causal_map_is_the_change_when_the_world_leaves_an_entity_out(asked):
    case, _, _, subject = asked
    scores = leave_one_out(subject, np.arange(STEPS))
    assert scores.unit.startswith(UNITS.get(case, "KL, nats"))
    assert (scores.causal[:, ABSENT] == 0).all()
    assert (scores.causal[:, :ABSENT].max(1) > 1e-6).all()
    kind, t, n = subject.reader.kind, 3, 1
    state = subject.states[t : t + 1]
    state.observed[:, n] = 0
    with torch.no_grad():
        without = subject.reader.ask(state, torch.zeros(1, dtype=torch.long))
    state.observed[:, n, 0] = 1
    said = subject.said.rows(slice(t, t + 1))
    change = float(kind.change(said, without, state.chosen))
    assert scores.causal[t, n] == pytest.approx(change, rel=1e-3, abs=1e-5)
    np.testing.assert_allclose(
        scores.distribution[t, n].astype(float), kind.distribution(without)[0], atol=1e-3
    )
    np.testing.assert_allclose(scores.action[t, n], kind.action(without)[0], atol=1e-4)
    assert scores.value is not None and without.value is not None
    assert scores.value[t, n] == pytest.approx(float(without.value[0]), abs=1e-4)


def test_absent_tokens_show_what_is_said_with_all_there(asked):
    _, _, episode, subject = asked
    scores = leave_one_out(subject, np.array([1, 4]))
    for row, t in enumerate((1, 4)):
        said = scores.distribution[row, ABSENT].astype(float)
        np.testing.assert_allclose(said, episode[t].distribution, atol=1e-3)
    scores.check(episode.header, len(episode))


def test_every_reading_of_attention_is_the_recorded_one(asked):
    case, _, episode, subject = asked
    steps = np.array([0, 1, 2, 5])
    maps = {each.name: each for each in attention_candidates(subject, steps)}
    by_sarfa = sarfa_candidate(subject, steps, leave_one_out(subject, steps).distribution)
    assert (by_sarfa is None) == isinstance(subject.reader.kind, Numbers)
    from attention_agents.recording.map_view import View

    for spec in (one for one in episode.header.maps if one.role == subject.role):
        for row, t in zip(maps[spec.name].rows, steps, strict=True):
            np.testing.assert_allclose(row, View(spec, None).weights(episode[t]), atol=1e-5)
    assert "gradient x input" in maps
    for each in maps.values():
        assert each.rows.shape == (4, N)
        assert (each.rows[:, ABSENT] == 0).all() and (each.rows >= 0).all(), each.name
        assert each.rows.sum() > 0, each.name
    if "pointer" not in case and "gru" not in case:
        rolled = f"{subject.role}/rollout"
        assert {rolled, "gradient rollout"} <= set(maps)
        np.testing.assert_allclose(maps[rolled].rows.sum(1), 1, atol=1e-5)


def test_asking_changes_nothing_in_the_policy(asked):
    _, _, episode, subject = asked
    before = {name: each.clone() for name, each in subject.policy.state_dict().items()}
    stream = torch.get_rng_state()
    leave_one_out(subject, np.arange(2))
    with shuffled(subject.policy, 3):
        attention_candidates(subject, np.arange(2))
        changed = [
            name
            for name, each in subject.policy.named_parameters()
            if not torch.equal(each, before[name])
        ]
        assert len(changed) > 5
    for name, each in subject.policy.state_dict().items():
        torch.testing.assert_close(each, before[name], rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(each.grad is None for each in subject.policy.parameters())
    assert all(
        weighing.fused == fused for weighing, fused in zip(*_fused(subject.policy), strict=True)
    )
    Subject.of(subject.policy, lambda obs: obs, episode)  # still says the same


def _fused(policy):
    from attention_agents.policies.attention import Weighing

    found = [module for module in policy.modules() if isinstance(module, Weighing)]
    return found, [True] * len(found)


def test_divergences_are_those_of_torch():
    torch.manual_seed(0)
    parts = Choices(PARTS, (3, 2))
    a, b = parts.said(torch.randn(4, 5), None), parts.said(torch.randn(4, 5), None)
    expected = sum(
        torch.distributions.kl_divergence(
            torch.distributions.Categorical(logits=p), torch.distributions.Categorical(logits=q)
        )
        for p, q in zip(a.first.split([3, 2], 1), b.first.split([3, 2], 1), strict=True)
    )
    torch.testing.assert_close(parts.change(a, b, torch.zeros(4, 2)), expected)
    policy = built("ppo gaussian").policy
    gaussians = Gaussians(policy, False)
    a = Said(torch.randn(4, 2), torch.rand(4, 2) + 0.1)
    b = Said(torch.randn(4, 2), torch.rand(4, 2) + 0.1)
    normals = [torch.distributions.Normal(x.first, x.second) for x in (a, b)]
    expected = torch.distributions.kl_divergence(*normals).sum(1)
    torch.testing.assert_close(gaussians.change(a, b, torch.zeros(4)), expected)


def test_changes_of_q_values_and_of_points_by_hand():
    q = QValues()
    a, b = Said(torch.tensor([[1.0, 5.0]])), Said(torch.tensor([[4.0, 5.5]]))
    assert q.change(a, b, torch.tensor([0])).item() == 3
    assert q.change(a, b, torch.tensor([1])).item() == 0.5
    assert q.scale(a) == 2
    points = Points(built("td3").policy, False)
    a, b = Said(torch.tensor([[-1.0, 0.5]])), Said(torch.tensor([[1.0, 0.5]]))
    assert points.change(a, b, torch.zeros(1)).item() == 1  # a whole range, squared
    np.testing.assert_allclose(points.action(a), [[-2, 0.75]])
    moved = points.moved(np.array([[0.0, 0.5]] * 3), np.array([[0.1, 0.5], [0.3, 0.5], [0, 0.6]]))
    assert moved.tolist() == [False, True, True]  # 5% of 4 is 0.2, of 1 is 0.05


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="Linear is made in a way that is not known"):
        reader_of(torch.nn.Linear(1, 1))


def test_a_recording_of_another_policy_is_refused(tmp_path):
    model, other = built("ppo discrete"), built("ppo discrete")
    episode = recorded(model, CHOICE, tmp_path / "seen")
    with torch.no_grad():
        other.policy.action_net.weight.normal_()
    with pytest.raises(ValueError, match=r"does not say what was recorded in .*--checkpoint"):
        Subject.of(other.policy, lambda obs: obs, episode)
    plain = PPO("MlpPolicy", Herd(CHOICE), n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(ValueError, match="has no AttentionExtractor"):
        Subject.of(plain.policy, lambda obs: obs, episode)


def test_other_tokens_are_refused(tmp_path):
    class Fewer(Herd):
        observation_space = TokenBox(-9, 9, (3, F), tokens=Entities(3, ("here", "x", "y")))

    episode = recorded(built("ppo discrete"), CHOICE, tmp_path / "seen")
    kwargs = dict(
        features_extractor_class=AttentionExtractor, features_extractor_kwargs=dict(width=12)
    )
    model = PPO("MlpPolicy", Fewer(CHOICE), policy_kwargs=kwargs, n_steps=8, batch_size=8)
    with pytest.raises(ValueError, match=r"is of another run: it has 5 tokens \(5 entities\), the"):
        Subject.of(model.policy, lambda obs: obs, episode)
