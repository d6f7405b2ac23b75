"""The command line: which verb is meant, with which options, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attention_agents.agents.cli.main import COMMANDS, main
from attention_agents.agents.faithfulness.scoring import SCORE_STEPS
from attention_agents.agents.replay.options import DrawOptions, FindOptions, WatchOptions

ROOT = Path(__file__).parents[3]


def parse(words: list[str]) -> Any:
    """Return the options that a verb would be run with."""
    command, runs = COMMANDS[words[0]], []
    verbs = {name: replace(verb, run=runs.append) for name, verb in command.verbs.items()}
    replace(command, verbs=verbs).run(words[1:], words[0])
    (options,) = runs
    return options


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "attention_agents", *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


CONDITION = "attention[key] > 0.5"


@pytest.mark.parametrize(
    ("earlier", "verb"),
    [
        (["replay", "RUN"], ["replay", "draw", "RUN"]),
        (["replay", "--layer", "1", "RUN"], ["replay", "draw", "RUN", "--layer", "1"]),
        (["replay", "RUN", "--find", CONDITION], ["replay", "find", "RUN", CONDITION]),
        (["replay", f"--find={CONDITION}", "RUN"], ["replay", "find", "RUN", CONDITION]),
        (
            ["replay", "--plugins", "a", "b", "--find", CONDITION, "RUN", "--head", "2"],
            ["replay", "find", "RUN", CONDITION, "--plugins", "a", "b", "--head", "2"],
        ),
        (["replay", "RUN", "--hide", "-2 steps@5"], ["replay", "hide", "RUN", "-2 steps@5"]),
        (["replay", "RUN", "--diff", "OTHER"], ["replay", "diff", "RUN", "OTHER"]),
        (["replay", "RUN", "--minari", "a/b-v0"], ["replay", "export", "RUN", "a/b-v0"]),
        (["replay", "RUN", "--terminal"], ["replay", "watch", "RUN"]),
        (["replay", "draw", "--terminal", "RUN"], ["replay", "watch", "RUN"]),
        (["evaluate", "RUN", "--n-envs", "2"], ["evaluate", "score", "RUN", "--n-envs", "2"]),
        (["evaluate", "RUN", "--faithfulness"], ["evaluate", "faithfulness", "RUN"]),
        (
            ["evaluate", "--faithfulness", "RUN", "--score-steps", "9"],
            ["evaluate", "faithfulness", "RUN", "--score-steps", "9"],
        ),
    ],
)
def test_words_without_a_verb_mean_what_they_meant(earlier, verb):
    assert parse(earlier) == parse(verb)


def test_a_folder_that_is_named_like_a_verb():
    assert parse(["replay", "./find"]) == DrawOptions(path="./find")
    assert parse(["replay", "draw", "draw"]) == DrawOptions(path="draw")
    assert parse(["replay", "find", "find", "find"]) == FindOptions(path="find", condition="find")


def test_options_of_a_verb_are_read():
    words = ["replay", "watch", "RUN", "--fps", "2.5", "--episodes", "3", "--no-progress"]
    assert parse(words) == WatchOptions(path="RUN", fps=2.5, episodes=3, progress=False)
    made = parse(["replay", "RUN", "--make", "page", "npz", "--layer", "0"])
    assert (made.make, made.layer) == (("page", "npz"), 0)


def test_help_names_the_default_of_score_steps(capsys):
    with pytest.raises(SystemExit):
        main("evaluate", ["faithfulness", "--help"])
    assert f"(default: {SCORE_STEPS})" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name a command: train, evaluate, replay; see "),
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["--seed", "1"], "unknown command '--seed'; known: train, evaluate, replay"),
        (["replay"], "Missing from python -m attention_agents replay draw: RUN|RECORDING"),
        (["replay", "fnid", "RUN"], "unknown verb 'fnid'; did you mean 'find'?"),
        (["replay", "find", "RUN"], "Missing from python -m attention_agents replay find: CONDI"),
        (["replay", "draw", "RUN", "x"], "unexpected word 'x'; see python -m attention_agents rep"),
        (["evaluate", "score", "RUN", "--sede", "1"], "unknown option --sede; did you mean --seed"),
        (["evaluate", "faithfulness", "RUN", "--faithfulness"], "--faithfulness"),
        (["replay", "find", "RUN", "x", "--diff", "RUN"], "--diff has no use with find"),
        (["replay", "hide", "RUN", "x@1", "--fps", "1"], "it goes with draw, watch"),
        (["replay", "RUN", "--find", "x", "--terminal"], "one verb at a time, got --find and --te"),
        (["replay", "nowhere"], "there is no folder nowhere; name a run or a recording"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words, text, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["somewhere/__main__.py", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out) == (2, "")
    assert text in printed.err and len(printed.err.splitlines()) == 1
    assert printed.err.startswith("python -m attention_agents")


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["--help"], ("{train,evaluate,replay}", "Train an attention agent")),
        (["evaluate", "-h"], ("(default: score)", "attention_agents evaluate faithfulness RUN")),
        (["replay", "--help"], ("(default: draw)", "python -m attention_agents replay hide")),
        (["replay", "draw", "--help"], ("RUN|RECORDING", "gallery    a PNG")),
        (["replay", "RUN", "--help"], ("replay draw [-h]",)),
        (["replay", "find", "--help"], ("CONDITION", "entropy  ")),
        (
            ["train", "--help"],
            ("attention_agents train --env CartPole-v1",),
        ),
    ],
)
def test_help_is_quick_and_names_the_command_as_it_was_called(words, texts, tmp_path):
    start = time.perf_counter()
    result = call(*words, cwd=tmp_path)
    assert time.perf_counter() - start < 20  # a bound for a busy machine; idle it takes 0.4 seconds
    assert (result.returncode, result.stderr) == (0, "")
    for text in texts:
        assert text in result.stdout


@pytest.mark.parametrize(
    ("name", "shown"),
    [("attention-agents", "attention-agents train"), ("attention-agents.exe", "attention-agents")],
)
def test_the_console_command_names_itself(name, shown, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"bin/{name}", "train", "--help"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: {shown}") and f"{shown.split()[0]} evaluate" in printed


def test_the_command_line_is_free_of_torch():
    code = "import attention_agents.agents.cli.main, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_runs_go_to_the_current_folder(tmp_path):
    words = "--env CartPole-v1 -n 64 --eval-freq 0 --hyperparams n_epochs:1 --no-progress"
    result = call("train", *words.split(), cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "runs/ppo/CartPole-v1_1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
