"""What follows the encoder: heads that attend themselves, trained, judged, saved and refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attention_agents.agents.config.catalogue import POLICY_HEADS
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.evaluation.evaluate import evaluate
from attention_agents.agents.rollouts.eval_env import make_eval_env
from attention_agents.agents.rollouts.policy_calls import PolicyInput
from attention_agents.agents.runs.checkpoint import LoadedPolicy, load_checkpoint, save_checkpoint
from attention_agents.agents.runs.record_run import record_run
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.train import train
from attention_agents.envs.action_masks import valid_actions
from attention_agents.envs.families import MissingExtraError
from attention_agents.policies.sb3.maskable_pointer import MaskablePointerPolicy
from attention_agents.policies.sb3.recurrent import AttentionGRUPolicy
from attention_agents.recording.reader import open_recording

COLLECT, RECALL = "attention/Collect-v0", "attention/CueRecall-v0"
RUNS: dict[str, dict[str, Any]] = {
    "pointer": {"env": COLLECT, "algo": "ppo_mask", "env_kwargs": {"fruit": 3, "mines": 2}},
    "attention-gru": {"env": RECALL, "algo": "ppo_lstm", "env_kwargs": {"length": 5}},
}
POLICIES = {"pointer": MaskablePointerPolicy, "attention-gru": AttentionGRUPolicy}


def asked(policy_head: str, folder: Path, **changes: Any) -> TrainConfig:
    small = {"layers": 2, "heads": 3, "width": 12, "n_envs": 2, "device": "cpu", "progress": False}
    small |= {"encoder": "pooled"}
    values = {"n_timesteps": 64, "seed": 1, "eval_freq": 32, "save_freq": 0, "eval_episodes": 2}
    values |= {"log_folder": str(folder), **small, **RUNS.get(policy_head, {}), **changes}
    sizes = {"net_arch": [7], "n_steps": 16, "batch_size": 16, "n_epochs": 2}
    values["hyperparams"] = values.get("hyperparams", sizes)
    return TrainConfig(policy_head=policy_head, **values)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunFolder]:
    folder = tmp_path_factory.mktemp("runs")
    return cache(lambda head: RunFolder.open(train(asked(head, folder))))


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest, trained: Callable[[str], RunFolder]) -> RunFolder:
    return trained(request.param)


def test_every_head_is_tried_but_the_plain_one_that_all_others_try():
    assert set(RUNS) == set(POLICY_HEADS) - {"mlp"}


def test_it_trains(run):
    config = run.config()
    model = load_checkpoint(run.final).model
    assert type(model.policy) is POLICIES[config.policy.head]
    assert model.num_timesteps == 64 and model._n_updates > 0
    assert all(bool(torch.isfinite(each).all()) for each in model.policy.parameters())
    assert len(run.evaluations_file.read_text().splitlines()) == 3  # a title and two evaluations


@pytest.mark.parametrize("stochastic", [False, True])
def test_an_episode_is_the_same_bit_for_bit_whatever_runs_beside_it(run, stochastic):
    def episodes(count: int, seed: int, n_envs: int):
        options = dict(n_envs=n_envs, stochastic=stochastic, device="cpu", random_policy=False)
        return evaluate(run.path, episodes=count, seed=seed, **options).agent.episodes

    alone = episodes(7, 50, 1)
    assert episodes(7, 50, 3) == alone
    assert episodes(3, 52, 2) == alone[2:5]


def answers(loaded: LoadedPolicy, steps: int = 4) -> list[np.ndarray]:
    """Play the beginning of an episode; return all that the policy said, memory included."""
    env, said, memory = make_eval_env(loaded.config), [], None
    observation, _ = env.reset(seed=3)
    for step in range(steps):
        valid = valid_actions(env)
        question = PolicyInput(
            observation[None],
            np.array([step == 0]),
            memory,
            None if valid is None else valid[None],
        )
        actions, memory = loaded.compute_actions(question)
        said += [actions, *(memory or ())]
        observation, _, terminated, truncated, _ = env.step(actions[0])
        if terminated or truncated:
            break
    env.close()
    return said


def test_a_checkpoint_brings_back_every_bit(run, tmp_path):
    first = load_checkpoint(run.final, "cpu")
    second = load_checkpoint(save_checkpoint(first.model, tmp_path / "a", first.config), "cpu")
    left, right = first.model.policy.state_dict(), second.model.policy.state_dict()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert second.config == first.config == run.config()
    one, other = answers(first), answers(second)
    assert len(one) == len(other) >= 1
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_recurrent_state_is_carried_and_starts_anew(trained):
    loaded = load_checkpoint(trained("attention-gru").final, "cpu")
    env = make_eval_env(loaded.config)
    seen = env.reset(seed=3)[0][None]
    env.close()
    first = loaded.compute_actions(PolicyInput(seen, np.ones(1, bool)))
    assert first.memory is not None
    assert [part.shape for part in first.memory] == [(1, 1, 12)] * 2
    second = loaded.compute_actions(PolicyInput(seen, np.zeros(1, bool), first.memory))
    again = loaded.compute_actions(PolicyInput(seen, np.ones(1, bool), first.memory))
    assert not np.array_equal(second.memory, first.memory)
    assert np.array_equal(again.memory, first.memory)


def test_what_the_pointer_points_at_is_what_is_done(trained):
    """The recorded map of the pointer is the recorded distribution over the actions."""
    folder = record_run(trained("pointer").path, episodes=2, seed=4, device="cpu")
    steps = [step for episode in open_recording(folder).episodes for step in episode]
    for step in steps:
        (pointer,) = [weights for name, weights in step.maps.items() if "pointer" in name]
        assert pointer.shape == (1, 1, 5)
        np.testing.assert_allclose(pointer[0, 0], step.distribution, atol=1e-2)
        assert step.distribution[int(step.action)] == step.distribution.max()


REFUSED = {
    "pointer with dqn": (
        {"policy_head": "pointer", "algo": "dqn"},
        r"policy_head='pointer' is for ppo, a2c, trpo, ppo_mask, got algo=dqn$",
    ),
    "attention-gru with ppo": (
        {"policy_head": "attention-gru", "algo": "ppo"},
        r"policy_head='attention-gru' is for ppo_lstm, got algo=ppo$",
    ),
    "an unknown word": (
        {"policy_head": "pointr", "env": COLLECT, "algo": "ppo_mask"},
        r"unknown policy head 'pointr'; did you mean 'pointer'\?$",
    ),
    "no entities": (
        {"policy_head": "pointer", "env": "CartPole-v1", "algo": "ppo"},
        r"needs one action per entity, got 2 actions for 0 entities; use --policy-head mlp ",
    ),
    "other actions than entities": (
        {"policy_head": "pointer", "env": "tests.agents.worlds:Herd-v0", "algo": "ppo"},
        r"needs one action per entity, got 2 actions for 5 entities; use --policy-head mlp ",
    ),
    "actions that are no choice": (
        {"policy_head": "pointer", "env": "Pendulum-v1", "algo": "ppo"},
        r"a pointer needs Discrete actions, got Box\(",
    ),
    "a readout beside the state": (
        {"policy_head": "attention-gru", "readout": "mean"},
        "the recurrent state is the readout of this policy; name no other",
    ),
    "an LSTM beside the state": (
        {"policy_head": "attention-gru", "hyperparams": {"lstm_hidden_size": 7}},
        "the state of policy_head='attention-gru' is as wide as a token: use width, not "
        "lstm_hidden_size=7",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_refused_and_leaves_no_folder(case, tmp_path):
    changes, text = REFUSED[case]
    plain = {"env_kwargs": {}} if "env" in changes else {}
    plain |= {"hyperparams": {}} if changes.get("algo") == "dqn" else {}
    with pytest.raises(ValueError, match=text):
        train(asked(**{**plain, **changes}, folder=tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


INSTALL = r'needs sb3-contrib, which cannot be imported .*pip install "attention-agents\[contrib\]"'


@pytest.mark.parametrize("head", RUNS)
def test_without_sb3_contrib_the_install_line_is_told(head, trained, tmp_path, monkeypatch):
    folder = trained(head).final
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    for module in (
        "attention_agents.policies.sb3.recurrent",
        "attention_agents.policies.sb3.maskable_pointer",
    ):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(MissingExtraError, match=INSTALL):
        train(asked(head, tmp_path / "runs"))
    with pytest.raises(MissingExtraError, match=INSTALL):
        load_checkpoint(folder)
    assert not (tmp_path / "runs").exists()
