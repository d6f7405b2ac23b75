"""The examples of the documentation, run as a reader runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from recording import open_recording

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"


def run(name: str, folder: Path, *words: str) -> str:
    result = subprocess.run(
        [sys.executable, EXAMPLES / name, *words],
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
    assert Image.open(tmp_path / "first_step.png").size > (100, 100)


def test_recorder_callback(tmp_path: Path) -> None:
    said = run("recorder_callback.py", tmp_path, "--timesteps", "1200")
    heading, *rows = said.splitlines()
    assert heading == "episode x0 x1 x2 x3"
    assert rows
    assert all(re.fullmatch(r"\d+( \d\.\d\d){4}", row) for row in rows)
    assert len(open_recording(tmp_path / "recording").episodes) >= len(rows)
