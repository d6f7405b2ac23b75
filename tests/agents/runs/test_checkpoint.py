"""What is saved comes back bit for bit, and nothing else is believed."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from attention_agents.agents.algorithms.build import build_model, make_vec_env
from attention_agents.agents.algorithms.classes import algorithm_class
from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.encoder_config import EncoderConfig
from attention_agents.agents.config.run_config import PolicyConfig, RunConfig
from attention_agents.agents.runs import checkpoint as module
from attention_agents.agents.runs.checkpoint import (
    FILES,
    load_checkpoint,
    save_checkpoint,
)
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.runs.sb3_zip.sb3_zip import export_sb3_zip

ENCODER = EncoderConfig(layers=2, heads=3, width=12)
POLICY = PolicyConfig(net_arch=(7,))
ON_POLICY = {"n_steps": 8}
OFF_POLICY = {"learning_starts": 8, "batch_size": 8, "buffer_size": 64, "train_freq": 4}
CASES = {
    "ppo": (
        "CartPole-v1",
        ON_POLICY | {"batch_size": 8, "n_epochs": 2, "learning_rate": "lin_1e-3"},
    ),
    "a2c": ("CartPole-v1", ON_POLICY),
    "dqn": ("CartPole-v1", OFF_POLICY),
    "sac": ("Pendulum-v1", OFF_POLICY),
    "td3": ("Pendulum-v1", OFF_POLICY),
    "qrdqn": ("CartPole-v1", OFF_POLICY),
    "trpo": ("CartPole-v1", ON_POLICY | {"batch_size": 8, "n_critic_updates": 2}),
    "ppo_mask": ("tests.agents.worlds:Lanes-v0", ON_POLICY | {"batch_size": 8, "n_epochs": 2}),
    "ppo_lstm": ("CartPole-v1", ON_POLICY | {"batch_size": 8, "n_epochs": 2}),
    "tqc": ("Pendulum-v1", OFF_POLICY),
    "crossq": ("Pendulum-v1", OFF_POLICY | {"ent_coef": "auto_0.5"}),
}
POLICIES = {
    "ppo_lstm": replace(POLICY, lstm_hidden_size=5),
    "qrdqn": replace(POLICY, n_quantiles=11),
    "tqc": replace(POLICY, n_quantiles=11, share_features_extractor=True),
}


def a_run(algo: str = "ppo", **changes) -> RunConfig:
    env, hyperparams = CASES[algo]
    policy = POLICIES.get(algo, POLICY)
    run = RunConfig(env, algo, 32, 1, 2, ENCODER, policy, hyperparams, device="cpu")
    return replace(run, **changes)


def trained(run: RunConfig):
    env = make_vec_env(run)
    model = build_model(run, env)
    model.learn(run.n_timesteps)
    env.close()
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    run = a_run("ppo")
    return save_checkpoint(trained(run), tmp_path_factory.mktemp("run") / "final", run)


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def numpys_stream() -> bytes:
    return np.random.get_state()[1].tobytes()  # noqa: NPY002  (SB3 draws from it)


def assert_equal(left, right, path=""):
    assert type(left) is type(right), path
    if isinstance(left, dict):
        assert left.keys() == right.keys(), path
        for key in left:
            assert_equal(left[key], right[key], f"{path}/{key}")
    elif isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype and torch.equal(left, right), path
    elif isinstance(left, (list, tuple)):
        assert len(left) == len(right), path
        for i, (a, b) in enumerate(zip(left, right, strict=True)):
            assert_equal(a, b, f"{path}/{i}")
    else:
        assert left == right, path


@pytest.mark.parametrize("algo", CASES)
def test_a_checkpoint_brings_back_every_bit(algo, tmp_path):
    run = a_run(algo, noise_std=0.1 if algo == "td3" else None)
    model = trained(run)
    folder = save_checkpoint(model, tmp_path / "a" / "final", run)
    streams = torch.get_rng_state(), numpys_stream()
    loaded = load_checkpoint(folder, device="cpu")

    assert torch.equal(torch.get_rng_state(), streams[0])
    assert numpys_stream() == streams[1]
    assert loaded.config == run
    assert type(loaded.model) is algorithm_class(algo)
    left, right = model.get_parameters(), loaded.model.get_parameters()
    assert_equal(dict(left["policy"]), dict(right["policy"]))
    for name in left.keys() - {"policy"}:
        assert left[name]["state"], f"{name} has learned nothing: the test is too short"
        assert_equal(left[name], right[name], name)
    for name in model._get_torch_save_params()[1]:
        assert torch.equal(getattr(model, name), getattr(loaded.model, name)), name
    for name in ("num_timesteps", "_n_updates", "n_steps", "batch_size"):
        if hasattr(model, name):
            assert getattr(model, name) == getattr(loaded.model, name), name
    if algo in ("dqn", "qrdqn"):
        assert loaded.model.exploration_rate == model.exploration_rate > 0
    observations = np.stack([model.observation_space.sample() for _ in range(5)])
    expected = model.predict(observations, deterministic=True)[0]
    assert np.array_equal(loaded.predict(observations), expected)
    assert not list(folder.parent.glob(".*"))


def test_every_algorithm_is_tested():
    assert set(CASES) == set(ALGORITHMS)


def test_saving_twice_replaces(saved, tmp_path):
    folder = Path(shutil.copytree(saved, tmp_path / "final"))
    loaded = load_checkpoint(folder)
    with torch.no_grad():
        loaded.model.policy.action_net.bias += 1
    save_checkpoint(loaded.model, folder, loaded.config)
    again = load_checkpoint(folder).model.policy.action_net.bias
    assert torch.equal(again, loaded.model.policy.action_net.bias)
    assert [each.name for each in tmp_path.iterdir()] == ["final"]


class Killed(BaseException):
    pass


@pytest.fixture
def half_replaced(saved, tmp_path, monkeypatch) -> Path:
    """A checkpoint whose writer was killed between its two renames."""
    folder = Path(shutil.copytree(saved, tmp_path / "final"))
    loaded = load_checkpoint(folder)
    with torch.no_grad():
        loaded.model.policy.action_net.bias += 1
    rename = Path.rename

    def once(self, target):
        if self.name.endswith(".tmp"):
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(module.Path, "rename", once)
        with pytest.raises(Killed):
            save_checkpoint(loaded.model, folder, loaded.config)
    assert not folder.exists()
    return folder


def test_a_kill_between_the_renames_leaves_the_checkpoint_there_was(half_replaced, saved):
    before = sorted(half_replaced.parent.rglob("*"))
    left, right = load_checkpoint(half_replaced), load_checkpoint(saved)
    assert_equal(left.model.get_parameters(), right.model.get_parameters())
    assert RunFolder(half_replaced.parent).checkpoint_names() == ["final"]
    assert RunFolder(half_replaced.parent / "none").checkpoint_names() == []
    assert sorted(half_replaced.parent.rglob("*")) == before, "a reader has moved something"


def test_saving_after_such_a_kill_never_leaves_nothing(half_replaced, saved, monkeypatch):
    loaded = load_checkpoint(half_replaced)

    def killed(*_: object):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_file", killed)
        with pytest.raises(Killed):
            save_checkpoint(loaded.model, half_replaced, loaded.config)
    assert_equal(
        load_checkpoint(half_replaced).model.get_parameters(),
        load_checkpoint(saved).model.get_parameters(),
    )
    save_checkpoint(loaded.model, half_replaced, loaded.config)
    assert [each.name for each in half_replaced.parent.iterdir()] == ["final"]


def test_normalisation_is_frozen_and_as_in_training(tmp_path):
    run = a_run("ppo", normalize_obs=True, normalize_reward=True)
    env = make_vec_env(run)
    model = build_model(run, env)
    model.learn(run.n_timesteps)
    loaded = load_checkpoint(save_checkpoint(model, tmp_path / "final", run))
    raw = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32) * 3
    normalized = env.normalize_obs(raw)

    assert loaded.normalization is not None and not np.array_equal(raw, normalized)
    assert np.array_equal(loaded.normalize(raw), normalized)
    assert np.array_equal(loaded.normalize(raw[0]), normalized[0])
    assert np.array_equal(loaded.normalize(raw), normalized), "the statistics have moved"
    expected = model.predict(normalized, deterministic=True)[0]
    assert np.array_equal(loaded.predict(raw), expected)


def test_a_picture_policy_comes_back(tmp_path):
    from stable_baselines3.common.envs import FakeImageEnv
    from stable_baselines3.common.vec_env import DummyVecEnv

    run = a_run("ppo")
    env = DummyVecEnv(
        [lambda: FakeImageEnv(screen_height=37, screen_width=41, channel_first=False)]
    )
    model = build_model(run, env)
    loaded = load_checkpoint(save_checkpoint(model, tmp_path / "final", run))
    picture = env.observation_space.sample()
    assert loaded.model.observation_space == spaces.Box(0, 255, (1, 37, 41), np.uint8)
    assert loaded.predict(picture) == model.predict(picture, deterministic=True)[0]


def test_stable_baselines_reads_the_export(saved, tmp_path):
    path = export_sb3_zip(saved, tmp_path / "policy")
    assert path == tmp_path / "policy.zip"
    model, loaded = PPO.load(path, device="cpu"), load_checkpoint(saved)
    observations = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert np.array_equal(
        model.predict(observations, deterministic=True)[0], loaded.predict(observations)
    )
    assert (model.n_steps, model.num_timesteps) == (8, 32)
    assert_equal(dict(model.policy.state_dict()), dict(loaded.model.policy.state_dict()))


@pytest.mark.parametrize("name", FILES[:4])
def test_a_flipped_bit_is_found(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is damaged: its sha256 is not the manifest's"):
        load_checkpoint(copy)


@pytest.mark.parametrize("name", [*FILES[:4], "manifest.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        load_checkpoint(copy)


def signed(folder: Path) -> Path:
    """Bring the manifest in line with the files, as a forger would."""
    import hashlib

    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["sha256"]:
        manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def test_an_older_checkpoint_is_refused_in_a_sentence_that_says_what_to_do(copy):
    """In schema 1 the parts of the encoder had other names."""
    for name in ("config.json", "manifest.json"):
        values = json.loads((copy / name).read_text())
        assert values["schema"] == 2
        (copy / name).write_text(json.dumps(values | {"schema": 1}))
    with pytest.raises(ValueError, match=r"manifest\.json has schema 1") as told:
        load_checkpoint(signed(copy))
    assert str(told.value) == (
        f"{copy / 'manifest.json'} has schema 1, this program reads 2; train the agent again, or "
        "use the version of this program that wrote it"
    )


def test_networks_that_no_machine_holds_are_not_even_tried(copy):
    config = json.loads((copy / "config.json").read_text())
    config["config"]["encoder"]["width"] = 3_000_000_000
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config\.json describes no policy: networks of at least"):
        load_checkpoint(signed(copy))


@pytest.mark.parametrize("name", ["policy.safetensors", "optimizer.safetensors"])
def test_a_pickle_is_refused_and_never_opened(copy, name):
    (copy / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=f"{name} holds no tensors"):
        load_checkpoint(signed(copy))
    torch.save({"weight": Bomb()}, copy / name)
    with pytest.raises(ValueError, match=f"{name} holds no tensors"):
        load_checkpoint(signed(copy))


def test_a_policy_that_does_not_fit_its_config_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    config["config"]["encoder"]["width"] = 24
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r"policy.safetensors does not fit its config: \S+ is \(12"
    ):
        load_checkpoint(signed(copy))


def test_an_optimiser_that_does_not_fit_is_refused(copy):
    (copy / "optimizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"optimizer\.json does not fit the policy"):
        load_checkpoint(signed(copy))
    (copy / "optimizer.json").write_text("nonsense")
    with pytest.raises(ValueError, match=r"optimizer\.json does not fit the policy"):
        load_checkpoint(signed(copy))


@pytest.mark.parametrize(
    "change",
    [
        {"observation_space": {"kind": "os.system"}},
        {"action_space": None},
        {"config": {"algo": "ppo"}},
        {"progress": {}},
        {"normalisation": {"norm_obs": True}},
    ],
)
def test_a_config_that_describes_no_policy_is_refused(copy, change):
    config = json.loads((copy / "config.json").read_text()) | change
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config\.json describes no policy"):
        load_checkpoint(signed(copy))


def test_another_programs_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no checkpoint folder"):
        load_checkpoint(tmp_path / "none")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"manifest\.json is not in the format 'attention-agents checkpoint'"
    ):
        load_checkpoint(tmp_path)
    (tmp_path / "manifest.json").write_text("nonsense")
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        load_checkpoint(tmp_path)
