"""A whole run: what lies in its folder, and what it does not disturb."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from attention_agents.agents.algorithms.build import make_vec_env
from attention_agents.agents.config.run_config import RunConfig, TrainConfig
from attention_agents.agents.runs.checkpoint import load_checkpoint
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.callbacks.evaluation import read_rows
from attention_agents.agents.training.callbacks.periodic import (
    PeriodicCallback,
    random_streams_kept,
)
from attention_agents.agents.training.progress import ProgressCallback
from attention_agents.agents.training.train import (
    TrainingFault,
    prepare_training,
    torch_settings,
    train,
)
from attention_agents.envs.make import make_env
from attention_agents.envs.vector.subprocess_env import SafeSubprocVecEnv
from attention_agents.envs.wrappers.padding import TooManyEntitiesError

SMALL = {"layers": 2, "heads": 2, "width": 8, "n_envs": 2, "device": "cpu", "progress": False}
SMALL |= {"encoder": "pooled"}
PPO = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "net_arch": [7]}


def cartpole(log_folder: Path, **changes) -> TrainConfig:
    values = {"eval_freq": 48, "save_freq": 64, "eval_episodes": 3, **SMALL, **changes}
    return TrainConfig(
        env="CartPole-v1",
        n_timesteps=128,
        seed=1,
        log_folder=str(log_folder),
        hyperparams=PPO,
        **values,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    return RunFolder.open(train(cartpole(tmp_path_factory.mktemp("runs"))))


def test_a_run_folder_holds_everything(run):
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        *("config.json", "logs", "checkpoints", "best", "final"),
        *("evaluations.csv", "learning_curve.png"),
    }
    assert {path.name for path in run.checkpoints.iterdir()} == {"step_64", "step_128"}
    assert load_checkpoint(run.final).model.num_timesteps == 128
    assert load_checkpoint(run.checkpoint("step_64")).config == run.config()
    assert run.learning_curve.read_bytes()[1:4] == b"PNG"
    assert "rollout/ep_rew_mean" in (run.logs / "progress.csv").read_text().splitlines()[0]


def test_evaluations_are_due_at_multiples_and_the_best_is_kept(run):
    rows = read_rows(run.evaluations_file)
    assert [row.step for row in rows] == [48, 96]
    assert all(row.episodes == 3 and row.mean_reward == row.mean_length for row in rows)
    best = max(rows, key=lambda row: (row.mean_reward, row.step))
    assert load_checkpoint(run.best).model.num_timesteps == best.step


def test_an_evaluation_can_be_played_again(run):
    row = read_rows(run.evaluations_file)[-1]
    policy = load_checkpoint(run.best)
    if policy.model.num_timesteps != row.step:
        row = read_rows(run.evaluations_file)[0]
    env, lengths = make_env("CartPole-v1"), []
    for i in range(3):
        (obs, _), length, over = env.reset(seed=1_000_000 * 2 + i), 0, False
        while not over:
            obs, _, terminated, truncated, _ = env.step(policy.predict(obs))
            length, over = length + 1, terminated or truncated
        lengths.append(length)
    assert np.mean(lengths) == row.mean_length


def test_tensorboard_has_sb3s_names_the_statistics_and_a_picture(run):
    events = EventAccumulator(str(run.logs))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {"rollout/ep_rew_mean", "time/fps", "train/value_loss", "eval/mean_reward"} <= scalars
    for layer in (0, 1):
        assert f"attention/actor/layer{layer}/head1/effective_tokens" in scalars
        assert f"attention/actor/layer{layer}/head_similarity" in scalars
    assert events.Images("attention/picture")


def test_evaluating_and_saving_do_not_change_the_training(run, tmp_path):
    plain = RunFolder.open(train(cartpole(tmp_path, eval_freq=0, save_freq=0)))
    left = load_checkpoint(run.final).model.policy.state_dict()
    right = load_checkpoint(plain.final).model.policy.state_dict()
    assert all(torch.equal(left[key], right[key]) for key in left)
    assert not plain.best.exists() and not plain.evaluations_file.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {
            "env": "Pendulum-v1",
            "algo": "td3",
            "hyperparams": {"learning_starts": 8, "batch_size": 8},
        },
        {
            "env": "Acrobot-v1",
            "algo": "dqn",
            "hyperparams": {"learning_starts": 8},
            "vec_env": "subproc",
        },
        {"env": "Pendulum-v1", "algo": "a2c", "normalize": True, "history": 0},
        {"env": "CartPole-v1", "algo": "a2c", "history": 3},
    ],
    ids=lambda changes: f"{changes['env']}, {changes['algo']}",
)
def test_other_algorithms_and_environments_train_too(changes, tmp_path):
    asked = {**SMALL, "n_timesteps": 40, "eval_freq": 20, "eval_episodes": 1, **changes}
    asked["max_episode_steps"] = 30
    run = RunFolder.open(train(TrainConfig(log_folder=str(tmp_path), **asked)))
    policy = load_checkpoint(run.final)
    assert (policy.normalization is not None) == bool(changes.get("normalize"))
    env = make_env(changes["env"], history=changes.get("history", 0))
    assert policy.predict(env.reset(seed=1)[0]).shape == env.action_space.shape


def test_a_wrong_configuration_makes_no_folder(tmp_path):
    with pytest.raises(
        ValueError, match=r"dqn cannot act in Box.* of Pendulum-v1; use --algo ppo or a2c"
    ):
        train(TrainConfig(env="Pendulum-v1", algo="dqn", log_folder=str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()


def test_a_fault_of_the_environment_is_no_mistake_of_the_caller(tmp_path, monkeypatch):
    from gymnasium.envs.classic_control import CartPoleEnv

    def broken(self, action):
        raise ValueError("the pole has broken")

    monkeypatch.setattr(CartPoleEnv, "step", broken)
    with pytest.raises(
        TrainingFault,
        match=r"training failed after 0 steps \(the run is .*_1\): ValueError: the pole has brok",
    ) as caught:
        train(cartpole(tmp_path, eval_freq=0))
    assert not isinstance(caught.value, ValueError)
    assert not RunFolder.open(tmp_path / "ppo/CartPole-v1_1").final.exists()


def broken_after(steps, monkeypatch, change=lambda: None):
    """Let CartPole break after so many steps, and something happen just before."""
    from gymnasium.envs.classic_control import CartPoleEnv

    step, taken = CartPoleEnv.step, iter(range(steps))

    def counted(self, action):
        if next(taken, None) is None:
            change()
            raise OSError(28, "No space left on device")
        return step(self, action)

    monkeypatch.setattr(CartPoleEnv, "step", counted)


def test_a_disk_that_is_full_is_named_and_so_is_the_run(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    broken_after(10, monkeypatch)
    monkeypatch.setattr("attention_agents.agents.runs.checkpoint.save_file", full)
    with pytest.raises(
        TrainingFault,
        match=r"after 10 steps \(not saved: cannot write .*final: No space left on device; "
        r"the run is .*_1\): OSError: ",
    ):
        train(cartpole(tmp_path, eval_freq=0, save_freq=0))


def test_weights_that_are_not_finite_are_not_kept_as_the_final_ones(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        "attention_agents.agents.training.train.prepare_training",
        lambda config: made.append(prepare_training(config)) or made[-1],
    )

    def diverge():
        next(made[0][1].policy.parameters()).data.fill_(float("nan"))

    broken_after(10, monkeypatch, diverge)
    with pytest.raises(
        TrainingFault, match=r"\(not saved, for its weights are not finite; the run"
    ):
        train(cartpole(tmp_path, eval_freq=0, save_freq=0))
    assert not RunFolder.open(tmp_path / "ppo/CartPole-v1_1").final.exists()


class Crowd(gym.Env):
    """Observe one entity more after every fourth step."""

    observation_space = gym.spaces.Sequence(gym.spaces.Box(-1, 1, (3,)))
    action_space = gym.spaces.Discrete(2)
    steps = 0

    def reset(self, *, seed=None, options=None):
        return self.observe(), {}

    def step(self, action):
        self.steps += 1
        return self.observe(), 1.0, self.steps % 7 == 0, False, {}

    def observe(self):
        return (np.zeros(3, np.float32),) * (1 + self.steps // 4)


@pytest.fixture
def crowd():
    gym.register("Crowd-v0", Crowd)
    yield
    gym.registry.pop("Crowd-v0")


def crowded(log_folder: Path, **changes) -> TrainConfig:
    values = {**SMALL, "n_envs": 1, "n_timesteps": 128, "eval_freq": 0, **changes}
    return TrainConfig(env="Crowd-v0", log_folder=str(log_folder), hyperparams=PPO, **values)


def test_what_was_trained_is_kept_when_entities_outgrow_their_table(crowd, tmp_path):
    # 5 rows are too few after 20 steps: one rollout of 16 has been learned from
    with pytest.raises(
        TooManyEntitiesError,
        match=r"training failed after 19 steps \(saved to .*_1/final\): the observation holds 6 "
        r"entities \(entity\), and there is room for 5; train with --max-entities 6 or more",
    ):
        train(crowded(tmp_path, max_entities=5))
    run = RunFolder.open(tmp_path / "ppo/Crowd-v0_1")
    kept = load_checkpoint(run.final)
    assert (kept.model.num_timesteps, kept.config) == (19, run.config())
    untrained = prepare_training(run.config())[1].policy.state_dict()
    moved = [
        not torch.equal(w, untrained[key]) for key, w in kept.model.policy.state_dict().items()
    ]
    assert any(moved)


def test_a_worker_that_has_ended_is_told(tmp_path, monkeypatch):
    step_async = SafeSubprocVecEnv.step_async

    def ended(self, actions):
        self.processes[1].kill()
        self.processes[1].join()
        step_async(self, actions)

    monkeypatch.setattr(SafeSubprocVecEnv, "step_async", ended)
    with pytest.raises(
        TrainingFault, match=r"\): the process of an environment ended; its last message"
    ):
        train(cartpole(tmp_path, eval_freq=0, vec_env="subproc"))


class Simulated(gym.Env):
    """Lose its simulator at its 11th step."""

    observation_space = gym.spaces.Box(-1, 1, (3,))
    action_space = gym.spaces.Discrete(2)
    steps = 0

    def reset(self, *, seed=None, options=None):
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.steps += 1
        if self.steps == 11:
            raise ConnectionRefusedError("no simulator listens on port 2000")
        return np.zeros(3, np.float32), 1.0, False, False, {}


gym.register("Simulated-v0", Simulated)


@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_a_connection_that_an_environment_loses_is_named(vec_env, tmp_path):
    env = f"{__name__}:Simulated-v0"  # its module is imported in a worker too
    with pytest.raises(
        TrainingFault,
        match=r"after 20 steps \(saved to .*\): ConnectionRefusedError: no simulator listens",
    ):
        train(replace(cartpole(tmp_path, eval_freq=0, vec_env=vec_env), env=env))


def test_workers_close_whatever_has_become_of_them():
    env = make_vec_env(RunConfig("CartPole-v1", "ppo", 8, 1, n_envs=3, vec_env="subproc"))
    env.reset()
    env.step_async(np.zeros(3, int))  # nobody waits for what comes
    env.processes[1].terminate()
    env.close()
    assert not any(process.is_alive() for process in env.processes)


def negated_cartpole() -> gym.Env:
    return gym.wrappers.TransformReward(gym.make("CartPole-v1"), lambda reward: -reward)


def test_workers_take_wrappers_that_cannot_be_pickled():
    env = SafeSubprocVecEnv([negated_cartpole])
    env.reset()
    _, rewards, _, _ = env.step(np.zeros(1, int))
    env.close()
    assert rewards == [-1.0]


@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_an_atari_score_is_of_a_whole_game(vec_env):
    env = make_vec_env(RunConfig("ALE/Breakout-v5", "ppo", 8, 1, n_envs=1, vec_env=vec_env))
    env.seed(1)
    env.action_space.seed(1)
    env.reset()
    lives, score, told = 0, 0.0, []
    while not told and lives < 7:
        _, rewards, dones, infos = env.step([env.action_space.sample()])
        score += rewards[0]  # clipped to 1, which the first row of bricks is worth
        lives += dones[0]
        told += [info["episode"]["r"] for info in infos if "episode" in info]
    env.close()
    assert (lives, told) == (5, [score])


def test_torchs_settings_are_put_back():
    distribution = torch.distributions.Distribution
    before = torch.get_num_threads(), distribution._validate_args
    with torch_settings(threads=2):
        assert (torch.get_num_threads(), distribution._validate_args) == (2, False)
    assert (torch.get_num_threads(), distribution._validate_args) == before


def test_random_streams_are_put_back():
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    with random_streams_kept():
        inside = torch.rand(2).tolist(), np.random.rand(2).tolist()  # noqa: NPY002
    assert (torch.rand(2).tolist(), np.random.rand(2).tolist()) == inside  # noqa: NPY002


class Counting(PeriodicCallback):
    def __init__(self, interval):
        super().__init__(interval)
        self.acted = []

    def on_interval(self):
        self.acted.append(self.num_timesteps)


def test_periods_are_multiples_however_large_the_steps():
    callback = Counting(interval=10)
    for steps in (3, 9, 12, 15, 35, 39, 40):
        callback.num_timesteps = steps
        callback._on_step()
    assert callback.acted == [12, 35, 40]


class StubModel:
    _total_timesteps = 2000
    ep_info_buffer = ({"r": 20.0}, {"r": 23.0})


def test_the_progress_line(monkeypatch, capsys):
    clock = [100.0]
    monkeypatch.setattr(
        "attention_agents.agents.training.progress.time.monotonic", lambda: clock[0]
    )
    callback = ProgressCallback("ppo CartPole-v1")
    callback.model = StubModel()
    callback._on_training_start()
    clock[0], callback.num_timesteps = 104.0, 400
    callback._on_step()
    assert capsys.readouterr().err == ""
    clock[0], callback.num_timesteps = 111.0, 1100
    callback._on_step()
    assert capsys.readouterr().err == (
        "ppo CartPole-v1: 1,100/2,000 steps  100/s  0:09 left  reward 21.50\n"
    )
