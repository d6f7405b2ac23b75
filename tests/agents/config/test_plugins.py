"""Plugins: mechanisms of one's own by name, through every script, and never by a file's say-so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attention_agents.agents.config.catalogue import glossary
from attention_agents.agents.config.plugins import (
    PluginError,
    check_imported,
    import_plugins,
    plugins_named,
    words_for_help,
)

ROOT = Path(__file__).parents[3]
SCORES = """
from torch import nn
from attention_agents.policies.plugin_api import SCORES, Score

@SCORES.register("first", "the first number of the key")
class First(Score):
    def forward(self, q, k):
        return (0 * q.sum(-1, keepdim=True) + k[..., 0][..., None, :]) * self.scale
"""
FAULTS = {
    "import no_such_thing": (
        r"broken\.py:2: ModuleNotFoundError: No module named 'no_such_thing'$"
    ),
    "print(undefined)": r"broken\.py:2: NameError: name 'undefined' is not defined$",
    "assert False": r"broken\.py:2: AssertionError$",
    "def f(:": r"SyntaxError: invalid syntax \(broken\.py, line 2\)$",
    "from attention_agents.policies.plugin_api import SCORES\nSCORES.register('Foo!', '')": (
        r"broken\.py:3: ValueError: a score is named like 'scaled-dot-product', got 'Foo!'$"
    ),
}


def call(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script, *rest = words.split()
    command = [sys.executable, str(ROOT / script), *rest]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_a_score_of_ones_own_is_trained_evaluated_and_replayed_by_name(tmp_path):
    (tmp_path / "my_scores.py").write_text(SCORES)
    trained = call(
        "train.py --env CartPole-v1 -n 64 --eval-freq 0 --encoder pooled --plugins my_scores"
        " --score first --hyperparams n_epochs:1",
        tmp_path,
    )
    assert trained.returncode == 0, trained.stderr
    run = trained.stdout.strip()
    config = json.loads((tmp_path / run / "config.json").read_text())["config"]
    assert (config["plugins"], config["encoder"]["attention"]["score"]) == (["my_scores"], "first")

    for script in ("evaluate.py", "replay.py"):
        refused = call(f"{script} {run}", tmp_path)
        assert refused.returncode == 2
        assert refused.stderr == (
            f"{script}: this run imports 'my_scores' for its mechanisms; if you trust that, add "
            "--plugins my_scores (in Python, import it first)\n"
        )
    evaluated = call(
        f"evaluate.py {run} --plugins my_scores --episodes 1 --json --no-random-policy", tmp_path
    )
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["agent"]["episodes"][0]["length"] > 0
    replayed = call(f"replay.py {run} --plugins my_scores", tmp_path)
    assert replayed.returncode == 0, replayed.stderr


def test_an_unknown_word_may_be_a_plugin_s(tmp_path):
    (tmp_path / "my_scores.py").write_text(SCORES)
    near = call(
        "train.py --env CartPole-v1 --encoder pooled --plugins my_scores --attention frist",
        tmp_path,
    )
    assert near.returncode == 2
    assert near.stderr == "train.py: unknown score 'frist'; did you mean 'first'?\n"


def test_help_lists_the_words_of_plugins_that_stand_beside_it(tmp_path):
    (tmp_path / "my_scores.py").write_text(SCORES)
    line = re.compile(r"^ +first +the first number of the key$", re.MULTILINE)
    asked = call("train.py --plugins my_scores --help", tmp_path)
    assert asked.returncode == 0
    assert line.search(asked.stdout)
    assert asked.stdout.index("--score  ") < line.search(asked.stdout).start()
    assert not line.search(call("train.py --help", tmp_path).stdout)
    broken = call("train.py -h --plugins no_such_plugin", tmp_path)
    assert broken.returncode == 0
    assert "cannot import the plugin 'no_such_plugin': there is no module" in broken.stdout
    assert "examples:" in broken.stdout


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("--plugins a b.c --help", ("a", "b.c")),
        ("--help --plugins=a", ("a",)),
        ("--env x --plugins a --layers 2 b", ("a",)),
        ("--plugin a", ()),
        ("plugins a", ()),
    ],
)
def test_the_plugins_of_a_command_line(words, names):
    assert plugins_named(words.split()) == names


def test_without_help_no_plugin_is_imported_for_it(tmp_path, monkeypatch):
    (tmp_path / "heedless.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    assert words_for_help(["--plugins", "heedless"]) == ""
    assert words_for_help(["--help"]) == glossary()


@pytest.mark.parametrize("source", FAULTS)
def test_a_fault_in_a_plugin_is_told_with_its_place(source, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text(f"\n{source}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError) as told:
        import_plugins(["broken"])
    assert re.search(FAULTS[source], str(told.value))
    assert str(told.value).startswith("cannot import the plugin 'broken': ")
    assert "broken" not in sys.modules


def test_a_plugin_that_is_not_there():
    for name, missing in (("no_such_plugin", "no_such_plugin"), ("no_such.scores", "no_such")):
        with pytest.raises(PluginError, match=f"there is no module '{missing}' in the current fol"):
            import_plugins([name])
    with pytest.raises(PluginError, match=r"such as my_scores, got '\.\./scores'"):
        import_plugins(["../scores"])


def test_what_a_file_names_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"add --plugins json 'stranger; rm -rf ~' \("):
        check_imported(["json", "stranger; rm -rf ~"])
    with pytest.raises(PluginError, match="this run imports 'stranger' for its mechanisms"):
        check_imported(["stranger"])
    assert "stranger" not in sys.modules
    check_imported(["json"])
    check_imported([])
