"""The examples in docstrings, run."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("agents", "envs", "policies", "recording")
MODULES = sorted(
    f"attention_agents.{'.'.join(file.relative_to(ROOT).with_suffix('').parts)}"
    for room in ROOMS
    for file in (ROOT / room).rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples(module: str) -> None:
    result = doctest.testmod(import_module(module))
    assert not result.failed
