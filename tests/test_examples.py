"""The examples and the commands of the documentation, run as a reader runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from attention_agents.recording.reader import open_recording

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"


def run(name: str, folder: Path, *words: str) -> str:
    return call([EXAMPLES / name, *words], folder)


def call(words: Sequence[str | Path], folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_example_is_tested() -> None:
    source = Path(__file__).read_text("utf-8")
    for example in EXAMPLES.glob("*.py"):
        assert f'run("{example.name}"' in source


def test_policy_kwargs(tmp_path: Path) -> None:
    lines = run("policy_kwargs.py", tmp_path, "--timesteps", "64").splitlines()
    assert [line.split()[0] for line in lines] == ["x0", "x1", "x2", "x3"]
    assert abs(sum(float(line.split()[1]) for line in lines) - 1) < 0.03


def test_record_attention(tmp_path: Path) -> None:
    said = run("record_attention.py", tmp_path, "--timesteps", "64")
    (episode,) = open_recording(tmp_path / "recording").episodes
    assert said.startswith(f"{len(episode)} steps of MiniGrid-Empty-5x5-v0")
    assert episode.complete
    assert all(step.attended for step in episode)
    assert min(Image.open(tmp_path / "first_step.png").size) > 100


def test_recorder_callback(tmp_path: Path) -> None:
    said = run("recorder_callback.py", tmp_path, "--timesteps", "1200")
    heading, *rows = said.splitlines()
    assert heading == "episode x0 x1 x2 x3"
    assert rows
    assert all(re.fullmatch(r"\d+( \d\.\d\d){4}", row) for row in rows)
    assert len(open_recording(tmp_path / "recording").episodes) >= len(rows)


def test_own_mechanisms(tmp_path: Path) -> None:
    said = run("own_mechanisms.py", tmp_path, "--timesteps", "64")
    assert said == "checked, and learned for 2048 steps\n"


def test_the_code_of_extending_is_that_of_its_example() -> None:
    example = (EXAMPLES / "own_mechanisms.py").read_text("utf-8")
    shown = blocks("python", "docs/extending.md")
    assert len(shown) == 5
    for block in shown:
        assert f"\n{block}" in example
    pieces = [block for block in shown if ".register(" in block]
    assert len(pieces) == 3
    assert all(len(piece.splitlines()) <= 20 for piece in pieces)


def test_the_commands_of_extending(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "own_mechanisms.py", tmp_path)
    fewer = {
        "train.py": "-n 64 --eval-freq 0 --hyperparams n_epochs:1",
        "evaluate.py": "--episodes 1",
        "replay.py": "",
    }
    commands = [
        line.split()[1:] for line in "".join(blocks("sh", "docs/extending.md")).splitlines()
    ]
    assert [script for script, *_ in commands] == list(fewer)
    for script, *words in commands:
        assert call([ROOT / script, *words, *fewer[script].split()], tmp_path)
    config = json.loads((tmp_path / "runs/ppo/CartPole-v1_1/config.json").read_text("utf-8"))
    assert config["config"]["encoder"]["readout"] == "mean-query"


def blocks(language: str, page: str = "README.md") -> list[str]:
    """Return the code blocks of a page in one language."""
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_python_of_the_readme(tmp_path: Path) -> None:
    (code,) = blocks("python")
    assert "learn(20_000)" in code
    (tmp_path / "readme.py").write_text(code.replace("learn(20_000)", "learn(64)"))
    call(["readme.py"], tmp_path)


def test_the_three_verbs_of_the_readme(tmp_path: Path) -> None:
    fewer = {
        "train.py": "-n 128 --eval-freq 0 --save-freq 0 --hyperparams n_steps:8",
        "evaluate.py": "--episodes 2",
        "replay.py": "",
    }
    commands = re.findall(
        r"^python (\w+\.py) (.*?)(?: +#.*)?$", "\n".join(blocks("sh")), re.MULTILINE
    )
    train, evaluate, believe, replay = (
        call([ROOT / script, *words.split(), *fewer[script].split()], tmp_path).splitlines()
        for script, words in commands
    )
    assert [script for script, _ in commands] == [*fewer][:2] + [*fewer][1:]
    assert commands[2][1].startswith("faithfulness ")
    run_folder = tmp_path / train[-1]
    assert (run_folder / "config.json").is_file()
    assert (tmp_path / evaluate[-1]).parent == run_folder / "evaluations"
    assert (tmp_path / believe[-1]).name == "scores.json"
    film, sheet, page = (tmp_path / line for line in replay[-3:])
    assert (film.suffix, sheet.suffix, page.suffix) == (".mp4", ".png", ".html")
    assert min(file.stat().st_size for file in (film, sheet, page)) > 10_000
