"""Evaluation of a run that was really trained, as a library and as a person calls it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attention_agents.agents.cli.main import main
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.evaluation.evaluate import evaluate
from attention_agents.agents.evaluation.report import ROWS, report_table, save_report
from attention_agents.agents.rollouts.seeds import SEED
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.train import train
from attention_agents.envs.make import make_env
from attention_agents.envs.random_streams import derive_seed
from attention_agents.envs.success import success_rule

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    asked = TrainConfig(
        env="CartPole-v1",
        n_timesteps=512,
        log_folder=str(folder),
        device="cpu",
        encoder="pooled",
        width=16,
        heads=2,
        eval_freq=256,
        save_freq=256,
        progress=False,
    )
    return train(asked)


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of dqn, which when it is stochastic takes half of its actions at random."""
    asked = TrainConfig(
        env="CartPole-v1",
        algo="dqn",
        n_timesteps=64,
        log_folder=str(tmp_path_factory.mktemp("explorer")),
        device="cpu",
        encoder="pooled",
        layers=1,
        width=8,
        heads=2,
        n_envs=1,
        eval_freq=0,
        save_freq=0,
        hyperparams={"learning_starts": 8, "batch_size": 8, "exploration_final_eps": 0.5},
        progress=False,
    )
    return train(asked)


def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "evaluate.py", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run evaluate.py in this process: words to exit code, stdout and stderr."""

    def run_script(*words: str | Path) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main("evaluate")
        return stopped.value.code, *capsys.readouterr()

    return run_script


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("of", ["run", "explorer"])
def test_episodes_depend_on_their_seeds_alone(
    of: str, stochastic: bool, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(of)

    def episodes(count: int, seed: int, n_envs: int):
        report = evaluate(
            run, episodes=count, seed=seed, n_envs=n_envs, stochastic=stochastic, device="cpu"
        )
        assert report.random is not None
        return report.agent.episodes, report.random.episodes

    agent, chance = episodes(7, 50, 1)
    assert [episode.seed for episode in agent] == list(range(50, 57))
    assert episodes(7, 50, 3) == (agent, chance)
    later = episodes(3, 52, 2)
    assert later == (agent[2:5], chance[2:5])


def test_the_random_policy_is_what_a_plain_loop_gives(run: Path) -> None:
    report = evaluate(run, episodes=3, seed=11, device="cpu")
    assert report.random is not None
    for episode in report.random.episodes:
        env = make_env("CartPole-v1")
        env.reset(seed=episode.seed)
        env.action_space.seed(derive_seed(episode.seed, "random policy"))
        score, done = 0.0, False
        while not done:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            score, done = score + float(reward), terminated or truncated
        assert episode.episode_return == score == episode.length


def test_the_report_is_saved_whole_and_under_the_next_name(run: Path) -> None:
    report = evaluate(run, checkpoint="final", episodes=5, device="cpu", random_policy=False)
    paths = [save_report(report), save_report(report)]
    assert [path.name for path in paths] == ["final_1.json", "final_2.json"]
    assert not list(paths[0].parent.glob("*.tmp"))
    said = json.loads(paths[0].read_text())
    returns = [episode["return"] for episode in said["agent"]["episodes"]]
    assert said["agent"]["return"]["mean"] == np.mean(returns)
    assert said["agent"]["return"]["std"] == pytest.approx(np.std(returns, ddof=1))
    assert (said["checkpoint"], said["seed"], said["random"]) == ("final", SEED, None)
    assert said["max_episode_steps"] == 500
    assert said["trained_steps"] == 512


def test_best_comes_before_final_and_final_before_steps(run: Path, tmp_path: Path) -> None:
    assert RunFolder(run).checkpoint_names() == ["best", "final", "step_512", "step_256"]
    for name in ("checkpoints/step_9", "checkpoints/step_10", "checkpoints/.step_11.tmp"):
        (tmp_path / name).mkdir(parents=True)
    assert RunFolder(tmp_path).choose_checkpoint(None) == "step_10"
    (tmp_path / "final").mkdir()
    assert RunFolder(tmp_path).choose_checkpoint(None) == "final"


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no checkpoint yet"):
        RunFolder(tmp_path).choose_checkpoint(None)


@pytest.mark.parametrize(
    ("env", "info", "score", "success"),
    [
        ("CartPole-v1", {}, 500.0, None),
        ("CartPole-v1", {"is_success": True}, 0.0, True),
        ("CartPole-v1", {"success": 0.0}, 9.0, False),
        ("MiniGrid-DoorKey-5x5-v0", {}, 0.01, True),
        ("MiniGrid-DoorKey-5x5-v0", {}, 0.0, False),
        ("highway-fast-v0", {"crashed": False}, 3.0, True),
        ("highway-fast-v0", {"crashed": True}, 30.0, False),
    ],
)
def test_what_success_means(env: str, info: dict, score: float, success: bool | None) -> None:
    assert success_rule(env)(info, score) is success


def test_the_table_leaves_out_success_where_there_is_none(run: Path) -> None:
    shown = report_table(evaluate(run, episodes=2, device="cpu"))
    assert shown.row_count == len(ROWS) - 1
    assert [column.header for column in shown.columns] == ["", "agent", "random policy"]


def test_a_person_sees_a_table_and_where_the_numbers_lie(run: Path) -> None:
    result = call(run, "--episodes", 3, "--seed", 7)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for words in ("mean return", "95% interval", "interquartile mean", "random policy", "steps/s"):
        assert words in result.stdout
    path = Path(result.stdout.splitlines()[-1])
    said = json.loads(path.read_text())
    assert (said["episodes"], said["seed"], said["checkpoint"]) == (3, 7, "best")


def test_json_prints_the_file_and_nothing_else(run: Path) -> None:
    before = set((run / "evaluations").iterdir()) if (run / "evaluations").exists() else set()
    result = call(run, "--episodes", 2, "--json", "--no-random-policy", "--checkpoint", "step_256")
    assert result.returncode == 0, result.stderr
    (path,) = set((run / "evaluations").iterdir()) - before
    said, saved = json.loads(result.stdout), json.loads(path.read_text())
    assert said["agent"]["episodes"] == saved["agent"]["episodes"]
    assert said == saved


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--episodes", "0"], "episodes must be at least 1, got 0"),
        (["--n-envs", "-2"], "n_envs must be a whole number of at least 1, got -2"),
        (["--seed", "-1"], "seed must be at least 0, got -1"),
        (["--seed", "2147483600"], "seed must be at most 2147483548, got 2147483600"),
        (["--env", "Acrobot-v1"], "is of the environment 'CartPole-v1', got --env 'Acrobot-v1'"),
        (["--checkpoint", "bset"], "unknown checkpoint 'bset'; did you mean 'best'?"),
        (["--device", "cpuu"], "unknown device 'cpuu'; did you mean 'cpu'?"),
        (["--plugins", "no_such"], "cannot import the plugin 'no_such': there is no module"),
        (["--episods", "3"], "unknown option --episods; did you mean --episodes?"),
        (["--episodes", "many"], "many"),
    ],
)
def test_mistakes_end_with_2_and_a_line(run: Path, called, words: list[str], text: str) -> None:
    code, out, err = called(run, *words)
    assert (code, out) == (2, "")
    assert err.startswith("evaluate.py: ") and text in err
    assert 1 <= len(err.splitlines()) <= 3


def test_a_process_refuses_like_that_too(run: Path) -> None:
    result = call(run, "--episodes", 0)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "evaluate.py: episodes must be at least 1, got 0\n"


def test_a_folder_that_is_no_run_is_refused(run: Path, called, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"format": "something else"}')
    for folder, text in (
        (tmp_path / "none", "there is no run folder"),
        (tmp_path, "is not in the format 'attention-agents run'"),
        (run.parent, "config.json is missing"),
    ):
        code, out, err = called(folder)
        assert (code, out) == (2, "")
        assert text in err and len(err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json"]


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_the_numbers_are_shown_even_where_they_cannot_be_saved(
    run: Path, called, tmp_path: Path, words: list[str]
) -> None:
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluations"))
    (copy / "evaluations").write_text("a file where a folder should be made")
    code, out, err = called(copy, "--episodes", "2", "--no-random-policy", *words)
    assert code == 2
    assert ("mean return" in out) or (json.loads(out)["episodes"] == 2)
    assert err.startswith(f"evaluate.py: cannot write into {copy / 'evaluations'}: ")
    assert len(err.splitlines()) == 1
