"""Zip files of SB3 load without running what they hold, those of version 0.1 too."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise

from attention_agents import (
    AttentionExtractor,
    attention_policy_kwargs,
    load_checkpoint,
    load_sb3_zip,
    sb3_custom_objects,
)
from attention_agents.agents.evaluation.evaluate import evaluate
from attention_agents.agents.runs.sb3_zip.restricted_unpickler import restricted_loads

OLD_RUNS = Path(__file__).parents[2] / "compatibility" / "runs_0_1"
POLICY = dict(
    features_extractor_class=AttentionExtractor,
    features_extractor_kwargs=dict(width=8, heads=2, layers=1),
)


@pytest.fixture(params=["mlp", "words"])
def old_zip(request) -> Path:
    return OLD_RUNS / f"{request.param}.zip"


def assert_same_answers(model: Any, other: Any) -> None:
    model.policy.set_training_mode(False)
    other.policy.set_training_mode(False)
    space = other.observation_space
    space.seed(3)
    for _ in range(5):
        obs = space.sample()
        tensors = [each.policy.obs_to_tensor(obs)[0] for each in (model, other)]
        with torch.no_grad():
            ours, theirs = (
                each.policy.get_distribution(tensor).distribution.logits
                for each, tensor in zip((model, other), tensors, strict=True)
            )
        assert torch.equal(ours, theirs)
        assert np.array_equal(
            model.predict(obs, deterministic=True)[0], other.predict(obs, deterministic=True)[0]
        )


def test_an_old_zip_answers_as_the_checkpoint_of_its_run(old_zip: Path) -> None:
    checkpoint = load_checkpoint(OLD_RUNS / old_zip.stem / "final", "cpu")
    model = load_sb3_zip(old_zip, device="cpu")
    assert type(model) is PPO
    assert model.num_timesteps == checkpoint.model.num_timesteps
    assert_same_answers(model, checkpoint.model)


def test_stock_load_reads_an_old_zip_with_our_custom_objects(old_zip: Path) -> None:
    model = PPO.load(old_zip, device="cpu", custom_objects=sb3_custom_objects(old_zip))
    assert_same_answers(model, load_sb3_zip(old_zip, device="cpu"))


@pytest.mark.parametrize(
    ("algorithm", "env", "options"),
    [
        (PPO, "CartPole-v1", dict(n_steps=8, batch_size=8, n_epochs=1)),
        (A2C, "CartPole-v1", dict()),
        (DQN, "CartPole-v1", dict(learning_starts=4, buffer_size=32, batch_size=4)),
        (SAC, "Pendulum-v1", dict(learning_starts=4, buffer_size=32, batch_size=4)),
        (
            TD3,
            "Pendulum-v1",
            dict(
                learning_starts=4,
                buffer_size=32,
                batch_size=4,
                action_noise=NormalActionNoise(np.zeros(1), np.full(1, 0.1)),
            ),
        ),
    ],
)
def test_a_trained_model_is_recognized_and_learns_on(algorithm, env, options, tmp_path) -> None:
    policy = POLICY | {"activation_fn": torch.nn.ReLU}
    model = algorithm("MlpPolicy", env, policy_kwargs=policy, seed=1, device="cpu", **options)
    model.learn(16).save(tmp_path / "model.zip")
    loaded = load_sb3_zip(tmp_path / "model.zip", device="cpu")
    assert type(loaded) is algorithm
    for name, tensor in model.policy.state_dict().items():
        assert torch.equal(tensor, loaded.policy.state_dict()[name]), name
    assert loaded.policy.net_arch == model.policy.net_arch
    loaded.set_env(model.get_env())
    loaded.learn(8, reset_num_timesteps=False)


class RunsCode:
    def __reduce__(self):
        return os.system, ("touch was_here",)


def forged(tmp_path: Path, name: str, pickled: bytes) -> Path:
    """Return a copy of an old zip with a pickle of ours in its JSON."""
    with zipfile.ZipFile(OLD_RUNS / "mlp.zip") as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    data = json.loads(members["data"])
    data[name] = {":type:": "x", ":serialized:": base64.b64encode(pickled).decode()}
    members["data"] = json.dumps(data).encode()
    with zipfile.ZipFile(tmp_path / "forged.zip", "w") as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return tmp_path / "forged.zip"


@pytest.mark.parametrize("name", ["clip_range", "policy_class", "something"])
def test_a_zip_that_runs_code_is_refused(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = forged(tmp_path, name, pickle.dumps(RunsCode()))
    for load in (load_sb3_zip, sb3_custom_objects):
        with pytest.raises(ValueError, match=rf"{name} of .*forged.zip is refused: .*\.system"):
            load(path)
    assert not (tmp_path / "was_here").exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"c__builtin__\neval\n.",
        b"cbuiltins\ngetattr\n.",
        b"cbuiltins\n__import__\n.",
        b"cstable_baselines3.common.utils\nos\n.",
        b"cstable_baselines3.common.save_util\nload_from_pkl\n.",
        b"cgymnasium.spaces\nDiscrete.sample\n.",
        b"ctorch.optim.adam\ntorch\n.",
        b"cattention_agents.agents.training.train\ntrain\n.",
        pickle.dumps(load_checkpoint),
        # a class, and a state for it
        b"cgymnasium.spaces.discrete\nDiscrete\n}X\x06\x00\x00\x00sampleI1\nsb.",
        b"cgymnasium.spaces.discrete\nDiscrete\nN}X\x06\x00\x00\x00sampleI1\ns\x86b.",
    ],
)
def test_names_that_are_not_on_the_list_are_refused(pickled: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"it (names|changes)"):
        restricted_loads(pickled)
    assert callable(spaces.Discrete.sample)


def test_state_dicts_hold_tensors_only(tmp_path) -> None:
    content = io.BytesIO()
    torch.save({"weight": RunsCode()}, content)
    with zipfile.ZipFile(OLD_RUNS / "mlp.zip") as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members["policy.pth"] = content.getvalue()
    with zipfile.ZipFile(tmp_path / "forged.zip", "w") as archive:
        for each, value in members.items():
            archive.writestr(each, value)
    with pytest.raises(ValueError, match="holds no model of ppo"):
        load_sb3_zip(tmp_path / "forged.zip", device="cpu")


def test_what_is_no_zip_of_sb3_says_so(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*none\.zip: No such file"):
        load_sb3_zip(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(ValueError, match=r"text\.zip is no zip file of Stable-Baselines3"):
        load_sb3_zip(tmp_path / "text.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("data", "[1]")
    with pytest.raises(ValueError, match="its data is no object"):
        load_sb3_zip(tmp_path / "other.zip")
    with pytest.raises(ValueError, match="holds no model of dqn"):
        load_sb3_zip(OLD_RUNS / "mlp.zip", "dqn", device="cpu")
    with pytest.raises(ValueError, match="unknown algorithm 'pppo'"):
        load_sb3_zip(OLD_RUNS / "mlp.zip", "pppo")


@pytest.mark.parametrize(
    ("policy_kwargs", "kind"),
    [
        ({}, "stock"),
        (attention_policy_kwargs(PPO, spaces.Box(-1, 1, (4,))), "gate"),
        (POLICY, "pooled"),
        (
            POLICY
            | {"features_extractor_kwargs": dict(width=8, heads=2, layers=1, readout="mean")},
            "pooled",
        ),
    ],
)
def test_a_zip_says_what_its_encoder_is(policy_kwargs, kind, tmp_path) -> None:
    PPO("MlpPolicy", "CartPole-v1", device="cpu", policy_kwargs=policy_kwargs).save(
        tmp_path / "agent.zip"
    )
    report = evaluate(
        tmp_path / "agent.zip", env="CartPole-v1", episodes=1, random_policy=False, device="cpu"
    )
    assert report.encoder == kind
