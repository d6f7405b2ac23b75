"""The catalogue of mechanisms: every word is in it, its pictures exist, its commands are heeded."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from attention_agents import GatedExtractor
from attention_agents.agents.algorithms.checks import check_config
from attention_agents.agents.cli.options import read_options
from attention_agents.agents.config.catalogue import POLICY_HEADS
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.training.settle import settle_config
from attention_agents.envs.make import make_env
from attention_agents.policies.registries import REGISTRIES

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "attention.md").read_text("utf-8")
SCRIPT = DOCS / "attention_pictures.py"
PICTURES = DOCS / "attention"
LARGEST, LARGEST_ALL = 40_000, 1_500_000
"""Bytes of a picture, and of all."""


def section(heading: str) -> str:
    """Return the text below the only heading that holds some words."""
    (found,) = (part for part in PAGE.split("\n## ")[1:] if heading in part.splitlines()[0])
    return found


def rows(text: str) -> list[list[str]]:
    """Return the cells of the table rows that start with a word in backticks."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]


def commands(text: str) -> list[str]:
    return re.findall(r"^python train\.py (.+)$", text, re.M)


@cache
def script() -> ModuleType:
    """Import the script that makes the pictures, as running it would."""
    before = list(sys.path)
    sys.path.insert(0, str(DOCS))
    try:
        spec = importlib.util.spec_from_file_location("attention_pictures", SCRIPT)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["attention_pictures"] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path[:] = before


made = cache(make_env)


def checked(words: str) -> None:
    """Check the run of a command line as training would, and train nothing."""
    asked = parsed(words)
    config = settle_config(asked)
    check_config(config, made(config.env, history=config.history))


def parsed(words: str) -> TrainConfig:
    return read_options(TrainConfig, shlex.split(words), "train.py")


@pytest.mark.parametrize("option", [*REGISTRIES, "policy-head"])
def test_every_word_is_explained(option: str) -> None:
    ours = set(POLICY_HEADS if option == "policy-head" else REGISTRIES[option].builtin) - {"auto"}
    option = option.replace("_", "-")
    told = rows(section(f"`--{option}`"))
    names = {re.findall("`([^`]+)`", word)[0] for word, *_ in told}
    assert names == ours
    (header,) = re.findall(r"^\| word .*$", section(f"`--{option}`"), re.M)
    for word, *cells in told:
        assert len(cells) + 1 == header.count(" | ") + 1, word
        assert all(cells[:-1]), word
        plain = word in ("`none`", "`global`", "`mlp`")
        assert plain or "](https://" in cells[-1], f"{word} has no source"


def test_every_picture_is_shown_and_described_and_small() -> None:
    shown = re.findall(r'<img src="attention/([^"]+)\.png" width="400" alt="([^"]+)">', PAGE)
    assert len(shown) == PAGE.count("<img")
    made = {path.stem for path in PICTURES.glob("*.png")}
    assert {name for name, _ in shown} == made == set(script().PICTURES)
    assert len(shown) == len(made)
    for path in PICTURES.glob("*.png"):
        assert Image.open(path).width == 560
        assert path.stat().st_size < LARGEST, path
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < LARGEST_ALL


def test_the_fits_are_those_of_the_pictures() -> None:
    told = re.findall(r"^\| ([\w-]+) \| ([a-z ]+) \|", (PICTURES / "fits.md").read_text(), re.M)
    tasks = [(name, task) for name, each in script().PICTURES.items() for task in each.tasks]
    assert told[1:] == tasks


@pytest.mark.parametrize("words", commands(PAGE))
def test_every_command_can_be_trained(words: str) -> None:
    checked(words)


def test_the_other_command_makes_a_picture_that_there_is() -> None:
    (words,) = re.findall(r"^python docs/attention_pictures\.py (.+)$", PAGE, re.M)
    option, name = words.split()
    assert option == "--only" and name in script().PICTURES


def test_what_is_advised_is_known() -> None:
    advised = [words for _, words, *_ in _cells("How to choose") if "`" in words]
    assert len(advised) > 9
    for words in advised:
        for each in re.findall("`([^`]+)`", words):
            parsed(each)


@pytest.mark.parametrize("words", [w.strip("`") for w, *_ in rows(section("What is refused"))])
def test_what_is_said_to_be_refused_is(words: str) -> None:
    with pytest.raises(ValueError, match=r"; |to be one of|name no other|is for"):
        checked(words)  # an unknown option would be a SystemExit


def test_the_python_of_the_page() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (code,) = (block for block in blocks if "learn(20_000)" in block)
    (gate,) = (block for block in blocks if "make_vec_env" in block)
    names: dict[str, Any] = {}
    exec(gate, names)
    assert isinstance(names["model"].policy.features_extractor, GatedExtractor)
    names: dict[str, Any] = {}
    exec(code.replace("learn(20_000)", "learn(10)"), names)
    assert names["model"].num_timesteps == 10


def test_the_script_makes_one_picture(tmp_path: Path) -> None:
    words = ["--only", "pointer", "--steps", "2", "--samples", "40", "--folder", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, SCRIPT, *words],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    said = result.stdout
    assert re.search(r"^\| pointer \| fruit \| [\d.]+% wrong \| [\d.]+% wrong \|$", said, re.M)
    assert [path.name for path in tmp_path.iterdir()] == ["pointer.png"]
    colors = Image.open(tmp_path / "pointer.png").convert("RGB").getcolors(100_000)
    assert colors is not None and len(colors) > 20


def _cells(heading: str) -> list[list[str]]:
    """Return the cells of all table rows of a section, below its heading."""
    lines = [line for line in section(heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]
