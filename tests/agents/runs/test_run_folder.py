"""Run folders: numbered, never shared, and told from folders of others."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.runs.run_folder import RunFolder

RUN = RunConfig("MinAtar/Breakout-v1", "dqn", 100, 0, 1)


def test_runs_are_numbered_and_keep_their_config(tmp_path):
    folders = [RunFolder.create(tmp_path / "runs", RUN) for _ in range(3)]
    names = [folder.path.relative_to(tmp_path).as_posix() for folder in folders]
    assert names == [f"runs/dqn/MinAtar-Breakout-v1_{k}" for k in (1, 2, 3)]
    assert RunFolder.open(folders[1].path).config() == RUN
    assert {"torch", "python", "gymnasium"} <= folders[0].description()["versions"].keys()


def test_a_number_is_not_used_again_and_other_names_do_not_count(tmp_path):
    for name in (
        "MinAtar-Breakout-v1_7",
        "MinAtar-Breakout-v1_x",
        "MinAtar-Breakout-v1_7_9",
        "Other_31",
    ):
        (tmp_path / "dqn" / name).mkdir(parents=True)
    assert RunFolder.create(tmp_path, RUN).path.name == "MinAtar-Breakout-v1_8"


def test_runs_that_start_at_once_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: RunFolder.create(tmp_path, RUN).path, range(24)))
    assert len(set(folders)) == 24


def test_an_id_cannot_leave_the_log_folder(tmp_path):
    run = RunConfig("../../evil:Id", "ppo", 100, 0, 1)
    assert RunFolder.create(tmp_path / "runs", run).path.parent == tmp_path / "runs" / "ppo"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(
        ValueError, match=r"cannot write into .*runs: .*; name another --log-folder"
    ):
        RunFolder.create(tmp_path / "runs", RUN)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "config.json is missing: this is no folder of an attention-agents run"),
        ("{", "config.json is damaged: "),
        ("[]", "config.json is not in the format 'attention-agents run'"),
        ('{"format": "other"}', "config.json is not in the format 'attention-agents run'"),
        ('{"format": "attention-agents run", "schema": 99}', "has schema 99, this program reads 1"),
        ('{"format": "attention-agents run", "schema": 1}', "config.json has no config"),
    ],
)
def test_another_programs_folder_is_refused(tmp_path, content, text):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=re.escape(text)):
        RunFolder.open(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no run folder .*none"):
        RunFolder.open(tmp_path / "none")


def test_a_damaged_config_is_refused(tmp_path):
    folder = RunFolder.create(tmp_path, RUN)
    values = json.loads(folder.config_file.read_text())
    values["config"]["n_envs"] = 0
    folder.config_file.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="n_envs must be a whole number of at least 1, got 0"):
        RunFolder.open(folder.path)
