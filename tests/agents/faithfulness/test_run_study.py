"""The whole report: on planted policies whose truth is known, and on runs as a person calls it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from torch import nn

from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.faithfulness.hide_tokens import hide_tokens
from attention_agents.agents.faithfulness.rebuilt_env import (
    GroundTruth,
    ReplayMismatchError,
    ground_truth_mask,
    replay_actions,
)
from attention_agents.agents.faithfulness.recorded_policy import RecordedPolicy
from attention_agents.agents.faithfulness.run_study import (
    report_faithfulness,
    run_of_recording,
    study_faithfulness,
)
from attention_agents.agents.rollouts.eval_env import make_rendering_env
from attention_agents.agents.runs.checkpoint import LoadedPolicy, load_checkpoint
from attention_agents.agents.runs.record_run import record_run
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.train import train
from attention_agents.envs.make import make_env
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Entities
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.encoder import LayerModule
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.recording.leave_one_out import FAITHFULNESS_FILE
from attention_agents.recording.live.recorder import RecordAttention
from attention_agents.recording.reader import open_recording
from benchmarks.faithfulness import document, scored

ROOT = Path(__file__).parents[3]
N, F, A = 7, 3, 4
PLANTED = 2


class Crowd(gym.Env):
    """Seven entities at random, all present."""

    observation_space = TokenBox(-9, 9, (N, F), tokens=Entities(N, ("here", "x", "y"), presence=0))
    action_space = spaces.Discrete(A)
    metadata = {"render_modes": []}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._seen(), {}

    def step(self, action):
        self.steps += 1
        return self._seen(), 0.0, self.steps == 53, False, {}

    def _seen(self):
        rows = self.np_random.normal(size=(N, F)).astype("f")
        rows[:, 0] = 1
        return rows


class Planted(TappableAttention):
    """Read one token, and claim to have read as the parameter says."""

    queries, query_source, heads = "readout", "planted", 1

    def __init__(self, claim):
        super().__init__()
        self.claim = nn.Parameter(torch.tensor(claim))

    def forward(self, tokens):
        values, mask, _ = tokens
        if self.listeners:
            weights = torch.where(mask, self.claim.exp(), 0.0)
            weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
            self.report(AttentionWeights(weights[:, None, None], mask))
        return torch.where(mask[:, PLANTED, None], values[:, PLANTED], 0.0)


class PlantedEncoder(nn.Module):
    def __init__(self, claim):
        super().__init__()
        self.readout = Planted(claim)

    def attention_modules(self):
        return [LayerModule(0, self.readout)]

    def forward(self, tokens):
        return self.readout(tokens)


CLAIMS = {
    "true": [4.0 if n == PLANTED else 0.1 * n for n in range(N)],
    "even": [1.0] * N,
    "contrary": [-4.0 if n == PLANTED else 0.1 * n for n in range(N)],
}


class Plain:
    """What a report asks of a run's configuration."""

    env, algo, threads = "Crowd", "ppo", 1

    def to_json(self) -> dict[str, Any]:
        return {"encoder": {}}


def planted(folder, claim, gain=3.0):
    """Return the recording of a policy that depends on one token alone."""
    torch.manual_seed(4)
    kwargs = dict(
        features_extractor_class=AttentionExtractor,
        features_extractor_kwargs=dict(width=12, heads=1),
        net_arch=[],
    )
    model = PPO("MlpPolicy", Crowd(), policy_kwargs=kwargs, n_steps=8, batch_size=8, device="cpu")
    model.policy.features_extractor.encoder = PlantedEncoder(CLAIMS[claim])
    with torch.no_grad():
        model.policy.action_net.weight.normal_(0, gain / 12**0.5)
    return recorded(model, folder)


def recorded(model, folder):
    model.policy.set_training_mode(False)
    env = RecordAttention(Crowd(), model, folder)
    obs, _ = env.reset(seed=3)
    over = False
    while not over:
        action, _ = model.predict(obs, deterministic=True)
        obs, _, over, _, _ = env.step(action)
    env.close()
    return open_recording(folder), LoadedPolicy(model, Plain(), None)  # type: ignore[arg-type]


PLANTED_FACTS = {"checkpoint": "planted"}
UNKNOWN = GroundTruth([None], "not known")
"""Planted policies have no run."""


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_planted_policy_is_found_out(claim, tmp_path):
    recording, loaded = planted(tmp_path / "seen", claim)
    report = report_faithfulness(recording, loaded, UNKNOWN, PLANTED_FACTS, score_steps=41)
    scores = recording.episodes[0].leave_one_out
    assert scores is not None
    others = np.delete(scores.causal, PLANTED, axis=1)
    assert (others < 1e-6).all() and (scores.causal[:, PLANTED] > 0.01).all()
    found = {each.name: each for each in report.ratings}
    own, causal, chance = found["actor/0"], found["causal"], found["random"]
    assert causal["both"] is not None and chance["both"] is not None and own["both"] is not None
    assert causal["both"].mean > chance["both"].mean + 0.1
    assert found["SARFA"]["correlation"] is not None and found["SARFA"]["correlation"].mean > 0.2
    gradient = found["gradient x input"]
    assert gradient["both"] == causal["both"]  # only one token has a gradient at all
    words = {"true": "explains", "even": "does not explain", "contrary": "does not explain"}
    assert own.verdict == words[claim]
    assert f"The map actor/0 {words[claim]} the policy: its order" in report.verdict
    assert own["correlation"] is not None and own["gain"] is not None
    if claim == "true":
        assert own["both"] == causal["both"]
        assert own["correlation"].mean == pytest.approx(0.6124, abs=1e-3)  # one against six ties
        assert own.closed == pytest.approx(1)
    if claim == "even":
        assert own["correlation"].mean == 0
        assert own["gain"].low < 0 < own["gain"].high
    if claim == "contrary":
        assert own["correlation"].mean == pytest.approx(-0.6124, abs=1e-3)
        assert own["gain"].high < 0 and own["both"].mean < chance["both"].mean - 0.1
        assert own["flips"] is not None and own["flips"].mean == 0
    assert report.best.name == "actor/0"


def test_where_nothing_changes_a_policy_there_is_nothing_to_explain(tmp_path):
    recording, loaded = planted(tmp_path / "seen", "true", gain=0.0)
    report = report_faithfulness(recording, loaded, UNKNOWN, PLANTED_FACTS, score_steps=5)
    assert "there is nothing to explain" in report.verdict
    assert recording.faithfulness is not None
    assert recording.faithfulness["verdict"] == report.verdict


CHAIN = {"actor/0", "actor/1", "actor/rollout", "gradient rollout"}


@pytest.mark.parametrize(
    ("block", "readout", "drawn", "maps"),
    [
        ("channel", "mean", "", set()),
        ("isab", "mean", "actor/1/in", {"actor/0/in", "actor/1/in"}),
        ("residual", "slots", "actor/1", {"actor/0", "actor/1"}),
        ("residual", "cls", "actor/rollout", CHAIN),
    ],
)
def test_what_is_no_chain_of_tokens_is_judged_by_what_it_has(block, readout, drawn, maps, tmp_path):
    extractor = dict(width=12, heads=3, layers=2, block=block, readout=readout)
    kwargs = dict(features_extractor_class=AttentionExtractor, features_extractor_kwargs=extractor)
    model = PPO("MlpPolicy", Crowd(), policy_kwargs=kwargs, n_steps=8, batch_size=8, device="cpu")
    recording, loaded = recorded(model, tmp_path / "seen")
    report = report_faithfulness(recording, loaded, UNKNOWN, {"checkpoint": "made"}, score_steps=3)
    own = {each.name for each in report.ratings if each.results.family == "attention"}
    assert (report.drawn, own) == (drawn, maps)
    assert recording.faithfulness is not None and recording.episodes[0].leave_one_out is not None
    if not maps:
        assert report.verdict.startswith("There is no map to believe: the policy's attention")
        assert recording.faithfulness["best"] is None


def test_one_layer_is_judged_by_its_row_and_by_that_times_its_gradient(tmp_path):
    kwargs = dict(
        features_extractor_class=AttentionExtractor,
        features_extractor_kwargs=dict(width=12, heads=3, layers=1),
    )
    model = PPO("MlpPolicy", Crowd(), policy_kwargs=kwargs, n_steps=8, batch_size=8, device="cpu")
    recording, loaded = recorded(model, tmp_path / "seen")
    report = report_faithfulness(recording, loaded, UNKNOWN, {"checkpoint": "made"}, score_steps=3)
    own = {each.name for each in report.ratings if each.results.family == "attention"}
    assert (report.drawn, own) == ("actor/0", {"actor/0", "gradient rollout"})


def small(folder: Path, **options: Any) -> Path:
    values: dict[str, Any] = dict(
        n_timesteps=64,
        encoder="pooled",
        layers=2,
        width=12,
        heads=3,
        n_envs=1,
        device="cpu",
        eval_freq=0,
        save_freq=0,
        progress=False,
        log_folder=str(folder),
    )
    return train(TrainConfig(**(values | options)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return small(
        folder,
        env="attention/Collect-v0",
        hyperparams={"n_steps": 32, "batch_size": 32},
    )


@pytest.fixture(scope="module")
def lstm(tmp_path_factory):
    pytest.importorskip("sb3_contrib")
    folder = tmp_path_factory.mktemp("runs")
    return small(
        folder,
        env="attention/CueRecall-v0",
        algo="ppo_lstm",
        hyperparams={"n_steps": 32, "batch_size": 32, "lstm_hidden_size": 5},
    )


@pytest.fixture(scope="module")
def cued(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return small(
        folder,
        env="attention/CueRecall-v0",
        history=8,
        hyperparams={"n_steps": 32, "batch_size": 32},
    )


def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "evaluate.py", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_person_asks_whether_the_maps_can_be_believed(run):
    result = call(run, "--faithfulness", "--episodes", "3", "--score-steps", "6")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    path = Path(lines[-1])
    assert path == run / "recordings" / "recording_1" / FAITHFULNESS_FILE
    assert any(line.startswith("The map actor/rollout ") for line in lines)
    assert any(line.startswith("The map evidence ") for line in lines)
    assert "removed entities: replaced by their mean over the recording" in lines
    assert any(line.startswith("AIM: share of actions that stay") for line in lines)
    recording = open_recording(path.parent)
    assert recording.faithfulness is not None
    assert recording.faithfulness["seeds"] == [10_000, 10_001, 10_002]
    assert recording.faithfulness["checkpoint"] == "final"
    names = {each["name"] for each in recording.faithfulness["maps"]}
    assert {"actor/0", "actor/1", "actor/rollout", "gradient rollout", "SARFA", "random"} <= names
    for episode in recording.episodes:
        assert episode.leave_one_out is not None and episode.leave_one_out.ground_truth is not None
        for row, t in enumerate(episode.leave_one_out.steps):
            fruit = episode[t].observation[""]
            ripest = int(np.argmax(fruit[:, 3]))  # the stand's own number is its token's
            assert episode.leave_one_out.ground_truth[row].nonzero()[0].tolist() == [ripest]
    again = call(path.parent, "--faithfulness", "--score-steps", "6", "--json")
    assert again.returncode == 0, again.stderr
    said = json.loads(again.stdout)
    before = {k: v for k, v in recording.faithfulness.items() if k not in ("format", "schema")}
    assert said | {"created": ""} == before | {"created": ""}  # the same numbers once more
    page = document([scored(run), scored(path.parent)])
    assert page.count("## attention/Collect-v0, ppo") == 2
    assert recording.faithfulness["verdict"] in page
    assert "scaled-dot-product" not in page  # the default score is not named


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--score-steps", "9"), "--score-steps has no use with score: .*goes with faithfulness"),
        (("--faithfulness", "--n-envs", "2"), "--n-envs has no use with faithfulness"),
        (("--faithfulness", "--score-steps", "1"), "score_steps must be at least 2, got 1"),
        (("--faithfulness", "--truth", "logit"), "truth"),
        (("--faithfulness", "--episodes", "0"), "episodes must be at least 1, got 0"),
        (("--faithfulness", "--checkpoint", "bets"), "did you mean best|unknown checkpoint"),
    ],
)
def test_mistakes_are_told(run, words, text):
    import re

    result = call(run, *words)
    assert result.returncode == 2
    assert re.search(text, result.stderr), result.stderr
    assert len(result.stderr.splitlines()) <= 3


def test_a_recording_has_its_episodes_already(run, tmp_path):
    folder = record_run(run, out=tmp_path / "seen")
    with pytest.raises(ValueError, match="is a recording: episodes, seed and stochastic go with"):
        study_faithfulness(folder, episodes=2)
    with pytest.raises(ValueError, match="there is no run folder"):
        study_faithfulness(tmp_path / "nothing")


def test_a_recording_is_scored_with_its_own_run_alone(run, cued, tmp_path):
    mine = run_of_recording(open_recording(record_run(run, out=tmp_path / "mine")))
    assert mine.path == run  # named by the recording, which lies elsewhere
    stranger = Path(shutil.copytree(tmp_path / "mine", cued / "recordings" / "stranger"))
    with pytest.raises(ValueError, match=r"is of another run: it has 8 tokens \(8 entities\), the"):
        study_faithfulness(stranger, device="cpu")
    shutil.rmtree(stranger)
    header = json.loads((tmp_path / "mine" / "recording.json").read_text())
    (tmp_path / "mine" / "recording.json").write_text(json.dumps(header | {"run": "gone"}))
    with pytest.raises(ValueError, match=r"the run of the recording .* is not found.*'gone'"):
        study_faithfulness(tmp_path / "mine")


def test_a_recording_without_a_step_is_refused(run, tmp_path):
    folder = record_run(run, out=tmp_path / "seen")
    shutil.rmtree(folder / "episode_0000")
    with pytest.raises(ValueError, match="holds no step: its recording was cut short"):
        study_faithfulness(folder, device="cpu")


def test_a_run_is_loaded_once_and_recorded_in_one_environment(run, monkeypatch):
    """Two more are made: to find out whether it can be rendered, and for the states that recorded
    evidence is compared with."""
    loads, envs = [], []

    def load(*args, **options):
        loads.append(args)
        return load_checkpoint(*args, **options)

    def make(*args, **options):
        envs.append(make_env(*args, **options))
        return envs[-1]

    monkeypatch.setattr("attention_agents.agents.runs.loaded_run.load_checkpoint", load)
    monkeypatch.setattr("attention_agents.agents.rollouts.eval_env.make_env", make)
    report = study_faithfulness(run, episodes=2, score_steps=5, device="cpu")
    assert report.truth == ""
    assert len(loads) == 1 and len(envs) <= 3
    study_faithfulness(report.recording, score_steps=5, device="cpu")
    assert len(loads) == 2 and len(envs) <= 5


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    options = TrainConfig(
        env="CartPole-v1", n_timesteps=64, encoder="stock", n_envs=1, device="cpu", eval_freq=0,
        save_freq=0, progress=False, log_folder=str(folder),
        hyperparams={"n_steps": 32, "batch_size": 32},
    )  # fmt: skip
    return train(options)


def test_a_stock_run_is_rated_by_its_evidence(stock):
    report = study_faithfulness(stock, episodes=2, score_steps=5, device="cpu")
    families = {rating.name: rating.results.family for rating in report.ratings}
    assert "attention" not in families.values()
    assert {"evidence", "gradient x input", "causal", "SARFA", "random"} == set(families)
    assert report.verdict.startswith("The policy has no attention. The map evidence ")
    assert (report.drawn, report.best) == ("", None)
    assert report.to_json()["encoder"]["kind"] == "stock"


def test_a_zip_of_stable_baselines3_is_rated_in_the_environment_that_is_named(stock, tmp_path):
    model = load_final(stock).model
    model.save(tmp_path / "agent.zip")
    with pytest.raises(ValueError, match="does not say which environment it is for: add --env ID"):
        study_faithfulness(tmp_path / "agent.zip", device="cpu")
    report = study_faithfulness(
        tmp_path / "agent.zip", env="CartPole-v1", episodes=1, score_steps=4, device="cpu"
    )
    assert report.evidence is not None and report.to_json()["encoder"] is None
    again = study_faithfulness(
        Path(report.recording), env="CartPole-v1", score_steps=4, device="cpu"
    )
    assert again.evidence is not None
    assert again.evidence["correlation"] == report.evidence["correlation"]


def test_the_cue_is_known_at_the_junction_and_its_removal_is_what_it_says(cued):
    report = study_faithfulness(cued, episodes=2, score_steps=5, truth="kl", device="cpu")
    recording = open_recording(report.recording)
    for episode in recording.episodes:
        scores = episode.leave_one_out
        assert scores is not None and scores.ground_truth is not None
        assert len(episode) == 8
        assert scores.ground_truth.sum(1).tolist() == [0] * 7 + [1]
        assert scores.ground_truth[-1].argmax() == 0  # seven steps back of a window of eight
    assert report.truth == ""
    assert next(iter(report.scorer.removal)) == "history: masked"
    assert any(each["hit"] is not None for each in report.ratings)


def test_a_policy_with_a_memory_is_asked_with_it(lstm):
    report = study_faithfulness(lstm, episodes=2, score_steps=5, device="cpu")
    recording = open_recording(report.recording)
    scores = recording.episodes[0].leave_one_out
    assert scores is not None and scores.ground_truth is not None
    assert "what the policy remembers of earlier steps is not removed" in report.notes
    assert not scores.ground_truth.any()  # at the junction the cue is not in sight
    assert report.ratings[-1].name == "random"


def load_final(run):
    return load_checkpoint(RunFolder.open(run).final, "cpu")


def in_episode(loaded, episode):
    return RecordedPolicy.from_episode(loaded.model.policy, loaded.normalize, episode)


def test_a_token_can_be_hidden_in_one_step(run, tmp_path):
    episode = open_recording(record_run(run, out=tmp_path / "seen")).episodes[0]
    loaded = load_final(run)
    recorded_policy = in_episode(loaded, episode)
    present = np.flatnonzero(recorded_policy.present[0])
    token = int(present[-1])
    found = hide_tokens(recorded_policy, 0, [token])
    seen = episode[0].observation[""].copy()
    seen[token] = 0
    obs = loaded.model.policy.obs_to_tensor(loaded.normalize(seen))[0]
    with torch.no_grad():
        without = loaded.model.policy.get_distribution(obs).distribution
    np.testing.assert_allclose(found.distribution.astype(float), without.probs[0], atol=1e-3)
    assert found.action == int(without.probs.argmax())
    np.testing.assert_allclose(found.before.astype(float), episode[0].distribution, atol=1e-3)
    assert found.distance > 0 and found.unit == "KL, nats"
    nothing = hide_tokens(recorded_policy, 0, [int(np.argmin(recorded_policy.present[0]))])
    if not recorded_policy.present[0].all():
        assert nothing.distance == pytest.approx(0, abs=1e-9)


def test_a_policy_with_a_memory_is_asked_with_what_it_had_seen(lstm, tmp_path):
    episode = open_recording(record_run(lstm, out=tmp_path / "seen")).episodes[0]
    found = hide_tokens(in_episode(load_final(lstm), episode), 6, [2])
    np.testing.assert_allclose(found.before.astype(float), episode[6].distribution, atol=1e-3)
    assert found.distance > 0


@pytest.mark.parametrize(
    ("step", "tokens", "text"),
    [
        (99, [0], "step must be 0 to .* in this episode, got 99"),
        (-1, [0], "step must be 0 to"),
        (0, [], r"tokens must be some of 0 to 7, got \[\]"),
        (0, [8], "tokens must be some of 0 to 7"),
    ],
)
def test_what_cannot_be_hidden_is_refused(run, tmp_path, step, tokens, text):
    episode = open_recording(record_run(run, out=tmp_path / "seen")).episodes[0]
    with pytest.raises(ValueError, match=text):
        hide_tokens(in_episode(load_final(run), episode), step, tokens)


def test_a_world_is_made_again_or_says_that_it_is_not_the_same(run, tmp_path):
    folder = record_run(run, out=tmp_path / "seen", seed=4)
    episode = open_recording(folder).episodes[0]
    config = RunFolder.open(run).config()
    with closing(make_rendering_env(config, str)) as env:
        assert list(replay_actions(env, episode)) == list(range(len(episode)))
        true = ground_truth_mask(env, episode)
        assert true is not None and true.shape == (len(episode), 8)
        episode.seed = 5
        with pytest.raises(ReplayMismatchError, match="the observation at step 0 differs"):
            list(replay_actions(env, episode))
        episode.seed = None
        with pytest.raises(ReplayMismatchError, match="has no seed"):
            list(replay_actions(env, episode))
