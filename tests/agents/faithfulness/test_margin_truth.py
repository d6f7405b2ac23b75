"""Evidence and attention against the drop of the margin, for gates and for stock networks."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO, SAC

from attention_agents.agents.faithfulness.rebuilt_env import GroundTruth
from attention_agents.agents.faithfulness.recorded_policy import (
    RecordedPolicy,
    measure_removal,
)
from attention_agents.agents.faithfulness.run_study import report_faithfulness, study_faithfulness
from attention_agents.agents.faithfulness.saliency_maps import evidence_map
from attention_agents.agents.faithfulness.scoring import causal_map
from attention_agents.agents.faithfulness.single_removals import leave_one_out
from attention_agents.agents.faithfulness.xrl_bench import extreme_count, score_maps
from attention_agents.agents.runs.checkpoint import LoadedPolicy
from attention_agents.policies.sb3.gated_extractor import GatedExtractor
from attention_agents.recording.leave_one_out import LeaveOneOut, read_leave_one_out
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording

N, STEPS = 7, 23
REACH = spaces.Box(np.array([-2, 0, -1], "f"), np.array([2, 1, 1], "f"))
GATE = dict(features_extractor_class=GatedExtractor)
FACTS = {"checkpoint": "made"}
UNKNOWN = GroundTruth([None, None], "not known")


class Numbers(gym.Env):
    """Numbers at random."""

    observation_space = spaces.Box(-9, 9, (N,), np.float32)
    metadata = {"render_modes": []}

    def __init__(self, actions):
        self.action_space = actions

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._draw(), {}

    def step(self, action):
        self.steps += 1
        return self._draw(), 0.0, self.steps == STEPS, False, {}

    def _draw(self):
        return self.np_random.normal(size=N).astype("f")


class Plain:
    """What a report asks of a run's configuration."""

    env, algo, threads = "Numbers", "ppo", 1

    def to_json(self):
        return {"encoder": {}}


def build(actions, algo=PPO, **kwargs):
    torch.manual_seed(3)
    sizes = dict(n_steps=8, batch_size=8) if algo is PPO else dict(buffer_size=9)
    model = algo("MlpPolicy", Numbers(actions), policy_kwargs=kwargs, seed=5, device="cpu", **sizes)
    with torch.no_grad():
        for name, parameter in model.policy.named_parameters():
            if any(word in name for word in ("action_net", "mu.")):
                parameter.copy_(torch.randn(parameter.shape, generator=seeded()))
    model.policy.set_training_mode(False)
    return model


def seeded():
    return torch.Generator().manual_seed(8)


def record(model, actions, folder, episodes=1):
    env = RecordAttention(Numbers(actions), model, folder, map_dtype="float32")
    for seed in range(episodes):
        obs, _ = env.reset(seed=3 + seed)
        over = False
        while not over:
            action, _ = model.predict(obs, deterministic=True)
            obs, _, over, _, _ = env.step(action)
    env.close()
    return open_recording(folder)


def policy_in(model, recording, truth="margin"):
    return RecordedPolicy.from_episode(model.policy, lambda o: o, recording.episodes[0], truth)


@pytest.mark.parametrize("kwargs", [GATE, {}])
def test_where_the_margin_is_linear_evidence_is_the_truth(kwargs, tmp_path):
    two, net = spaces.Discrete(2), dict(net_arch=[])
    recording = record(build(two, **GATE, **net), two, tmp_path / "seen")
    model = build(two, **kwargs, **net)  # an untrained gate and a stock network say the same
    report = report_faithfulness(
        recording, LoadedPolicy(model, Plain(), None), UNKNOWN, FACTS, score_steps=9
    )
    by_name = {rating.name: rating for rating in report.ratings}
    evidence, causal = by_name["evidence"], by_name["causal"]
    assert evidence["correlation"].mean == pytest.approx(1)
    assert evidence["both"] == causal["both"] and evidence["flips"] == causal["flips"]
    assert evidence.closed == pytest.approx(1)
    assert evidence.verdict in ("explains", "explains in part", "undecided")
    assert abs(by_name["random"]["correlation"].mean) < 0.5
    assert report.to_json()["top"] == 1
    attention = {name for name, r in by_name.items() if r.results.family == "attention"}
    assert bool(attention) == bool(kwargs)
    if kwargs:
        assert report.verdict.startswith("The map actor/0 ")
    else:
        assert report.verdict.startswith("The policy has no attention. The map evidence ")


@pytest.mark.parametrize(
    ("actions", "algo", "parts"),
    [
        (spaces.Discrete(4), PPO, 1),
        (spaces.MultiDiscrete([3, 2]), PPO, 2),
        (spaces.MultiBinary(3), PPO, 3),
        (REACH, PPO, 3),
        (REACH, SAC, 3),
    ],
)
def test_the_truth_is_the_drop_of_the_margin_when_a_token_is_its_mean(
    actions, algo, parts, tmp_path
):
    model = build(actions, algo, **GATE)
    recorded = policy_in(model, record(model, actions, tmp_path / "seen"))
    steps = np.array([2, 5, 11])
    scores = leave_one_out(recorded, steps)
    assert scores.margin_drop is not None and scores.margin_drop.shape == (3, parts, N)
    states = recorded.states
    changed = states.observations.clone()
    changed[:, 4] = states.observations[:, 4].mean()
    with torch.no_grad():
        moved = type(states)(changed, states.actions)
        outputs = recorded.adapter.evaluate(moved, torch.arange(STEPS))
        after = recorded.kind.margins(outputs, states.actions).numpy()
    expected = (recorded.margins - after)[steps]
    np.testing.assert_allclose(scores.margin_drop[:, :, 4], expected, atol=1e-4)
    causal = causal_map(recorded, scores, np.arange(3))
    if actions is REACH:
        spread = recorded.margins.std(0)
        np.testing.assert_allclose(causal.rows[:, 4], (abs(expected) / spread).sum(1), rtol=1e-3)
    else:
        np.testing.assert_allclose(causal.rows[:, 4], expected.sum(1), atol=1e-4)
    assert evidence_map(recorded, steps).parts.shape == (3, parts, N)


def test_one_baseline_serves_all_episodes_of_a_recording(tmp_path):
    two = spaces.Discrete(2)
    model = build(two, **GATE)
    recording = record(model, two, tmp_path / "seen", episodes=2)
    removal = measure_removal(model.policy, lambda o: o, recording.episodes, "margin")
    rows = [step.observation[""] for episode in recording.episodes for step in episode]
    assert removal.means["actor"].states == 2 * STEPS
    mean = removal.means["actor"].baseline[0][:, 0].numpy()
    np.testing.assert_allclose(mean, np.mean(rows, 0), atol=1e-5)
    report = report_faithfulness(
        recording, LoadedPolicy(model, Plain(), None), UNKNOWN, FACTS, score_steps=9
    )
    assert report.scorer.removal == ("features: replaced by their mean over the recording",)
    last = RecordedPolicy.from_episode(
        model.policy, lambda o: o, recording.episodes[1], "margin", removal
    )
    scores = recording.episodes[1].leave_one_out
    assert scores is not None and scores.margin_drop is not None
    again = leave_one_out(last, scores.steps).margin_drop
    np.testing.assert_allclose(scores.margin_drop, again, atol=1e-6)


def test_the_old_truth_has_no_sign(tmp_path):
    model = build(spaces.Discrete(4), **GATE)
    recording = record(model, spaces.Discrete(4), tmp_path / "seen")
    recorded = policy_in(model, recording, "kl")
    scores = leave_one_out(recorded, np.arange(4))
    assert (causal_map(recorded, scores, np.arange(4)).rows == scores.causal).all()
    assert (evidence_map(recorded, np.arange(4)).rows >= 0).all()
    assert recorded.unit == "KL, nats"
    loaded = LoadedPolicy(model, Plain(), None)
    report = report_faithfulness(recording, loaded, UNKNOWN, FACTS, 5, truth="kl")
    assert report.to_json()["truth_kind"] == "kl"


def test_an_unknown_truth_is_refused(tmp_path):
    with pytest.raises(ValueError, match="truth must be one of margin, kl, got 'logit'"):
        study_faithfulness(tmp_path, truth="logit")  # type: ignore[arg-type]


def test_the_measures_of_xrl_bench_on_a_policy_of_one_number(tmp_path):
    """The action is the sign of number 2, whose evidence alone is not 0."""
    two = spaces.Discrete(2)
    model = build(two, net_arch=[], **GATE)
    with torch.no_grad():
        model.policy.action_net.weight.zero_()
        model.policy.action_net.bias.copy_(torch.tensor([0.0, 0.1]))  # at 0 the action is 1
        model.policy.action_net.weight[1, 2] = 1
    recorded = policy_in(model, record(model, two, tmp_path / "seen"))
    steps = np.arange(STEPS)
    (scores,) = score_maps(recorded, [evidence_map(recorded, steps)], steps).values()
    actions = recorded.states.actions.numpy()
    assert scores.aim.tolist() == (actions == 1).tolist()
    assert scores.aum.all() and (scores.pgu == 0).all()
    assert (scores.pgi > 0).all() and scores.pgi.mean() > 0.05
    x, w = recorded.states.observations.numpy(), evidence_map(recorded, steps).rows
    assert np.isfinite(scores.ris).all() and (w[:, [0, 1, 3, 4, 5, 6]] == 0).all()
    assert x.shape == w.shape


def test_of_few_tokens_no_more_than_half_are_important():
    assert [extreme_count(N) for N in (1, 2, 3, 4, 6, 400)] == [1, 1, 1, 2, 3, 3]


def test_drops_are_stored_and_read_again(tmp_path):
    from attention_agents.recording.leave_one_out import write_leave_one_out

    drop = np.array([[[0.5, -1.0, 0.0]], [[np.nan] * 3]], np.float32)
    fields = dict(
        steps=np.arange(2),
        causal=np.zeros((2, 3), np.float32),
        distribution=np.zeros((2, 3, 4), np.float16),
        action=np.zeros((2, 3), int),
        value=None,
        unit="KL, nats",
    )
    write_leave_one_out(tmp_path, LeaveOneOut(**fields, margin_drop=drop))
    scores = read_leave_one_out(tmp_path)
    assert scores is not None
    np.testing.assert_array_equal(scores.margin_drop, drop)
    with pytest.raises(ValueError, match=r"margin_drop of scores must be \(S, M, N\)"):
        LeaveOneOut(**fields, margin_drop=drop[:1])
    with pytest.raises(ValueError, match="must be finite numbers, or NaN"):
        LeaveOneOut(**fields, margin_drop=np.full_like(drop, np.inf))
