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

from attention_agents.agents.faithfulness.recorded_episode import RecordedEpisode
from attention_agents.agents.faithfulness.recorded_policy import (
    RecordedPolicy,
    check_outputs,
)
from attention_agents.agents.faithfulness.saliency_maps import attention_maps, sarfa_map
from attention_agents.agents.faithfulness.single_removals import leave_one_out
from attention_agents.agents.faithfulness.weight_shuffle import shuffled_weights
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Entities
from attention_agents.policies.inspect.action_distribution import ContinuousActions
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
    recorded_policy = RecordedPolicy.from_episode(model.policy, lambda obs: obs, episode)
    return request.param, model, episode, recorded_policy


def test_what_is_said_is_what_was_recorded(asked):
    _, _, episode, recorded_policy = asked
    outputs = recorded_policy.kind.distribution(recorded_policy.outputs).astype(np.float64)
    values = recorded_policy.outputs.value
    for t, step in enumerate(episode):
        np.testing.assert_allclose(outputs[t], step.distribution, atol=1e-3)
        if step.value is not None:
            assert values is not None and float(values[t]) == pytest.approx(step.value, abs=1e-4)
    assert recorded_policy.present.tolist() == [[True] * ABSENT + [False]] * STEPS
    assert len(np.unique(outputs.reshape(STEPS, -1), axis=0)) == STEPS


def test_the_causal_map_is_the_change_when_the_world_leaves_an_entity_out(asked):
    case, _, _, recorded_policy = asked
    scores = leave_one_out(recorded_policy, np.arange(STEPS))
    assert scores.unit.startswith(UNITS.get(case, "KL, nats"))
    assert (scores.causal[:, ABSENT] == 0).all()
    assert (scores.causal[:, :ABSENT].max(1) > 1e-6).all()
    kind, t, n = recorded_policy.kind, 3, 1
    state = recorded_policy.states[t : t + 1]
    state.observations[:, n] = 0
    with torch.no_grad():
        without = recorded_policy.adapter.evaluate(state, torch.zeros(1, dtype=torch.long))
    state.observations[:, n, 0] = 1
    outputs = recorded_policy.outputs.select_states(slice(t, t + 1))
    distance = float(kind.distance(outputs, without, state.actions))
    assert scores.causal[t, n] == pytest.approx(distance, rel=1e-3, abs=1e-5)
    np.testing.assert_allclose(
        scores.distribution[t, n].astype(float), kind.distribution(without)[0], atol=1e-3
    )
    np.testing.assert_allclose(scores.action[t, n], kind.likeliest_actions(without)[0], atol=1e-4)
    assert scores.value is not None and without.value is not None
    assert scores.value[t, n] == pytest.approx(float(without.value[0]), abs=1e-4)


def test_absent_tokens_show_what_is_said_with_all_there(asked):
    _, _, episode, recorded_policy = asked
    scores = leave_one_out(recorded_policy, np.array([1, 4]))
    for row, t in enumerate((1, 4)):
        outputs = scores.distribution[row, ABSENT].astype(float)
        np.testing.assert_allclose(outputs, episode[t].distribution, atol=1e-3)
    scores.check_episode(episode.header, len(episode))


def test_every_reading_of_attention_is_the_recorded_one(asked):
    case, _, episode, recorded_policy = asked
    steps = np.array([0, 1, 2, 5])
    maps = {each.name: each for each in attention_maps(recorded_policy, steps)}
    by_sarfa = sarfa_map(recorded_policy, steps, leave_one_out(recorded_policy, steps).distribution)
    assert (by_sarfa is None) == isinstance(recorded_policy.kind, ContinuousActions)
    from attention_agents.recording.map_view import MapView

    for spec in (one for one in episode.header.maps if one.role == recorded_policy.role):
        for row, t in zip(maps[spec.name].rows, steps, strict=True):
            np.testing.assert_allclose(
                row, MapView(spec, None).token_weights(episode[t]), atol=1e-5
            )
    assert "gradient x input" in maps
    for each in maps.values():
        assert each.rows.shape == (4, N)
        assert (each.rows[:, ABSENT] == 0).all() and (each.rows >= 0).all(), each.name
        assert each.rows.sum() > 0, each.name
    if "pointer" not in case and "gru" not in case:
        rolled = f"{recorded_policy.role}/rollout"
        assert {rolled, "gradient rollout"} <= set(maps)
        np.testing.assert_allclose(maps[rolled].rows.sum(1), 1, atol=1e-5)


def test_asking_changes_nothing_in_the_policy(asked):
    _, _, episode, recorded_policy = asked
    before = {name: each.clone() for name, each in recorded_policy.policy.state_dict().items()}
    stream = torch.get_rng_state()
    leave_one_out(recorded_policy, np.arange(2))
    with shuffled_weights(recorded_policy.policy, 3):
        attention_maps(recorded_policy, np.arange(2))
        changed = [
            name
            for name, each in recorded_policy.policy.named_parameters()
            if not torch.equal(each, before[name])
        ]
        assert len(changed) > 5
    for name, each in recorded_policy.policy.state_dict().items():
        torch.testing.assert_close(each, before[name], rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(each.grad is None for each in recorded_policy.policy.parameters())
    assert all(
        weighing.is_fused == fused
        for weighing, fused in zip(*_fused(recorded_policy.policy), strict=True)
    )
    RecordedPolicy.from_episode(recorded_policy.policy, lambda obs: obs, episode)


def _fused(policy):
    from attention_agents.policies.attention.attention_weighting import AttentionWeighting

    found = [module for module in policy.modules() if isinstance(module, AttentionWeighting)]
    return found, [True] * len(found)


def test_a_recording_of_another_policy_is_refused(tmp_path):
    model, other = built("ppo discrete"), built("ppo discrete")
    episode = recorded(model, CHOICE, tmp_path / "seen")
    with torch.no_grad():
        other.policy.action_net.weight.normal_()
    with pytest.raises(ValueError, match=r"outputs are not those recorded in .*--checkpoint"):
        RecordedPolicy.from_episode(other.policy, lambda obs: obs, episode)
    plain = PPO("MlpPolicy", Herd(CHOICE), n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(ValueError, match="outputs are not those recorded"):
        RecordedPolicy.from_episode(plain.policy, lambda obs: obs, episode)


@pytest.mark.parametrize(("error", "refused"), [(0.001, False), (0.02, True), (0.3, True)])
def test_outputs_may_differ_by_rounding_alone(tmp_path, error, refused):
    """An error in probability of 0.02 is another policy, not another machine."""
    model = built("ppo discrete")
    episode = recorded(model, CHOICE, tmp_path / "seen")
    arrays = RecordedEpisode.read(episode)
    distribution = arrays.distribution[:, 0].copy()
    distribution[2, 1] += error
    if refused:
        with pytest.raises(ValueError, match=r"outputs are not those recorded in .*--checkpoint"):
            check_outputs(distribution, arrays, episode)
    else:
        check_outputs(distribution, arrays, episode)


def test_other_tokens_are_refused(tmp_path):
    class Fewer(Herd):
        observation_space = TokenBox(-9, 9, (3, F), tokens=Entities(3, ("here", "x", "y")))

    episode = recorded(built("ppo discrete"), CHOICE, tmp_path / "seen")
    kwargs = dict(
        features_extractor_class=AttentionExtractor, features_extractor_kwargs=dict(width=12)
    )
    model = PPO("MlpPolicy", Fewer(CHOICE), policy_kwargs=kwargs, n_steps=8, batch_size=8)
    with pytest.raises(ValueError, match=r"is of another run: it has 5 tokens \(5 entities\), the"):
        RecordedPolicy.from_episode(model.policy, lambda obs: obs, episode)
