"""Runs, recordings and zip files that version 0.1 wrote are read as they were.

`runs_0_1` holds them: tiny agents with many mechanisms, each with an evaluation of two episodes and
a recording. Module paths, names of tensors and words of configs are those of 0.1.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from attention_agents import evaluate, load_checkpoint, open_recording
from attention_agents.agents.faithfulness.recorded_policy import RecordedPolicy

RUNS = Path(__file__).parent / "runs_0_1"
NAMES = ("mlp", "words", "history", "gru", "sac", "pixels")
RECORDED = tuple(name for name in NAMES if (RUNS / name / "recordings").exists())


@pytest.fixture
def run(request, tmp_path) -> Path:
    return Path(shutil.copytree(RUNS / request.param, tmp_path / request.param))


@pytest.mark.parametrize("run", NAMES, indirect=True)
def test_an_evaluation_gives_the_same_returns(run: Path) -> None:
    """Of the agent: the random policy has a random stream of its own since."""
    stored = json.loads((run / "evaluations" / "final_1.json").read_text(encoding="utf-8"))
    report = evaluate(run, episodes=2, device="cpu", random_policy=False).to_json()
    assert report["encoder"] == "pooled"
    for what in ("return", "length"):
        for name, value in stored["agent"][what].items():
            assert report["agent"][what][name] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("name", RECORDED)
def test_the_policy_answers_what_was_recorded(name: str) -> None:
    """`RecordedPolicy` refuses a policy whose outputs are not the recorded ones."""
    loaded = load_checkpoint(RUNS / name / "final", "cpu")
    episode = open_recording(RUNS / name / "recordings" / "recording_1").episodes[0]
    loaded.model.policy.set_training_mode(False)
    subject = RecordedPolicy.from_episode(loaded.model.policy, loaded.normalize, episode)
    assert len(subject.states) == len(episode)
